"""What a session wants trained: its document, weights and model, fetched from its owner and looked at first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import trio

from omninode.learning import data as local_data
from omninode.learning.document import MAX_BYTES, SessionDocument
from omninode.learning.jobs import Job
from omninode.learning.model_spec import ForeignModel, Model
from omninode.learning.service import TrainingFailed, TrainingLate
from omninode.net.blobs import fetch_blob, patience
from omninode.net.errors import NetError
from omninode.store.blobs import BlobError
from protocols.errors import LocalProtocolError
from protocols.sessions.params import Phase

if TYPE_CHECKING:
    from omninode.config_schema import DataOwner as Policy
    from omninode.roles.services import Services
    from omninode.roles.session_files import SessionFiles

FETCH_TRIES = 5  # at least; on and on while data owners can still register
FETCH_PAUSE_S = 4.0
CHECK_S = 30.0  # of work: somebody's model that takes longer for one step is none to train
LATE_S = 600.0  # for which nothing more is tried for an owner whose model took longer
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
    def owner(self) -> bytes: ...
    @property
    def doc_digest(self) -> bytes: ...
    @property
    def owner_peer(self) -> bytes: ...
    @property
    def dimension(self) -> int: ...


UNUSABLE = (Refused, local_data.DataError, NetError, BlobError, LocalProtocolError, ValueError, OSError)
"""All that speaks against a task, whoever is at fault."""


def check_owner(policy: Policy, owner: bytes) -> None:
    """Whether this node works for ``owner`` (an address), in sessions of any kind. Raises Refused."""
    if policy.allowed_owners and "0x" + owner.hex() not in {o.lower() for o in policy.allowed_owners}:
        raise Refused(f"owner 0x{owner.hex()} is not in data_owner.allowed_owners")


class SessionTasks:
    """The tasks of sessions of any kind, held against this node's data, room and settings."""

    def __init__(self, services: Services, files: SessionFiles) -> None:
        self._services, self._files = services, files
        self._trials: dict[bytes, tuple[trio.Lock, int]] = {}  # by owner, with how many look or wait
        self._late: dict[bytes, float] = {}  # by owner, until when

    def data_path(self) -> Path:
        """Our training data. Raises Refused where there is none."""
        path = self._services.config.data.path
        if not path:
            raise Refused("no data: set data.path in the configuration")
        return Path(path)

    async def check_data(self, document: SessionDocument, samples: int) -> None:
        """Whether our data is of the document's form, and enough of it. Raises Refused or DataError."""
        await trio.to_thread.run_sync(
            local_data.check, self.data_path(), document.features, document.classes, samples
        )  # fmt: skip

    async def offered(
        self, view: Offer, fits: Callable[[SessionDocument], Awaitable[None]], *, promised: bool = False
    ) -> Task:
        """Document and weights of any kind of session. ``fits`` looks at the document before anything large is fetched.

        promised: we are registered, it is too late to ask what it takes. Raises one of UNUSABLE.
        """
        params = view.p
        document = SessionDocument.decode(await self.blob(view, params.doc_digest, MAX_BYTES))
        if document.parameters != params.dimension:
            raise Refused(f"document has {document.parameters} parameters, the chain says {params.dimension}")
        await fits(document)
        self._check_model(document.model)
        if not promised:
            self._check_room(document)
        if isinstance(document.model, ForeignModel) and document.model.kind == "export":
            await self._fetched(view, bytes.fromhex(document.model.source), document.model.size)
        weights = await self._weights(view, document.weights, document.part.dimension, "weights")
        initial = None
        if document.initial:
            initial = await self._weights(view, document.initial, document.model.parameters, "initial weights")
        task = Task(document, weights, initial)
        if not promised:
            await self._try(params.owner, task)
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
        sizes = {document.weights: 4 * document.part.dimension}
        if document.initial:
            sizes[document.initial] = 4 * document.model.parameters
        if isinstance(document.model, ForeignModel) and document.model.kind == "export":
            sizes[bytes.fromhex(document.model.source)] = document.model.size
        size, most, blobs = sum(sizes.values()), self._services.config.data_owner.max_download, self._services.blobs
        if size > most * MIB:
            raise Refused(f"the session's files have {size} bytes, more than data_owner.max_download = {most} MiB")
        if sum(sizes[digest] for digest in sizes if not blobs.has(digest)) > blobs.max_total - blobs.used:
            raise Refused(f"no room for the session's files of {size} bytes: see node.blob_space")

    async def _try(self, owner: bytes, task: Task) -> None:
        """One batch of our data before anything is promised: weights may be no numbers, a model too large.

        How long it waits for a place is not held against it. Trials have one place: an owner waits for it with one
        session at a time, and where that was late not again for a while. Raises Refused.
        """
        job = Job.check(task.document, self.data_path(), task.weights, task.initial)
        async with self._turn(owner):
            now = trio.current_time()
            self._late = {other: until for other, until in self._late.items() if until > now}
            if owner in self._late:
                raise Refused(f"a model of this owner took longer than {CHECK_S:g} s less than {LATE_S:g} s ago")
            try:
                await self._services.trainer.run([job], trial=True, limit_s=CHECK_S)
            except TrainingFailed as error:
                if isinstance(error, TrainingLate):
                    self._late[owner] = trio.current_time() + LATE_S
                raise Refused(f"the session's model cannot be used: {error}") from error

    @asynccontextmanager
    async def _turn(self, owner: bytes) -> AsyncIterator[None]:
        lock, count = self._trials.get(owner, (trio.Lock(), 0))
        self._trials[owner] = lock, count + 1
        try:
            async with lock:
                yield
        finally:
            lock, count = self._trials.pop(owner)
            if count > 1:
                self._trials[owner] = lock, count - 1

    async def _weights(self, view: Offer, digest: bytes, count: int, what: str) -> bytes:
        """A blob of ``count`` weights."""
        blob = await self.blob(view, digest, 4 * count)
        if len(blob) != 4 * count:
            raise Refused(f"{what} are {len(blob)} bytes, expected {4 * count}")
        return blob

    async def blob(self, view: Offer, digest: bytes, max_size: int) -> bytes:
        """The bytes of a blob of the session's owner."""
        return await trio.to_thread.run_sync((await self._fetched(view, digest, max_size)).read_bytes)

    async def _fetched(self, view: Offer, digest: bytes, max_size: int) -> Path:
        """A blob of the session's owner, who may be restarting: tried for as long as it can still be of use."""
        services, attempt = self._services, 0
        await self._files.take(view.session, digest, document=digest == view.p.doc_digest)
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
            await trio.sleep(min(0.5 * 2 ** min(attempt, 10), FETCH_PAUSE_S))  # no float has 2^1024
