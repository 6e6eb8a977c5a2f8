"""Blocks of a local chain, mined when the stage says so: what every transaction used, and the time the chain took.

The time of a block is the chain's own processor time for the request that mines it, less that of an empty block:
executing, hashing and storing; neither signing, nor sending, nor waiting for others on the same machine. Noise only
ever adds to it: so the block and an empty one are mined several times on the same state (``evm_snapshot``,
``evm_revert``), and the least times count (of the empty ones around a block the median of them).
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from omninode.chain.client import ChainClient
from omninode.chain.errors import RpcError
from omninode.chain.transaction import MAX_TX_GAS, Receipt, Unsigned
from omninode.chain.wallet import Wallet
from omninode.chain.wire import parse_receipt
from protocols.sessions.params import Phase

GWEI = 10**9
MANY, FEW_TIMES = 200, 3  # where so many wait, a block takes so long that its noise is no matter
AT_ONCE = 100  # transactions in one request
PROCESS_CLOCK = 2  # with a process id above it: the kernel's number for that process' own clock
MAX_FEE = 100 * GWEI  # full blocks, one after the other, raise the base fee by an eighth each
TX_GAS = MAX_TX_GAS // 4
"""Gas limit of a transaction unless it says otherwise."""


@dataclass(frozen=True)
class Timings:
    """How blocks are timed. times: how often each is mined for it.  pid: of the chain's process."""

    times: int
    pid: int

    def now(self) -> float:
        """Milliseconds of processor time that the chain has used; where no kernel says so, of the clock on the wall."""
        if sys.platform == "linux":
            return 1e3 * time.clock_gettime(~self.pid << 3 | PROCESS_CLOCK)
        return 1e3 * time.perf_counter()


@dataclass(frozen=True)
class Sent:
    """A transaction on its way. tx_hash: "" where the contract would have refused it, so that it was not sent.

    size: bytes of calldata.  phase: of the session when it was sent.
    """

    call: str
    args: tuple[object, ...]
    sender: bytes
    size: int
    tx_hash: str
    phase: int = Phase.NONE


@dataclass(frozen=True)
class Mined:
    """One of a block's transactions. block: number, from 0, among those that the stage mined."""

    sent: Sent
    gas: int
    ok: bool
    block: int


@dataclass
class Gas:
    """Gas used: by function, one entry per call; and by who paid it. calldata: bytes of what was sent, by function.

    mined: every transaction.  milliseconds, empty_ms: by block with transactions, where blocks are timed; of an empty
    one in its place.
    """

    by_call: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_sender: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    calldata: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    mined: list[Mined] = field(default_factory=list)
    milliseconds: dict[int, float] = field(default_factory=dict)
    empty_ms: dict[int, float] = field(default_factory=dict)

    def add(self, sent: Sent, receipt: Receipt, block: int) -> None:
        """A mined transaction."""
        self.by_call[sent.call if receipt.ok else f"{sent.call}, reverted"].append(receipt.gas_used)
        self.by_sender[sent.sender] += receipt.gas_used
        self.mined.append(Mined(sent, receipt.gas_used, receipt.ok, block))

    @property
    def session(self) -> int:
        """All of it, without what provers pay once to be in the registry."""
        return sum(sum(used) for call, used in self.by_call.items() if not call.startswith("registry."))

    def times(self) -> list[float]:
        """Milliseconds by transaction, as in ``mined``: a block's are split by gas. Noise can make one negative.

        KeyError: blocks were not timed.
        """
        together: dict[int, int] = defaultdict(int)
        for mined in self.mined:
            together[mined.block] += mined.gas
        net = {block: self.milliseconds[block] - self._empty(block) for block in together}
        return [net[m.block] * m.gas / together[m.block] for m in self.mined]

    def _empty(self, block: int) -> float:
        """Of an empty block there: it grows with the chain's state, but not from one to the next; a median of five."""
        order = sorted(self.empty_ms)
        at = order.index(block)
        return statistics.median(self.empty_ms[near] for near in order[max(0, at - 2) : at + 3])


class Blocks:
    """Transactions of known wallets into the blocks of a chain that mines nothing by itself."""

    def __init__(
        self, client: ChainClient, chain_id: int, wallets: Sequence[Wallet], timings: Timings | None = None
    ) -> None:
        """timings: None if blocks are not timed."""
        self.client, self.chain_id, self.timings, self.gas, self._mined = client, chain_id, timings, Gas(), 0
        self._wallets = {wallet.address: wallet for wallet in wallets}
        self._raw: dict[str, str] = {}

    async def submit(self, sender: bytes, to: bytes, data: bytes, value: int, gas: int = TX_GAS) -> str:
        """Hash of the transaction, "" where the contract would refuse it: then a node does not send it either."""
        request = {"from": "0x" + sender.hex(), "data": "0x" + data.hex(), "value": hex(value), "gas": hex(gas)}
        if to:
            request["to"] = "0x" + to.hex()
        try:
            await self.client.rpc("eth_call", request, "latest")
        except RpcError:
            return ""
        nonce = await self.client.nonce(sender, "pending")
        unsigned = Unsigned(self.chain_id, nonce, GWEI // 10, MAX_FEE, gas, to, value, data)
        raw = "0x" + unsigned.sign(self._wallets[sender].sign_digest).hex()
        tx_hash = str(await self.client.rpc("eth_sendRawTransaction", raw))
        self._raw[tx_hash] = raw
        return tx_hash

    async def mine(self, sent: Sequence[Sent]) -> list[Sent]:
        """Mine one block and write down what everything used; a revert counts too. Returns what did not fit into it."""
        pool = [each for each in sent if each.tx_hash]
        if pool and self.timings:
            times = self.timings.times if len(pool) < MANY else min(self.timings.times, FEW_TIMES)
            full, empty = zip(*[await self._rehearse(pool, self.timings.now) for _ in range(times)], strict=True)
            self.gas.milliseconds[self._mined], self.gas.empty_ms[self._mined] = min(full), min(empty)
        await self.client.rpc("anvil_mine", "0x1")
        waiting = []
        for each in pool:
            receipt = await self.client.read(parse_receipt, "eth_getTransactionReceipt", each.tx_hash)
            if receipt is None:
                waiting.append(each)
            else:
                self.gas.add(each, receipt, self._mined)
        self._mined += 1
        return waiting

    async def _rehearse(self, pool: Sequence[Sent], now: Callable[[], float]) -> tuple[float, float]:
        """Milliseconds of the next block with all of it, and without any. Afterwards all is as it was."""
        raw = [("eth_sendRawTransaction", (self._raw[each.tx_hash],)) for each in pool]
        spent = []
        for _ in range(2):
            snapshot = await self.client.rpc("evm_snapshot")
            began = now()
            await self.client.rpc("anvil_mine", "0x1")
            spent.append(now() - began)
            await self.client.rpc("evm_revert", snapshot)
            await self.client.rpc("anvil_dropAllTransactions")  # of what did not fit
        for first in range(0, len(raw), AT_ONCE):
            await self.client.rpc_many(raw[first : first + AT_ONCE])
        return spent[0], spent[1]
