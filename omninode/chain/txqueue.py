"""All transactions of one wallet: one nonce after the other, written down before they are sent, never sent twice."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from math import inf
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import trio

from omninode.chain.client import failure
from omninode.chain.errors import DeadlineExceeded, InsufficientFunds, RpcError, TransactionFailed
from omninode.chain.fees import FeePolicy
from omninode.chain.interface import Interface
from omninode.chain.transaction import MAX_TX_GAS, Receipt, TxRecord
from omninode.chain.txmonitor import Monitor, Tracked
from omninode.chain.txsender import Sender
from omninode.chain.wire import parse_block, quantity
from protocols.errors import LocalProtocolError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger
    from trio_typing import TaskStatus

    from omninode.chain.client import ChainClient
    from omninode.chain.txstore import TxStore
    from omninode.chain.wallet import Wallet

OnReceipt = Callable[[str, int, int], None]
NOTHING_SENT = Receipt(tx_hash=b"", block=0, gas_used=0, price=0, ok=True, sent=False)


class TxQueue:
    """The only sender of a wallet's transactions. ``run`` must be started in a nursery; ``submit`` waits for it.

    on_receipt: called with (function, gas used, price in wei per gas) once per mined transaction.
    """

    def __init__(
        self,
        client: ChainClient,
        wallet: Wallet,
        store: TxStore,
        log: FilteringBoundLogger,
        *,
        chain_id: int | None = None,
        fees: FeePolicy | None = None,
        on_receipt: OnReceipt | None = None,
    ) -> None:
        """chain_id: what the node must serve, else ``run`` raises WrongChain; None takes what it serves."""
        self._client, self._wallet, self._store = client, wallet, store
        self._expected_chain = chain_id
        self._fees = fees or FeePolicy()
        self._errors = Interface(())
        self._sender = Sender(client, wallet, store, log, self._fees, self._errors)
        self._monitor = Monitor(client, wallet.address, store, self._sender, log, self._fees, on_receipt)
        self._entering: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()

    @property
    def address(self) -> bytes:
        """The wallet that sends."""
        return self._wallet.address

    def learn(self, interface: Interface) -> None:
        """Decode this contract's custom errors from now on."""
        self._errors.errors.update(interface.errors)

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send, replace and settle until cancelled; first whatever an earlier run left. Raises WrongChain."""
        await self._monitor.open(self._expected_chain)
        task_status.started()
        await self._monitor.run()

    async def submit(
        self,
        to: bytes,
        data: bytes,
        value: int = 0,
        *,
        key: str | None = None,
        gas: int | None = None,
        min_gas: int = 0,
        deadline_s: float = 60,
        fn: str = "transaction",
        expected_noop: Collection[str] = (),
    ) -> Receipt:
        """Send one transaction and wait until it is mined.

        to: 20 bytes, b"" creates a contract. key: a later submit with the same key waits for the same transaction, also
        after a restart. gas: limit, estimated when None (plus a half, at least min_gas). expected_noop: names of custom
        errors that mean "nothing left to do" at estimation: a receipt with ``sent`` False.
        Raises TransactionFailed, InsufficientFunds, StoreFailed (nothing sent) or DeadlineExceeded; after the last the
        transaction may still be mined.
        """
        key = key or f"once/{secrets.token_hex(12)}"
        lock = self._entering.setdefault(key, trio.Lock())
        tracked: Tracked | None = None
        with trio.move_on_after(deadline_s):
            await self._monitor.ready.wait()
            async with lock:
                tracked = await self._known(key)
                if tracked is None:
                    try:
                        record = await self._prepare(key, to, data, value, gas, min_gas, fn)
                    except TransactionFailed as error:
                        if error.error in expected_noop:
                            return NOTHING_SENT
                        raise
                    tracked = await self._enter(record)
            await tracked.done.wait()
            return _outcome(tracked.record)
        raise DeadlineExceeded(
            f"transaction {fn} ({key})",
            deadline_s,
            self._client.trouble or ("not mined yet" if tracked else "nothing was sent"),
        )

    async def _known(self, key: str) -> Tracked | None:
        """The transaction that this key already stands for."""
        if (tracked := self._monitor.tracked.get(key)) is not None:
            return tracked
        record = await trio.to_thread.run_sync(self._store.find, self._sender.scope, key)
        return None if record is None else Tracked(record)

    async def _prepare(
        self, key: str, to: bytes, data: bytes, value: int, gas: int | None, min_gas: int, fn: str
    ) -> TxRecord:
        """Everything but nonce and signature. Nothing is written or sent yet."""
        if gas is None:
            estimate = await self._client.retry(lambda: self._estimate(to, data, value, fn), inf, fn)
            gas = min(MAX_TX_GAS, max(estimate * 3 // 2 + 50_000, min_gas))
        return TxRecord(key, fn, -1, to, value, data, gas)

    async def _estimate(self, to: bytes, data: bytes, value: int, fn: str) -> int:
        request = {"from": "0x" + self._wallet.address.hex(), "data": "0x" + data.hex(), "value": hex(value)}
        if to:
            request["to"] = "0x" + to.hex()
        try:
            estimate = await self._client.read(quantity, "eth_estimateGas", request)
        except RpcError as error:
            if "insufficient funds" in error.message.lower():
                has = await self._client.balance(self._wallet.address)
                raise InsufficientFunds(self._wallet.address, value, has) from None
            raise failure(self._errors, fn, error) or error from None
        if estimate > MAX_TX_GAS:
            raise TransactionFailed(fn, f"needs {estimate} gas; a transaction may use {MAX_TX_GAS}")
        return estimate

    async def _enter(self, record: TxRecord) -> Tracked:
        """Offer today's fees and hand the record to the monitor. Raises InsufficientFunds, StoreFailed."""
        asked = [
            (parse_block, "eth_getBlockByNumber", ("latest", False)),
            (quantity, "eth_getBalance", ("0x" + self._wallet.address.hex(), "latest")),
        ]
        block, balance = await self._client.retry(lambda: self._client.read_many(asked), inf, record.fn)
        tip, max_fee = self._fees.first(block.base_fee if block else 0)
        if balance < (needs := record.value + record.gas * max_fee):
            raise InsufficientFunds(self._wallet.address, needs, balance)
        return await self._monitor.enter(record, tip, max_fee)


def _outcome(record: TxRecord) -> Receipt:
    """The receipt of a mined transaction, or TransactionFailed where it reverted."""
    if record.receipt is None:
        raise LocalProtocolError(f"transaction {record.key} is done without a receipt")
    if not record.receipt.ok:
        raise TransactionFailed(record.fn, record.reason, error=record.error, sent=True)
    return record.receipt
