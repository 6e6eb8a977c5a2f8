"""Blocks of a local chain, mined when the stage says so: what every transaction used, and the time the chain took.

The time of a block is that of the request that mines it, less that of an empty block (the median of the empty ones of
the same session): executing, hashing and storing; neither signing, nor sending, nor waiting.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from omninode.chain.client import ChainClient
from omninode.chain.errors import RpcError
from omninode.chain.transaction import MAX_TX_GAS, Receipt, Unsigned
from omninode.chain.wallet import Wallet
from omninode.chain.wire import parse_receipt
from protocols.sessions.params import Phase

GWEI = 10**9
TX_GAS = MAX_TX_GAS // 4
"""Gas limit of a transaction unless it says otherwise."""


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
    """One of a block's transactions. block: index into ``Gas.milliseconds``."""

    sent: Sent
    gas: int
    ok: bool
    block: int


@dataclass
class Gas:
    """Gas used: by function, one entry per call; and by who paid it. calldata: bytes of what was sent, by function.

    mined: every transaction.  milliseconds: of the request that mined each block.
    """

    by_call: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_sender: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    calldata: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    mined: list[Mined] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def add(self, sent: Sent, receipt: Receipt) -> None:
        """A transaction of the last block."""
        self.by_call[sent.call if receipt.ok else f"{sent.call}, reverted"].append(receipt.gas_used)
        self.by_sender[sent.sender] += receipt.gas_used
        self.mined.append(Mined(sent, receipt.gas_used, receipt.ok, len(self.milliseconds) - 1))

    @property
    def session(self) -> int:
        """All of it, without what provers pay once to be in the registry."""
        return sum(sum(used) for call, used in self.by_call.items() if not call.startswith("registry."))

    @property
    def empty_ms(self) -> float:
        """Milliseconds of an empty block: the median. ValueError where there was none."""
        full = {mined.block for mined in self.mined}
        empty = [spent for block, spent in enumerate(self.milliseconds) if block not in full]
        if not empty:
            raise ValueError("no block was empty")
        return statistics.median(empty)

    def times(self) -> list[float]:
        """Milliseconds by transaction, as in ``mined``: a block's are split by gas. Noise can make one negative."""
        empty, together = self.empty_ms, [0] * len(self.milliseconds)
        for mined in self.mined:
            together[mined.block] += mined.gas
        return [(self.milliseconds[m.block] - empty) * m.gas / together[m.block] for m in self.mined]


class Blocks:
    """Transactions of known wallets into the blocks of a chain that mines nothing by itself."""

    def __init__(self, client: ChainClient, chain_id: int, wallets: Sequence[Wallet]) -> None:
        self.client, self.chain_id, self.gas = client, chain_id, Gas()
        self._wallets = {wallet.address: wallet for wallet in wallets}

    async def submit(self, sender: bytes, to: bytes, data: bytes, value: int, gas: int = TX_GAS) -> str:
        """Hash of the transaction, "" where the contract would refuse it: then a node does not send it either."""
        request = {"from": "0x" + sender.hex(), "to": "0x" + to.hex(), "data": "0x" + data.hex(), "value": hex(value)}
        try:
            await self.client.rpc("eth_estimateGas", request, "latest")
        except RpcError:
            return ""
        nonce = await self.client.nonce(sender, "pending")
        unsigned = Unsigned(self.chain_id, nonce, GWEI // 10, 10 * GWEI, gas, to, value, data)
        raw = unsigned.sign(self._wallets[sender].sign_digest)
        return str(await self.client.rpc("eth_sendRawTransaction", "0x" + raw.hex()))

    async def mine(self, sent: Sequence[Sent]) -> list[Sent]:
        """Mine one block and write down what everything used; a revert counts too. Returns what did not fit into it."""
        began = time.perf_counter()
        await self.client.rpc("anvil_mine", "0x1")
        self.gas.milliseconds.append(1e3 * (time.perf_counter() - began))
        waiting = []
        for each in sent:
            if not each.tx_hash:
                continue
            receipt = await self.client.read(parse_receipt, "eth_getTransactionReceipt", each.tx_hash)
            if receipt is None:
                waiting.append(each)
            else:
                self.gas.add(each, receipt)
        return waiting
