"""The data owner: looks at every new session, joins those its policy accepts, trains, and shares its update."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import trio

from omninode.learning import data as local_data
from omninode.learning import fixed_point
from omninode.learning.document import MAX_BYTES, SessionDocument, training_seed
from omninode.learning.jobs import Job
from omninode.learning.model_spec import ForeignModel, Model
from omninode.learning.service import TrainingFailed, TrainingLate
from omninode.net.blobs import fetch_blob, patience
from omninode.net.errors import NetError
from omninode.roles.driver import SessionDriver
from omninode.roles.machine import Machine
from omninode.roles.session_files import SessionFiles, unless
from omninode.roles.session_keys import Beforehand, key_of, wait_for_market, warn_insecure
from omninode.roles.verify_tuning import refuse_unless_by_rule
from omninode.store.blobs import BlobError
from protocols.errors import LocalProtocolError
from protocols.sessions import machines
from protocols.sessions.params import Mode, Phase, Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.roles.services import Services
    from protocols.sessions.view import SessionView

FETCH_TRIES = 5  # at least; on and on while data owners can still register
FETCH_PAUSE_S = 4.0
TRAIN_TRIES = 3
CHECK_S = 120.0  # of work: somebody's model that takes longer for one step is none to train
TRAIN_S = 3600.0  # whatever the session's windows are
MIB = 1 << 20


class Refused(Exception):
    """The policy or the data of this node says no; the text says why."""


@dataclass(frozen=True, slots=True)
class Task:
    """A session's learning task, fetched and checked. weights: what is published.  initial: W0, None if that is all."""

    document: SessionDocument
    weights: bytes
    initial: bytes | None = None


class Offer(Protocol):
    """What must be known of a session to fetch what is to be trained; ``SessionView`` is one."""

    session: int

    @property
    def phase(self) -> Phase: ...
    @property
    def p(self) -> Named: ...


class Named(Protocol):
    """What the chain says of a session's learning task."""

    @property
    def doc_digest(self) -> bytes: ...
    @property
    def owner_peer(self) -> bytes: ...
    @property
    def dimension(self) -> int: ...


Vector = TypeVar("Vector", bound="NDArray[Any]")
UNUSABLE = (Refused, local_data.DataError, NetError, BlobError, LocalProtocolError, ValueError, OSError)


class DataOwner:
    """Role "data_owner"."""

    name = "data_owner"

    def __init__(self, services: Services) -> None:
        self._services = services
        self.refusals: dict[int, str] = {}
        self.warm = False
        self.files = SessionFiles(services, self.name)

    async def run(self) -> None:
        """Have the worker process ready before the first session asks for it; delete files of sessions in time."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.files.run)
            await self._warm()

    async def _warm(self) -> None:
        try:
            await self._services.trainer.warm()
            self.warm = True
        except TrainingFailed as error:  # a session will say it again, with its consequences
            self._services.log.warning("worker_not_ready", reason=str(error))

    def wants(self, view: SessionView) -> bool:
        """Sessions that can still be joined, and those that we are registered in (after a restart)."""
        if view.params is None or view.params.owner == self._services.wallet.address:
            return False
        registered = view.member_of(self._services.wallet.address) is not None
        return registered or (view.phase in (Phase.COMMITTEE, Phase.REGISTER) and view.session not in self.refusals)

    async def join(self, view: SessionView) -> SessionDriver | None:
        """Check the session against policy and data; a refusal is remembered with its reason and costs nothing."""
        services, session, key = self._services, view.session, None
        self.files.begin(session, lambda: view.phase in (Phase.FINISHED, Phase.ABORTED))
        if self._bound(view):  # registered before a restart: a promise, whatever the policy says today
            task = None
        else:
            try:
                self._check_policy(view)
                if view.p.zk:
                    await self._check_proofs(view)
                task = await self.before(lambda: view.phase > Phase.REGISTER, lambda: self._task(view))
                if view.p.zk:  # last: it takes longest
                    key = await key_of(services, view.p)
                    warn_insecure(services, session)
            except UNUSABLE as error:
                self.refusals[session] = str(error)
                await self.files.drop(session)
                services.events.write("session_refused", session=session, reason=str(error))
                services.log.warning("session_refused", session=session, reason=str(error))
                return None
            services.events.write("session_joined", session=session)

        async def learn() -> NDArray[np.int64] | None:
            return await self._train(session, task or await self._task(view))

        async def train() -> NDArray[np.int64] | None:
            return await self.in_time(session, lambda: driver.machine.view.phase > Phase.UPLOAD, learn)

        context = services.context(session)
        driver = SessionDriver(
            self.name, context, services, lambda s: self.machine(view, s), on_train=train,
            before=Beforehand(services, view, key=key),
        )  # fmt: skip
        return driver

    async def before(self, closed: Callable[[], bool], look: Callable[[], Awaitable[Task]]) -> Task:
        """What ``look`` finds while registration is open. Raises Refused where that is over first."""
        for task in await unless(closed, look):
            return task
        raise Refused("registration was over before the session's files had come and were looked at")

    async def in_time(
        self, session: int, closed: Callable[[], bool], learn: Callable[[], Awaitable[Vector | None]], **about: object
    ) -> Vector | None:
        """What ``learn`` gives before the window for uploads closes, else None; says why, and ``about`` what."""
        reason = "the window for uploads closed before the update was there"
        try:
            for update in await unless(closed, learn):
                return update
        except UNUSABLE as error:
            reason = str(error)
        self._services.log.warning("update_refused", session=session, reason=reason, **about)
        self._services.events.write("update_refused", session=session, reason=reason, **about)
        return None

    def machine(self, view: SessionView, seed: bytes) -> Machine:
        """The protocol machine of one session; overridden where a test wants another behaviour."""
        services = self._services
        context, identity = services.context(view.session), services.identity()
        return machines.data_owner(
            view.p, context, identity, seed, peer_key=services.net.peer_key, keys=services.keys
        )  # fmt: skip

    def _bound(self, view: SessionView) -> bool:
        """Whether we are in this session already, on chain or with a registration under way."""
        begun = any((s, r) == (view.session, self.name) for s, r, _ in self._services.store.sessions())
        return begun or view.member_of(self._services.wallet.address) is not None

    async def _task(self, view: SessionView) -> Task:
        """Document and weights, with chain and data held against them. Raises one of UNUSABLE."""
        return await self.offered(view, lambda document: self._fits(view, document))

    async def _fits(self, view: SessionView, document: SessionDocument) -> None:
        """Whether the document is one of this session and for our data. Raises one of UNUSABLE."""
        if (document.frac_bits, document.bound) != (view.p.frac_bits, view.p.bound):
            raise Refused("fixed point or bound of the document differ from the chain")
        if document.perturbation is not None and (view.p.mode, view.p.rule) != (Mode.VERIFIED, Rule.NONE):
            raise Refused("the model is perturbed, which only goes with mode verified and rule none")
        await self.check_data(document, document.min_samples)
        await refuse_unless_by_rule(self._services, view, document, lambda digest: self._blob(view, digest, MAX_BYTES))

    async def check_data(self, document: SessionDocument, samples: int) -> None:
        """Whether our data is of the document's form, and enough of it. Raises Refused or DataError."""
        await trio.to_thread.run_sync(
            local_data.check, self.data_path(), document.features, document.classes, samples
        )  # fmt: skip

    def _check_policy(self, view: SessionView) -> None:
        policy, params = self._services.config.data_owner, view.p
        if policy.allowed_owners and "0x" + params.owner.hex() not in {o.lower() for o in policy.allowed_owners}:
            raise Refused(f"owner 0x{params.owner.hex()} is not in data_owner.allowed_owners")
        if params.mode == Mode.GROUPED and params.group_size < policy.min_group:
            raise Refused(f"groups of {params.group_size}, fewer than data_owner.min_group = {policy.min_group}")
        if params.min_accepted < policy.min_accepted:
            raise Refused(
                f"opens sums of {params.min_accepted}, fewer than data_owner.min_accepted = {policy.min_accepted}"
            )
        if params.deposit > policy.max_deposit:
            raise Refused(f"asks for a deposit of {params.deposit} wei, more than data_owner.max_deposit")
        places = params.groups * params.group_size
        if params.reward // places < policy.min_reward:
            raise Refused(f"pays {params.reward // places} wei for each place, less than data_owner.min_reward")
        begun = {session for session, role, _ in self._services.store.sessions() if role == self.name}
        if len(begun - {view.session}) >= policy.max_sessions:
            raise Refused(f"data_owner.max_sessions = {policy.max_sessions} sessions with this data are used up")

    async def _check_proofs(self, view: SessionView) -> None:
        """What is quickly seen to be missing for certificate zk, before anything is fetched."""
        services = self._services
        if not services.keys.configured:
            services.keys(view.p)  # says so
        await wait_for_market(services, view, Phase.REGISTER)

    def data_path(self) -> Path:
        """Our training data. Raises Refused where there is none."""
        path = self._services.config.data.path
        if not path:
            raise Refused("no data: set data.path in the configuration")
        return Path(path)

    async def offered(self, view: Offer, fits: Callable[[SessionDocument], Awaitable[None]]) -> Task:
        """Document and weights of any kind of session. ``fits`` looks at the document before anything large is fetched.

        Raises one of UNUSABLE.
        """
        params = view.p
        document = SessionDocument.decode(await self._blob(view, params.doc_digest, MAX_BYTES))
        if document.parameters != params.dimension:
            raise Refused(f"document has {document.parameters} parameters, the chain says {params.dimension}")
        await fits(document)
        self._check_model(document.model)
        self._check_room(document)
        if isinstance(document.model, ForeignModel) and document.model.kind == "export":
            await self._fetched(view, bytes.fromhex(document.model.source), document.model.size)
        weights = await self._weights(view, document.weights, document.part.dimension, "weights")
        initial = None
        if document.initial:
            initial = await self._weights(view, document.initial, document.model.parameters, "initial weights")
        task = Task(document, weights, initial)
        await self._try(task)
        return task

    def _check_model(self, model: Model) -> None:
        if not isinstance(model, ForeignModel) or model.kind != "module":
            return
        if model.source not in self._services.config.learning.allowed_models:
            raise Refused(
                f"the model {model.source!r} is not in learning.allowed_models; allowing it means running its code"
            )

    def _check_room(self, document: SessionDocument) -> None:
        """What is still to be fetched, from what the document says of it."""
        size = 4 * document.part.dimension + (4 * document.model.parameters if document.initial else 0)
        if isinstance(document.model, ForeignModel):
            size += document.model.size
        most, blobs = self._services.config.data_owner.max_download, self._services.blobs
        if size > most * MIB:
            raise Refused(f"the session's files have {size} bytes, more than data_owner.max_download = {most} MiB")
        if size > blobs.max_total - blobs.used:
            raise Refused(f"no room for the session's files of {size} bytes: see node.blob_space")

    async def _try(self, task: Task) -> None:
        """One batch of our data before anything is promised: weights may be no numbers, a model too large.

        How long it waits for a place is not held against it. Raises Refused.
        """
        job = Job.check(task.document, self.data_path(), task.weights, task.initial)
        try:
            await self._services.trainer.run([job], trial=True, limit_s=CHECK_S)
        except TrainingFailed as error:
            raise Refused(f"the session's model cannot be used: {error}") from error

    async def _weights(self, view: Offer, digest: bytes, count: int, what: str) -> bytes:
        """A blob of ``count`` weights."""
        blob = await self._blob(view, digest, 4 * count)
        if len(blob) != 4 * count:
            raise Refused(f"{what} are {len(blob)} bytes, expected {4 * count}")
        return blob

    async def _blob(self, view: Offer, digest: bytes, max_size: int) -> bytes:
        """The bytes of a blob of the session's owner."""
        return await trio.to_thread.run_sync((await self._fetched(view, digest, max_size)).read_bytes)

    async def _fetched(self, view: Offer, digest: bytes, max_size: int) -> Path:
        """A blob of the session's owner, who may be restarting: tried for as long as it can still be of use."""
        services, attempt = self._services, 0
        await self.files.take(view.session, digest, document=digest == view.p.doc_digest)
        while True:
            try:
                return await fetch_blob(
                    services.net, services.blobs, digest, [view.p.owner_peer], max_size=max_size,
                    deadline=patience(max_size),
                )  # fmt: skip
            except NetError as error:
                attempt += 1
                if attempt >= FETCH_TRIES and view.phase > Phase.REGISTER:
                    raise
                services.log.info("blob_delayed", session=view.session, blob=digest.hex(), reason=str(error))
            await trio.sleep(min(0.5 * 2**attempt, FETCH_PAUSE_S))

    async def _train(self, session: int, task: Task) -> NDArray[np.int64] | None:
        """Local training, then fixed point; None where this node cannot take part after all."""
        bound, frac_bits = task.document.bound, task.document.frac_bits
        return await self.trained(session, task, lambda u: fixed_point.encode(u.astype(np.float64), bound, frac_bits))

    async def trained(self, session: int, task: Task, finish: Callable[[NDArray[np.float32]], Vector]) -> Vector | None:
        """Local training in a worker process; None where it fails or ``finish`` refuses the update (d,).

        The seed only orders batches; it is no secret.
        """
        services, document = self._services, task.document
        seed = training_seed(document, services.wallet.address)
        for attempt in range(TRAIN_TRIES):
            try:
                update = await services.trainer.train(
                    document, task.weights, self.data_path(), seed, trio.current_time() + TRAIN_S, task.initial
                )
                finished = finish(update)
            except fixed_point.FixedPointError as error:
                services.events.write("update_refused", session=session, reason=str(error))
                services.log.error("update_refused", session=session, reason=str(error))
                return None
            except TrainingFailed as error:
                services.log.warning("training_failed", session=session, reason=str(error), attempt=attempt)
                services.events.write("training_failed", session=session, reason=str(error))
                if isinstance(error, TrainingLate):
                    return None
                await trio.sleep(2.0**attempt)
            else:
                services.events.write("trained", session=session)
                return finished
        return None
