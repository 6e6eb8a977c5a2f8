"""A data owner in sessions of the on-chain baseline: the same policy, data and training as in those of the market."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from omninode.learning.document import SessionDocument
from omninode.roles.data_owner import DataOwner
from omninode.roles.onchain_driver import OnchainDriver, stored
from omninode.roles.onchain_policy import OnchainPolicy
from omninode.roles.session_task import UNUSABLE, Refused, Task
from protocols.onchain.data_owner import OnchainDataOwner as Machine
from protocols.onchain.params import OnchainTerms, State
from protocols.onchain.view import OnchainView
from protocols.sessions.params import Phase
from protocols.wire.context import Context

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.chain.onchain import Onchain
    from omninode.roles.services import Services


KEEP_REFUSALS = 1000


@dataclass
class _Offer:
    """A session as ``DataOwner`` fetches it: as long as registration is open it tries on and on.

    session: its number in the database.
    """

    session: int
    view: OnchainView

    @property
    def phase(self) -> Phase:
        return Phase.REGISTER if self.view.state <= State.REGISTER else Phase.FINISHED

    @property
    def p(self) -> OnchainTerms:
        return self.view.p


class OnchainDataOwner:
    """Uploads its whole trained public part, masked, chunk by chunk; there is no bound and no proof to it."""

    def __init__(self, services: Services, onchain: Onchain, data_owner: DataOwner) -> None:
        self._services, self._onchain, self._data_owner = services, onchain, data_owner
        self._policy = OnchainPolicy(services, onchain, data_owner.files)
        self.refusals: dict[int, str] = {}

    def wants(self, view: OnchainView) -> bool:
        """Sessions that can be joined, and those that we are registered in (after a restart)."""
        own = self._services.wallet.address
        if view.terms is None or view.training is None or view.p.owner == own:
            return False
        if view.member_of(own) is not None:
            return True
        return view.admits(own) and view.state == State.REGISTER and view.session not in self.refusals

    async def join(self, view: OnchainView) -> OnchainDriver | None:
        """Check the session against policy and data; a refusal is remembered with its reason and costs nothing."""
        services, session, task = self._services, view.session, None
        said = (view.head, view.terms, view.training)
        self._data_owner.files.begin(stored(session), lambda: view.ended)
        if view.member_of(services.wallet.address) is None:
            try:
                self._policy.check_terms(view)
                await self._policy.check_chain(view)
                task = await self._data_owner.before(lambda: view.state > State.REGISTER, lambda: self._looked_at(view))
                if (view.head, view.terms, view.training) != said:
                    raise Refused("a reorganisation put other terms in the place of those that were looked at")
            except UNUSABLE as error:
                self.refusals[session] = str(error)
                if len(self.refusals) > KEEP_REFUSALS:
                    del self.refusals[next(iter(self.refusals))]
                await self._data_owner.files.drop(stored(session))
                services.events.write("session_refused", session=session, onchain=True, reason=str(error))
                services.log.warning("session_refused", session=session, onchain=True, reason=str(error))
                return None
            services.events.write("session_joined", session=session, onchain=True)

        async def learn() -> NDArray[np.float64] | None:
            found = task or await self._task(view)
            start = np.frombuffer(found.weights, dtype="<f4").astype(np.float64)
            model = await self._data_owner.trained(stored(session), found, lambda update: start + update)
            await self._policy.check_upload(view)
            return model

        async def train() -> NDArray[np.float64] | None:
            return await self._data_owner.in_time(
                session, lambda: driver.machine.view.state > State.MODEL_AGGREGATE, learn, onchain=True
            )

        async def make(seed: bytes) -> Machine:
            context = Context(self._onchain.chain_id, view.head, session)
            return Machine(context, services.wallet.address, services.net.peer_key, seed)

        driver = OnchainDriver(self._data_owner.name, session, services, self._onchain, make, on_train=train)
        return driver

    async def _looked_at(self, view: OnchainView) -> Task:
        """The task, its weights held against the chain too: before registering."""
        training = view.training
        assert training is not None
        task = await self._task(view)
        await self._policy.check_weights(view.session, training, task)
        return task

    async def _task(self, view: OnchainView) -> Task:
        """Document and weights, held against chain and data. Raises one of UNUSABLE."""
        return await self._data_owner.tasks.offered(
            _Offer(stored(view.session), view),
            lambda document: self._fits(view, document),
            promised=view.member_of(self._services.wallet.address) is not None,
        )

    async def _fits(self, view: OnchainView, document: SessionDocument) -> None:
        """Whether the document is one of this session and for our data. Raises one of UNUSABLE."""
        training = view.training
        assert training is not None
        if document.perturbation is not None:
            raise Refused("the model is perturbed, which only goes with mode verified, not with the on-chain baseline")
        if (document.train.epochs, document.train.batch) != (training.epochs, training.batch):
            raise Refused("the document trains otherwise than the chain says")
        await self._data_owner.tasks.check_data(document, max(document.min_samples, training.samples))
