"""What the tests of omninode.chain share: anvil for a test, funded wallets, a running queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from omninode.chain.client import ChainClient
from omninode.chain.devchain import DevChainError, find_anvil
from omninode.chain.fees import FeePolicy
from omninode.chain.txqueue import TxQueue
from omninode.chain.txstore import SqliteTxStore, TxStore
from omninode.chain.wallet import Wallet

ETHER = 10**18
ALICE, BOB = Wallet(b"\x0a" * 32), Wallet(b"\x0b" * 32)
FUND = {ALICE.address: 1000 * ETHER}
LOG: Any = structlog.get_logger("test")

try:
    find_anvil()
except DevChainError as error:
    needs_anvil = pytest.mark.skip(reason=str(error))
else:
    needs_anvil = pytest.mark.filterwarnings("default")


@asynccontextmanager
async def running_queue(
    client: ChainClient,
    path: Path | str = ":memory:",
    *,
    wallet: Wallet = ALICE,
    fees: FeePolicy | None = None,
    on_receipt: Callable[[str, int, int], None] | None = None,
    store: TxStore | None = None,
) -> AsyncIterator[TxQueue]:
    """A queue that runs while the block does."""
    own = SqliteTxStore(Path(path))
    queue = TxQueue(client, wallet, store or own, LOG, fees=fees, on_receipt=on_receipt)
    async with trio.open_nursery() as nursery:
        await nursery.start(queue.run)
        try:
            yield queue
        finally:
            nursery.cancel_scope.cancel()
            own.close()


async def until(condition: Callable[[], Any], seconds: float = 15) -> None:
    """Wait until ``condition()``, which may be asynchronous, holds."""
    with trio.fail_after(seconds):
        while True:
            answer = condition()
            if hasattr(answer, "__await__"):
                answer = await answer
            if answer:
                return
            await trio.sleep(0.05)
