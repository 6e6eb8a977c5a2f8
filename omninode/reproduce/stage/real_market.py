"""The real contracts on a real chain, for machines that all run in one process.

The machines run in one thread; what they send to the contract becomes signed transactions, a block is mined when the
simulation says so, and the logs come back as events. Every transaction's gas is written down.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from omninode.chain.client import ChainClient
from omninode.chain.convert import params_to_struct
from omninode.chain.market import Market
from omninode.chain.wallet import Wallet
from omninode.chain.wire import quantity
from omninode.reproduce.stage.blocks import Blocks, Gas, Sent, Timings
from protocols.sessions import events as ev
from protocols.sessions.params import Phase, SessionParams
from protocols.wire.context import Context


class RealMarket:
    """One session of ``market``. ``send`` and ``mine`` are called from a worker thread of the running trio."""

    def __init__(
        self, client: ChainClient, market: Market, wallets: Sequence[Wallet], timings: Timings | None = None
    ) -> None:
        """timings: see ``Blocks``."""
        self.blocks, self.block, self.session = Blocks(client, market.chain_id, wallets, timings), 0, 0
        self._client, self._market = client, market
        self._deposit, self._phase = 0, Phase.NONE
        self._queue: list[tuple[bytes, str, tuple[object, ...]]] = []

    @property
    def gas(self) -> Gas:
        """What was used so far."""
        return self.blocks.gas

    async def stake(self, sender: bytes, peer_key: bytes, enc_key: bytes, stake: int) -> None:
        """Enter a prover into the registry; a block of its own."""
        registry = self._market.registry
        call = registry.contract.interface.function("register").call_data((peer_key, enc_key))
        tx_hash = await self.blocks.submit(sender, registry.address, call, stake)
        await self._in_block([Sent("registry.register", (), sender, len(call), tx_hash)])

    async def create(self, params: SessionParams) -> Context:
        """The owner's transaction, and what everything in the session is bound to. Events wait for ``news``."""
        self.block = await self._head()
        escrow = await self._market.required_escrow(params)
        call = self._market.contract.interface.function("createSession").call_data((params_to_struct(params),))
        tx_hash = await self.blocks.submit(params.owner, self._market.address, call, escrow)
        if not tx_hash:
            raise RuntimeError("the contract refuses these terms")
        await self._in_block([Sent("createSession", (), params.owner, len(call), tx_hash)])
        self.session, self._deposit = await self._market.session_count(), params.deposit
        return Context(self._market.chain_id, self._market.address, self.session)

    def send(self, sender: bytes, call: str, args: tuple[object, ...]) -> None:
        """Queue a transaction for the next block."""
        self._queue.append((sender, call, args))

    def mine(self) -> list[ev.ChainEvent]:
        """The next block with what was queued; its events."""
        return trio.from_thread.run(self._mine)

    async def _mine(self) -> list[ev.ChainEvent]:
        queue, self._queue = self._queue, []
        sent = []
        for sender, call, args in queue:
            data = self._market.contract.interface.function(call).call_data((self.session, *args))
            value = self._deposit if call == "register" else 0
            self.gas.calldata[call].append(len(data))
            tx_hash = await self.blocks.submit(sender, self._market.address, data, value)
            sent.append(Sent(call, args, sender, len(data), tx_hash, self._phase))
        await self._in_block(sent)
        return await self.news()

    async def _in_block(self, sent: Sequence[Sent]) -> None:
        """Mine one block. RuntimeError unless everything fits into it."""
        if waiting := await self.blocks.mine(sent):
            raise RuntimeError(f"{waiting[0].call} was not mined")

    async def _head(self) -> int:
        return await self._client.read(quantity, "eth_blockNumber")

    async def news(self) -> list[ev.ChainEvent]:
        """The session's events since the last look."""
        head = await self._head()
        logs = await self._client.logs([self._market.address], self.block + 1, head)
        self.block = head
        events = [event for log in logs if (event := await self._market.decode(log)) is not None]
        mine = [event for event in events if event.session == self.session]
        for event in mine:
            if isinstance(event, ev.PhaseChanged):
                self._phase = Phase(event.phase)
        return mine
