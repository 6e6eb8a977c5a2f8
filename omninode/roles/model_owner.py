"""The model owner: pays for sessions, opens the sum of what was accepted, and goes on training with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from omninode.learning.document import SessionDocument
from omninode.learning.service import TrainingFailed
from omninode.roles.driver import SessionDriver
from omninode.roles.machine import Machine
from omninode.roles.owner_model import OwnerModel
from omninode.roles.session_creation import SessionCreation
from omninode.roles.session_keys import Beforehand
from omninode.store.blobs import BlobError
from protocols.sessions import machines
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import SessionParams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from omninode.roles.services import Services
    from protocols.sessions.view import SessionView

REFERENCE_TRIES = 3
APPLY_TRIES = 3


class ModelOwner:
    """Role "model_owner"."""

    name = "model_owner"

    def __init__(self, services: Services) -> None:
        self._services = services
        self.model = OwnerModel(services)
        self.creation = SessionCreation(services, self.model)
        self._applying: set[int] = set()
        self._unreadable: set[int] = set()

    async def run(self) -> None:
        """Have a model: the saved one, or a first one trained on the owner's own data."""
        await self.model.load_or_pretrain()
        await trio.sleep_forever()

    def wants(self, view: SessionView) -> bool:
        """Our own sessions."""
        return view.params is not None and view.params.owner == self._services.wallet.address

    async def join(self, view: SessionView) -> SessionDriver | None:
        """A driver that makes the reference update where one is used, and opens the sum when the batch is final."""
        return SessionDriver(
            self.name, self._services.context(view.session), self._services, lambda seed: self.machine(view, seed),
            on_train=partial(self._reference, view), after=self._look, before=Beforehand(self._services, view),
        )  # fmt: skip

    def machine(self, view: SessionView, seed: bytes) -> Machine:
        """The protocol machine of one session; overridden where a test wants another behaviour."""
        services = self._services
        return machines.owner(view.p, services.context(view.session), services.identity(), seed, services.keys)

    def model_status(self) -> dict[str, Any]:
        """For `status`."""
        return self.model.status()

    # -- reference ------------------------------------------------------------------------------------------------

    async def _reference(self, view: SessionView) -> NDArray[np.int64] | None:
        """The owner's update on its root set; None where there will be none: the session does without it, then."""
        services, session = self._services, view.session
        await self.model.ready.wait()
        reason = "no root set is held out here"
        for attempt in range(REFERENCE_TRIES if self.model.has_root_set else 0):
            try:
                return await self.model.reference(await self._document_of(view.p))
            except (TrainingFailed, BlobError, ValueError, OSError) as error:
                reason = str(error)
                services.log.warning("reference_failed", session=session, reason=reason, attempt=attempt)
                await trio.sleep(2.0**attempt)
        services.events.write("update_refused", session=session, reason=reason)
        return None

    async def _document_of(self, params: SessionParams) -> SessionDocument:
        data = await trio.to_thread.run_sync(self._services.blobs.read, params.doc_digest)
        return SessionDocument.decode(data)

    # -- output ---------------------------------------------------------------------------------------------------

    def _look(self, driver: SessionDriver) -> None:
        """After every input: has the machine opened the sum?"""
        machine = driver.machine
        assert isinstance(machine, OwnerMachine)
        ours = driver.session not in self._applying | self._unreadable and not self.model.has(driver.session)
        if machine.result is not None and ours:
            self._applying.add(driver.session)
            driver.start_work(partial(self._apply, driver, machine))

    async def _apply(self, driver: SessionDriver, machine: OwnerMachine) -> None:
        try:
            await self._apply_result(driver, machine)
        finally:
            self._applying.discard(driver.session)  # cut short by a restart: the next input starts it again

    async def _apply_result(self, driver: SessionDriver, machine: OwnerMachine) -> None:
        assert machine.result is not None
        params = machine.view.p
        try:
            document = await self._document_of(params)
        except ValueError as error:  # of a version before this one
            self._unreadable.add(driver.session)
            self._services.log.error("sum_lost", session=driver.session, reason=str(error))
            self._services.events.write("session_failed", session=driver.session, reason=str(error))
            return
        await self.model.ready.wait()
        for attempt in range(APPLY_TRIES):
            try:
                return await self.model.apply(driver.session, params, document, machine.result)
            except TrainingFailed as error:
                self._services.log.warning("apply_failed", session=driver.session, reason=str(error), attempt=attempt)
                if attempt == APPLY_TRIES - 1:
                    raise
                await trio.sleep(2.0**attempt)

    # -- creation -------------------------------------------------------------------------------------------------

    async def create_session(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """Escrow and open a session on the current model. Raises RefusedError or UsageError with what to change."""
        return await self.creation.create(overrides)
