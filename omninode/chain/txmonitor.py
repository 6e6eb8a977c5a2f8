"""Follows our transactions block by block: sends, sends again, replaces, notices receipts, reorgs and taken nonces.

PENDING --receipt--> MINED --settle_blocks later--> FINAL;  MINED --its block was reorganised away--> PENDING.
A nonce that somebody else used (same key elsewhere): a new nonce under the same key, once the other use is settled.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

import trio

from omninode.chain.errors import ChainError, RpcUnavailable
from omninode.chain.fees import FeePolicy
from omninode.chain.transaction import Receipt, TxRecord, TxState
from omninode.chain.txsender import Sender
from omninode.chain.wire import Block, parse_block, quantity

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from omninode.chain.client import ChainClient
    from omninode.chain.txstore import TxStore

POLL_S, SETTLE_POLL_S, LONGEST_PAUSE_S = 0.4, 1.5, 5.0  # while something is pending; while it only settles; RPC down
SETTLE_BLOCKS = 12  # after these a transaction is forgotten
TAKEN_BLOCKS = 3  # blocks after which a nonce without a receipt of ours counts as taken by another
TRANSFER_GAS = 21_000


class Tracked:
    """A record with what is known in memory only. done: set once mined (or when loaded from disk as mined)."""

    def __init__(self, record: TxRecord) -> None:
        self.record = record
        self.done = trio.Event()
        self.sent_block = -1  # head when it was last sent, -1: must be sent
        self.taken_since = -1  # head when its nonce was first seen used without a receipt of ours
        if record.receipt is not None:
            self.done.set()


class Monitor:
    """Owner of a wallet's nonces. ``open`` first, then ``run`` for ever; ``enter`` from any task."""

    def __init__(
        self,
        client: ChainClient,
        address: bytes,
        store: TxStore,
        sender: Sender,
        log: FilteringBoundLogger,
        fees: FeePolicy,
        on_receipt: Callable[[str, int, int], None] | None,
    ) -> None:
        self._client, self._own, self._store, self._sender = client, address, store, sender
        self._log, self._fees, self._on_receipt = log, fees, on_receipt
        self.tracked: dict[str, Tracked] = {}
        self.ready = trio.Event()
        self._next_nonce = 0
        self._head = b""
        self._assigning = trio.Lock()
        self._wake = trio.Event()

    async def open(self, expected_chain: int | None) -> None:
        """Learn the chain and what an earlier run left behind; waits for the RPC. Raises WrongChain."""
        client, sender = self._client, self._sender
        sender.chain_id = await client.retry(client.chain_id, inf, "open transaction queue")
        if expected_chain is not None:
            await client.retry(lambda: client.check_chain(expected_chain), inf, "open transaction queue")
        genesis = await client.retry(lambda: client.block(0), inf, "open transaction queue")
        seed = genesis.hash.hex()[:16] if genesis else ""  # a development chain begins anew under the same id
        sender.scope = f"{sender.chain_id}/{seed}/{self._own.hex()}"
        for record in await trio.to_thread.run_sync(self._store.unsettled, sender.scope):
            self.tracked[record.key] = Tracked(record)
        pool = await client.retry(lambda: client.nonce(self._own, "pending"), inf, "open transaction queue")
        self._next_nonce = max([pool, *(t.record.nonce + 1 for t in self.tracked.values())])
        self.ready.set()

    async def enter(self, record: TxRecord, tip: int, max_fee: int) -> Tracked:
        """Give a new record its nonce, sign it, write it down; ``run`` sends it. Raises StoreFailed."""
        with trio.CancelScope(shield=True):  # written and tracked, or neither
            await self._assign(record, tip, max_fee)
            tracked = self.tracked[record.key] = Tracked(record)
        self._wake.set()
        return tracked

    async def _assign(self, record: TxRecord, tip: int, max_fee: int) -> None:
        """The next free nonce. It stays free where the record cannot be written."""
        async with self._assigning:
            before, record.nonce = record.nonce, self._next_nonce
            try:
                await self._sender.offer(record, tip, max_fee)
            except BaseException:
                record.nonce = before
                raise
            self._next_nonce += 1

    async def run(self) -> None:
        """Until cancelled. A node that is down or talks nonsense is asked again later."""
        pause = POLL_S
        while True:
            try:
                await self._step()
                pending = any(t.record.state is TxState.PENDING for t in self.tracked.values())
                pause = POLL_S if pending else SETTLE_POLL_S if self.tracked else inf
            except ChainError as error:
                self._log.warning("transactions_delayed", error=str(error))
                pause = min(max(pause, POLL_S) * 2, LONGEST_PAUSE_S)
            with trio.move_on_after(pause):
                await self._wake.wait()
            self._wake = trio.Event()

    async def _step(self) -> None:
        """Look at the chain once and do what is due."""
        if not self.tracked:
            return
        asked = ("0x" + self._own.hex(), "latest")
        head, count = await self._client.read_many(
            [(parse_block, "eth_getBlockByNumber", ("latest", False)), (quantity, "eth_getTransactionCount", asked)]
        )
        if head is None:
            raise RpcUnavailable(self._client.shown_url, "no latest block")
        fresh, self._head = head.hash != self._head, head.hash
        self._next_nonce = max(self._next_nonce, count)
        for tracked in sorted(self.tracked.values(), key=lambda t: t.record.nonce):
            if tracked.record.state is TxState.MINED:
                if fresh:
                    await self._settle(tracked, head, count)
            elif tracked.record.nonce < count:
                await self._look_up(tracked, head)
        await self._fill_gap(head, count)
        for tracked in sorted(self.tracked.values(), key=lambda t: t.record.nonce):
            if tracked.record.state is TxState.PENDING and tracked.record.nonce >= count:
                await self._advance(tracked, head, count)

    async def _settle(self, tracked: Tracked, head: Block, count: int) -> None:
        """A mined transaction: still there? Old enough to forget?"""
        record = tracked.record
        if record.nonce >= count:
            self._log.warning("transaction_reorganised_away", fn=record.fn, nonce=record.nonce)
            record.state, tracked.sent_block = TxState.PENDING, -1
        elif record.receipt is not None and head.number - record.receipt.block >= SETTLE_BLOCKS:
            receipt = await self._sender.receipt(record)
            if receipt is None:  # its nonce is used, by a block that came in a reorg
                record.state, tracked.taken_since = TxState.PENDING, head.number
                return
            record.receipt, record.state, record.data = receipt, TxState.FINAL, b""
            await self._sender.save(record)
            del self.tracked[record.key]

    async def _look_up(self, tracked: Tracked, head: Block) -> None:
        """The nonce is used: by an attempt of ours (then there is a receipt) or by somebody else with our key."""
        record = tracked.record
        receipt = await self._sender.receipt(record)
        if receipt is not None:
            await self._mined(tracked, receipt)
        elif tracked.taken_since < 0:
            tracked.taken_since = head.number
        elif head.number - tracked.taken_since >= TAKEN_BLOCKS:
            self._log.warning("nonce_taken", fn=record.fn, nonce=record.nonce, by="another user of this wallet")
            await self._assign(record, *self._fees.first(head.base_fee))
            tracked.sent_block = tracked.taken_since = -1

    async def _mined(self, tracked: Tracked, receipt: Receipt) -> None:
        record = tracked.record
        first = record.receipt is None
        if not receipt.ok:
            await self._sender.explain(record, receipt)
        record.receipt, record.state = receipt, TxState.MINED
        try:
            await self._sender.save(record)  # a disk that is full now costs a look-up after a restart, no more
        finally:
            tracked.done.set()
            if first and self._on_receipt is not None:
                self._on_receipt(record.fn, receipt.gas_used, receipt.price)

    async def _advance(self, tracked: Tracked, head: Block, count: int) -> None:
        """A transaction that waits: send it the first time; replace it or say it again after some blocks."""
        record = tracked.record
        if tracked.sent_block >= 0:
            if head.number - tracked.sent_block < self._fees.after_blocks:
                return
            if record.nonce == count:  # the others wait for this one
                await self._sender.bump(record, head)
        tracked.sent_block = head.number if await self._sender.send(record) else -1

    async def _fill_gap(self, head: Block, count: int) -> None:
        """Nonces below ours that nothing uses (lost in a deep reorg) would block us for ever: use them up."""
        async with self._assigning:
            mine = {t.record.nonce for t in self.tracked.values()}
            for nonce in sorted(set(range(count, max(mine, default=count))) - mine):
                key = f"filler/{nonce}/{head.hash.hex()[:16]}"
                filler = TxRecord(key, "filler", nonce, self._own, 0, b"", TRANSFER_GAS)
                await self._sender.offer(filler, *self._fees.first(head.base_fee))
                self.tracked[key] = Tracked(filler)
                self._log.warning("nonce_gap_filled", nonce=nonce)
