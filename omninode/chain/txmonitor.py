"""Follows our transactions block by block: sends, sends again, replaces, notices receipts, reorgs and taken nonces.

PENDING --receipt--> MINED --settle_blocks later--> FINAL;  MINED --its block was reorganised away--> PENDING.
A nonce that somebody else used (same key elsewhere): a new nonce under the same key, once the other use is settled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from omninode.chain.client import failure
from omninode.chain.errors import ChainError, RpcError, RpcUnavailable
from omninode.chain.fees import FeePolicy
from omninode.chain.interface import Interface
from omninode.chain.transaction import Receipt, TxRecord, TxState
from omninode.chain.wire import Block, block_tag, parse_block, parse_receipt, quantity

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from omninode.chain.client import ChainClient
    from omninode.chain.txstore import TxStore
    from omninode.chain.wallet import Wallet

POLL_S, SETTLE_POLL_S = 0.4, 1.5  # while something is pending; while something only settles
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
        wallet: Wallet,
        store: TxStore,
        log: FilteringBoundLogger,
        fees: FeePolicy,
        errors: Interface,
        on_receipt: Callable[[str, int, int], None] | None,
    ) -> None:
        self._client, self._wallet, self._store, self._log = client, wallet, store, log
        self._fees, self._errors, self._on_receipt = fees, errors, on_receipt
        self.tracked: dict[str, Tracked] = {}
        self.ready = trio.Event()
        self.scope = ""
        self._chain_id = 0
        self._next_nonce = 0
        self._head = b""
        self._assigning = trio.Lock()
        self._wake = trio.Event()

    async def open(self, expected_chain: int | None) -> None:
        """Learn the chain and what an earlier run left behind; waits for the RPC. Raises WrongChain."""
        client, own = self._client, "0x" + self._wallet.address.hex()
        self._chain_id = await client.retry(client.chain_id, float("inf"), "open transaction queue")
        if expected_chain is not None:
            await client.retry(lambda: client.check_chain(expected_chain), float("inf"), "open transaction queue")
        genesis = await client.retry(lambda: client.block(0), float("inf"), "open transaction queue")
        seed = genesis.hash.hex()[:16] if genesis else ""  # a development chain begins anew under the same id
        self.scope = f"{self._chain_id}/{seed}/{self._wallet.address.hex()}"
        for record in await trio.to_thread.run_sync(self._store.unsettled, self.scope):
            self.tracked[record.key] = Tracked(record)
        mempool = await client.retry(
            lambda: client.read(quantity, "eth_getTransactionCount", own, "pending"), float("inf"), "read nonce"
        )
        self._next_nonce = max([mempool, *(t.record.nonce + 1 for t in self.tracked.values())])
        self.ready.set()

    async def enter(self, record: TxRecord, tip: int, max_fee: int) -> Tracked:
        """Give a new record its nonce, sign it, write it down; ``run`` sends it. Raises StoreFailed."""
        async with self._assigning:
            with trio.CancelScope(shield=True):  # written and tracked, or neither
                record.nonce = self._next_nonce
                await self._offer(record, tip, max_fee)
                self._next_nonce += 1
                tracked = self.tracked[record.key] = Tracked(record)
        self._wake.set()
        return tracked

    async def run(self) -> None:
        """Until cancelled. A node that is down or talks nonsense is asked again later."""
        pause = POLL_S
        while True:
            try:
                await self._step()
                pending = any(t.record.state is TxState.PENDING for t in self.tracked.values())
                pause = POLL_S if pending else SETTLE_POLL_S if self.tracked else float("inf")
            except ChainError as error:
                self._log.warning("transactions_delayed", error=str(error))
                pause = min(max(pause, POLL_S) * 2, 5.0)
            with trio.move_on_after(pause):
                await self._wake.wait()
            self._wake = trio.Event()

    async def _step(self) -> None:
        """Look at the chain once and do what is due."""
        if not self.tracked:
            return
        own = "0x" + self._wallet.address.hex()
        answers = await self._client.rpc_many(
            [("eth_getBlockByNumber", ("latest", False)), ("eth_getTransactionCount", (own, "latest"))]
        )
        head, count = parse_block(answers[0]), quantity(answers[1])
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
        if self.tracked:
            await self._fill_gap(head, count)
        for tracked in sorted(self.tracked.values(), key=lambda t: t.record.nonce):
            if tracked.record.state is TxState.PENDING and tracked.record.nonce >= count:
                await self._advance(tracked, head, count)

    async def _settle(self, tracked: Tracked, head: Block, count: int) -> None:
        """A mined transaction: still there? Old enough to forget?"""
        record = tracked.record
        assert record.receipt is not None
        if record.nonce >= count:
            self._log.warning("transaction_reorganised_away", fn=record.fn, nonce=record.nonce)
            record.state, tracked.sent_block = TxState.PENDING, -1
        elif head.number - record.receipt.block >= SETTLE_BLOCKS:
            receipt = await self._receipt(record)
            if receipt is None:  # its nonce is used, by a block that came in a reorg
                record.state, tracked.taken_since = TxState.PENDING, head.number
                return
            record.receipt, record.state, record.data = receipt, TxState.FINAL, b""
            await self._save(record)
            del self.tracked[record.key]

    async def _look_up(self, tracked: Tracked, head: Block) -> None:
        """The nonce is used: by an attempt of ours (then there is a receipt) or by somebody else with our key."""
        record = tracked.record
        receipt = await self._receipt(record)
        if receipt is not None:
            await self._mined(tracked, receipt)
        elif tracked.taken_since < 0:
            tracked.taken_since = head.number
        elif head.number - tracked.taken_since >= TAKEN_BLOCKS:
            self._log.warning("nonce_taken", fn=record.fn, nonce=record.nonce, by="another user of this wallet")
            async with self._assigning:
                record.nonce = self._next_nonce
                await self._offer(record, *self._fees.first(head.base_fee))
                self._next_nonce += 1
            tracked.sent_block = tracked.taken_since = -1

    async def _mined(self, tracked: Tracked, receipt: Receipt) -> None:
        record = tracked.record
        first = record.receipt is None
        if not receipt.ok:
            await self._explain(record, receipt)
        record.receipt, record.state = receipt, TxState.MINED
        try:
            await self._save(record)  # a disk that is full now costs a look-up after a restart, no more
        finally:
            tracked.done.set()
            if first and self._on_receipt is not None:
                self._on_receipt(record.fn, receipt.gas_used, receipt.price)

    async def _explain(self, record: TxRecord, receipt: Receipt) -> None:
        """Why it reverted: run it again on the state after its block; a race within the block shows there too."""
        if receipt.gas_used >= record.gas:
            record.reason = f"out of gas ({record.gas})"
            return
        request = {
            "from": "0x" + self._wallet.address.hex(), "to": "0x" + record.to.hex(), "data": "0x" + record.data.hex(),
            "value": hex(record.value), "gas": hex(record.gas),
        }  # fmt: skip
        try:
            await self._client.rpc("eth_call", request, block_tag(receipt.block))
        except RpcError as error:
            said = failure(self._errors, record.fn, error, sent=True)
            record.reason, record.error = (said.reason, said.error) if said else (error.message, "")
        else:
            record.reason = "reverted for a reason that no longer holds"

    async def _receipt(self, record: TxRecord) -> Receipt | None:
        """The receipt of whichever attempt was mined."""
        asked = [("eth_getTransactionReceipt", ("0x" + a.tx_hash.hex(),)) for a in reversed(record.attempts)]
        for answer in await self._client.rpc_many(asked):
            if (receipt := parse_receipt(answer)) is not None:
                return receipt
        return None

    async def _advance(self, tracked: Tracked, head: Block, count: int) -> None:
        """A transaction that waits: send it the first time; replace it or say it again after some blocks."""
        record = tracked.record
        if tracked.sent_block >= 0:
            if head.number - tracked.sent_block < self._fees.after_blocks:
                return
            if record.nonce == count:  # the others wait for this one
                await self._bump(record, head)
        tracked.sent_block = head.number if await self._send(record) else -1

    async def _bump(self, record: TxRecord, head: Block) -> None:
        last = record.last
        suggested = 0
        try:
            suggested = await self._client.read(quantity, "eth_maxPriorityFeePerGas")
        except RpcError:
            self._log.debug("no_suggested_tip", url=self._client.shown_url)
        offer = self._fees.bumped(last.tip, last.max_fee, head.base_fee, suggested)
        if offer is None:
            self._log.warning("fee_cap_reached", fn=record.fn, nonce=record.nonce, max_fee=last.max_fee)
            return
        await self._offer(record, *offer)
        self._log.info("transaction_replaced", fn=record.fn, nonce=record.nonce, tip=offer[0], max_fee=offer[1])

    async def _send(self, record: TxRecord) -> bool:
        """Hand the last attempt to the node. False where the node would not take it now."""
        try:
            await self._client.rpc("eth_sendRawTransaction", "0x" + record.last.raw.hex())
        except RpcError as error:
            message = error.message.lower()
            if any(known in message for known in ("already known", "already imported", "nonce too low")):
                return True
            self._log.warning("transaction_not_taken", fn=record.fn, nonce=record.nonce, why=error.message)
            return "underpriced" in message  # then a replacement follows after some blocks
        return True

    async def _fill_gap(self, head: Block, count: int) -> None:
        """Nonces below all of ours that nothing uses (lost in a deep reorg) would block us for ever: use them up."""
        async with self._assigning:
            mine = {t.record.nonce for t in self.tracked.values()}
            for nonce in sorted(set(range(count, max(mine))) - mine):
                key = f"filler/{nonce}/{head.hash.hex()[:16]}"
                filler = TxRecord(key, "filler", nonce, self._wallet.address, 0, b"", TRANSFER_GAS)
                await self._offer(filler, *self._fees.first(head.base_fee))
                self.tracked[key] = Tracked(filler)
                self._log.warning("nonce_gap_filled", nonce=nonce)

    async def _offer(self, record: TxRecord, tip: int, max_fee: int) -> None:
        """A new signed attempt, on disk before anybody can send it. Raises StoreFailed and leaves none."""
        record.offer(self._wallet.sign_digest, self._chain_id, tip, max_fee)
        try:
            await self._save(record)
        except BaseException:
            record.attempts.pop()
            raise

    async def _save(self, record: TxRecord) -> None:
        await trio.to_thread.run_sync(self._store.save, self.scope, record)
