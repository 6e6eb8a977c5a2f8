"""The real contracts on a real chain, for machines that all run in one process.

The machines run in one thread; what they send to the contract becomes signed transactions, a block
is mined when the simulation says so, and the logs come back as events. Every transaction's gas is written down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from omninode.chain.client import ChainClient
from omninode.chain.convert import params_to_struct
from omninode.chain.errors import RpcError
from omninode.chain.market import Market
from omninode.chain.transaction import MAX_TX_GAS, Unsigned
from omninode.chain.wallet import Wallet
from omninode.chain.wire import parse_receipt, quantity
from protocols.sessions import events as ev
from protocols.sessions.params import SessionParams
from protocols.wire.context import Context

GWEI = 10**9


@dataclass
class Gas:
    """Gas used: by function, one entry per call; and by who paid it. calldata: bytes of what was sent, by function."""

    by_call: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_sender: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    calldata: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, call: str, sender: bytes, used: int) -> None:
        """One mined transaction."""
        self.by_call[call].append(used)
        self.by_sender[sender] += used

    @property
    def session(self) -> int:
        """All of it, without what provers pay once to be in the registry."""
        return sum(sum(used) for call, used in self.by_call.items() if not call.startswith("registry."))


class RealMarket:
    """One session of ``market``. ``send`` and ``mine`` are called from a worker thread of the running trio."""

    def __init__(self, client: ChainClient, market: Market, wallets: Sequence[Wallet]) -> None:
        self.gas, self.block, self.session = Gas(), 0, 0
        self._client, self._market = client, market
        self._wallets = {wallet.address: wallet for wallet in wallets}
        self._deposit = 0
        self._queue: list[tuple[bytes, str, tuple[object, ...]]] = []

    async def stake(self, sender: bytes, peer_key: bytes, enc_key: bytes, stake: int) -> None:
        """Enter a prover into the registry; a block of its own."""
        registry = self._market.registry
        call = registry.contract.interface.function("register").call_data((peer_key, enc_key))
        await self._in_block([("registry.register", sender, await self._submit(sender, registry.address, call, stake))])

    async def create(self, params: SessionParams) -> Context:
        """The owner's transaction, and what everything in the session is bound to. Events wait for ``news``."""
        escrow = await self._market.required_escrow(params)
        call = self._market.contract.interface.function("createSession").call_data((params_to_struct(params),))
        sent = await self._submit(params.owner, self._market.address, call, escrow)
        await self._in_block([("createSession", params.owner, sent)])
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
            sent.append((call, sender, await self._submit(sender, self._market.address, data, value)))
        await self._in_block(sent)
        return await self.news()

    async def _submit(self, sender: bytes, to: bytes, data: bytes, value: int) -> str:
        """Hash of the transaction, "" where the contract would refuse it: then a node does not send it either."""
        request = {"from": "0x" + sender.hex(), "to": "0x" + to.hex(), "data": "0x" + data.hex(), "value": hex(value)}
        try:
            await self._client.rpc("eth_estimateGas", request, "latest")
        except RpcError:
            return ""
        nonce = await self._client.nonce(sender, "pending")
        chain_id = self._market.chain_id
        unsigned = Unsigned(chain_id, nonce, GWEI // 10, 10 * GWEI, MAX_TX_GAS // 4, to, value, data)
        raw = unsigned.sign(self._wallets[sender].sign_digest)
        return str(await self._client.rpc("eth_sendRawTransaction", "0x" + raw.hex()))

    async def _in_block(self, sent: Sequence[tuple[str, bytes, str]]) -> None:
        """Mine one block and write down what each (call, sender, hash) used; a revert counts too."""
        await self._client.rpc("anvil_mine", "0x1")
        for call, sender, tx_hash in sent:
            receipt = await self._client.read(parse_receipt, "eth_getTransactionReceipt", tx_hash) if tx_hash else None
            if tx_hash and receipt is None:
                raise RuntimeError(f"{call} was not mined")
            if receipt is not None:
                self.gas.add(call if receipt.ok else f"{call}, reverted", sender, receipt.gas_used)

    async def news(self) -> list[ev.ChainEvent]:
        """The session's events since the last look."""
        head = await self._client.read(quantity, "eth_blockNumber")
        logs = await self._client.logs([self._market.address], max(self.block + 1, self._market.start_block), head)
        self.block = head
        events = [event for log in logs if (event := await self._market.decode(log)) is not None]
        return [event for event in events if event.session == self.session]
