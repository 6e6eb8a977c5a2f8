"""The data owner: looks at every new session, joins those its policy accepts, trains, and shares its update."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import trio

from omninode.learning import fixed_point
from omninode.learning.document import MAX_BYTES, SessionDocument, training_seed
from omninode.learning.service import TrainingFailed, TrainingLate
from omninode.roles.driver import SessionDriver
from omninode.roles.machine import Machine
from omninode.roles.session_files import SessionFiles, unless
from omninode.roles.session_keys import Beforehand, key_of, wait_for_market, warn_insecure
from omninode.roles.session_task import UNUSABLE, Refused, SessionTasks, Task, check_owner
from omninode.roles.verify_tuning import refuse_unless_by_rule
from protocols.sessions import machines
from protocols.sessions.params import Mode, Phase, Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.roles.services import Services
    from protocols.sessions.view import SessionView

TRAIN_TRIES = 3
TRAIN_S = 3600.0  # of work, whatever the session's windows are


Vector = TypeVar("Vector", bound="NDArray[Any]")


class DataOwner:
    """Role "data_owner"."""

    name = "data_owner"

    def __init__(self, services: Services) -> None:
        self._services = services
        self.refusals: dict[int, str] = {}
        self.warm = False
        self.files = SessionFiles(services, self.name)
        self.tasks = SessionTasks(services, self.files)

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
        services, session, key, said = self._services, view.session, None, view.params
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
                if view.params != said:
                    raise Refused("a reorganisation put another session in the place of the one that was looked at")
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
        return await self.tasks.offered(
            view, lambda document: self._fits(view, document), promised=self._bound(view)
        )  # fmt: skip

    async def _fits(self, view: SessionView, document: SessionDocument) -> None:
        """Whether the document is one of this session and for our data. Raises one of UNUSABLE."""
        if (document.frac_bits, document.bound) != (view.p.frac_bits, view.p.bound):
            raise Refused("fixed point or bound of the document differ from the chain")
        if document.perturbation is not None and (view.p.mode, view.p.rule) != (Mode.VERIFIED, Rule.NONE):
            raise Refused("the model is perturbed, which only goes with mode verified and rule none")
        await self.tasks.check_data(document, document.min_samples)
        await refuse_unless_by_rule(
            self._services, view, document, lambda digest: self.tasks.blob(view, digest, MAX_BYTES)
        )

    def _check_policy(self, view: SessionView) -> None:
        policy, params = self._services.config.data_owner, view.p
        check_owner(policy, params.owner)
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
        self.files.check_budget(view.session)

    async def _check_proofs(self, view: SessionView) -> None:
        """What is quickly seen to be missing for certificate zk, before anything is fetched."""
        services = self._services
        if not services.keys.configured:
            services.keys(view.p)  # says so
        await wait_for_market(services, view, Phase.REGISTER)

    def data_path(self) -> Path:
        """What we train on; overridden where a test wants other data. Raises Refused where there is none."""
        return self.tasks.data_path()

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
                    document, task.weights, self.data_path(), seed, initial=task.initial, limit_s=TRAIN_S
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
