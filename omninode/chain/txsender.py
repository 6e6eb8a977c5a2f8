"""Signs, saves, sends and looks up single transactions; when to do what is the monitor's affair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from omninode.chain.client import failure
from omninode.chain.errors import RpcError
from omninode.chain.fees import FeePolicy
from omninode.chain.interface import Interface
from omninode.chain.transaction import Receipt, TxRecord
from omninode.chain.wire import Block, block_tag, parse_receipt, quantity

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from omninode.chain.client import ChainClient
    from omninode.chain.txstore import TxStore
    from omninode.chain.wallet import Wallet


class Sender:
    """One wallet on one chain. chain_id and scope are set once the chain is known."""

    def __init__(
        self,
        client: ChainClient,
        wallet: Wallet,
        store: TxStore,
        log: FilteringBoundLogger,
        fees: FeePolicy,
        errors: Interface,
    ) -> None:
        self._client, self._wallet, self._store, self._log = client, wallet, store, log
        self._fees, self._errors = fees, errors
        self.chain_id = 0
        self.scope = ""

    async def save(self, record: TxRecord) -> None:
        """On disk when this returns. Raises StoreFailed."""
        await trio.to_thread.run_sync(self._store.save, self.scope, record)

    async def offer(self, record: TxRecord, tip: int, max_fee: int) -> None:
        """A new signed attempt, on disk before anybody can send it. Raises StoreFailed and leaves none."""
        record.offer(self._wallet.sign_digest, self.chain_id, tip, max_fee)
        try:
            await self.save(record)
        except BaseException:
            record.attempts.pop()
            raise

    async def bump(self, record: TxRecord, head: Block) -> None:
        """A new attempt with higher fees, unless the cap forbids it."""
        last, suggested = record.last, 0
        try:
            suggested = await self._client.read(quantity, "eth_maxPriorityFeePerGas")
        except RpcError:
            self._log.debug("no_suggested_tip", url=self._client.shown_url)
        fees = self._fees.bumped(last.tip, last.max_fee, head.base_fee, suggested)
        if fees is None:
            self._log.warning("fee_cap_reached", fn=record.fn, nonce=record.nonce, max_fee=last.max_fee)
            return
        await self.offer(record, *fees)
        self._log.info("transaction_replaced", fn=record.fn, nonce=record.nonce, tip=fees[0], max_fee=fees[1])

    async def send(self, record: TxRecord) -> bool:
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

    async def receipt(self, record: TxRecord) -> Receipt | None:
        """The receipt of whichever attempt was mined."""
        asked = [
            (parse_receipt, "eth_getTransactionReceipt", ("0x" + attempt.tx_hash.hex(),))
            for attempt in reversed(record.attempts)
        ]
        return next((found for found in await self._client.read_many(asked) if found is not None), None)

    async def explain(self, record: TxRecord, receipt: Receipt) -> None:
        """Why it reverted: run it again on the state after its block; a race within the block shows there too."""
        if receipt.gas_used >= record.gas:
            record.reason = f"out of gas ({record.gas})"
            return
        request = {
            "from": "0x" + self._wallet.address.hex(), "data": "0x" + record.data.hex(), "value": hex(record.value),
            "gas": hex(record.gas), **({"to": "0x" + record.to.hex()} if record.to else {}),
        }  # fmt: skip
        try:
            await self._client.rpc("eth_call", request, block_tag(receipt.block))
        except RpcError as error:
            said = failure(self._errors, record.fn, error, sent=True)
            record.reason, record.error = (said.reason, said.error) if said else (error.message, "")
        else:
            record.reason = "reverted for a reason that no longer holds"
