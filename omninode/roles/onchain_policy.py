"""What a data owner asks of a session of the on-chain baseline before it promises anything: pay, gas, windows, W^p."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import trio

from omninode.chain.errors import ChainError
from omninode.chain.fees import FeePolicy, block_prices
from omninode.roles.onchain_driver import stored
from omninode.roles.session_task import Refused, Task, check_owner
from protocols.onchain import lanes
from protocols.onchain.limits import hurried, session_gas
from protocols.onchain.params import OnchainTerms, Training
from protocols.onchain.view import OnchainView

if TYPE_CHECKING:
    from omninode.chain.onchain import Onchain
    from omninode.roles.services import Services
    from omninode.roles.session_files import SessionFiles

T = TypeVar("T")
CHAIN_WAIT_S = 60.0
UPLOAD_PAUSE_S = 10.0


class OnchainPolicy:
    """The settings of ``[data_owner]`` as they are meant here; everything raises Refused with the reason."""

    def __init__(self, services: Services, onchain: Onchain, files: SessionFiles) -> None:
        self._services, self._onchain, self._files = services, onchain, files

    def check_terms(self, view: OnchainView) -> None:
        """What the chain's events tell alone."""
        assert view.training is not None
        policy, terms, training = self._services.config.data_owner, view.p, view.training
        check_owner(policy, terms.owner)
        if training.group_size < policy.min_group:
            raise Refused(f"rounds of {training.group_size}, fewer than data_owner.min_group = {policy.min_group}")
        if terms.reward // training.places < policy.min_reward:
            raise Refused(f"pays {terms.reward // training.places} wei for each place, less than min_reward")
        gas = session_gas(terms.dimension, training.rounds, training.group_size).data_owner
        if gas > policy.max_onchain_gas:
            raise Refused(
                f"would take about {gas:,} gas of this node, more than data_owner.max_onchain_gas = "
                f"{policy.max_onchain_gas:,}"
            )
        self._files.check_budget(stored(view.session))

    async def check_chain(self, view: OnchainView) -> None:
        """What it costs at today's prices, and whether the session can end: before registering."""
        assert view.training is not None
        terms, training = view.p, view.training
        base_fee, block_gas = await self._prices()
        if said := hurried(
            terms.dimension, training.rounds, training.group_size, terms.settle_blocks, block_gas
        ):  # fmt: skip
            raise Refused(said)
        if terms.gas_price_cap < base_fee:
            raise Refused(f"gas costs {base_fee} wei now, the session pays {terms.gas_price_cap} back at most")
        await self._check_balance(terms, base_fee)

    async def check_upload(self, view: OnchainView) -> None:
        """Half an upload is gas for nothing: wait until the wallet can pay for all of it, for as long as we are let.

        Prices fall again, a node of the chain comes back, somebody sends ether: whoever calls this ends it in time.
        """
        log, told = self._services.log.bind(session=view.session, onchain=True), False
        while True:
            try:
                await self._check_balance(view.p, (await self._prices())[0])
            except Refused as error:
                log.warning("upload_delayed", reason=str(error))
                if not told:
                    told = True
                    self._services.events.write("upload_delayed", session=view.session, onchain=True, reason=str(error))
            else:
                return
            await trio.sleep(UPLOAD_PAUSE_S)

    async def check_weights(self, session: int, training: Training, task: Task) -> None:
        """The owner's file must be numbers, and what it posted: everybody else starts from that, too."""
        published = np.frombuffer(task.weights, dtype="<f4").astype(np.float64)
        for what, weights in (("weights", task.weights), ("initial weights", task.initial or b"")):
            if not np.isfinite(np.frombuffer(weights, dtype="<f4")).all():
                raise Refused(f"the session's {what} are no numbers")
        posted = await self._ask(lambda: self._onchain.model(session), "reading the model")
        if not np.array_equal(posted, lanes.encode(published, training.places)):
            raise Refused("the weights that the owner gives out are not those that it put on the chain")

    async def _prices(self) -> tuple[int, int]:
        """Base fee and gas limit of the last block."""
        return await self._ask(lambda: block_prices(self._onchain.client), "reading a block")

    async def _check_balance(self, terms: OnchainTerms, base_fee: int) -> None:
        """Enough for whoever is the first of its round in every chunk."""
        own, client = self._services.wallet.address, self._onchain.client
        needs = session_gas(terms.dimension, 1, 1).data_owner * (base_fee + FeePolicy().tip)
        has = await self._ask(lambda: client.balance(own), "reading the balance")
        if has < needs:
            raise Refused(f"the wallet holds {has} wei, its transactions may take {needs}: send it ether")

    async def _ask(self, call: Callable[[], Awaitable[T]], what: str) -> T:
        try:
            return await self._onchain.client.retry(call, CHAIN_WAIT_S, what)
        except ChainError as error:
            raise Refused(str(error)) from error
