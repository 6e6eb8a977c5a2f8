"""Block after block as the chain makes them, for whoever follows it in the demo."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from omninode.chain.client import ChainClient

POLL_S = 0.25


class BlockWatch(ABC):
    """Hands every block from ``start_block`` on to ``take_block``, once and in order."""

    def __init__(self, client: ChainClient, start_block: int) -> None:
        self._client, self._next = client, start_block
        self._changed = trio.Condition()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            latest = await self._client.block_number()
            while self._next <= latest:
                block, receipts = await self._client.rpc_many(
                    [("eth_getBlockByNumber", [hex(self._next), True]), ("eth_getBlockReceipts", [hex(self._next)])]
                )
                await self.take_block(block, {receipt["transactionHash"]: receipt for receipt in receipts})
                self._next += 1
                async with self._changed:
                    self._changed.notify_all()
            await trio.sleep(POLL_S)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; looked at after every block."""
        async with self._changed:
            while not condition():
                await self._changed.wait()

    @abstractmethod
    async def take_block(self, block: dict[str, Any], receipts: dict[str, Any]) -> None:
        """Take in one block. block: with its transactions.  receipts: by transaction hash."""
