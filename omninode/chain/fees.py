"""What a transaction offers to pay (EIP-1559), and how that grows while nobody mines it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omninode.chain.wire import quantity

if TYPE_CHECKING:
    from omninode.chain.client import ChainClient

GWEI = 10**9


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """Prices in wei per gas. tip: first offer to the proposer. cap: never offer more in all.

    after_blocks: blocks without being mined before the offer grows by a quarter (nodes want at least a tenth).
    """

    tip: int = GWEI // 10
    cap: int = 500 * GWEI
    after_blocks: int = 3

    def first(self, base_fee: int) -> tuple[int, int]:
        """(tip, max_fee) of a new transaction: holds while the base fee doubles, which takes six full blocks."""
        max_fee = min(2 * base_fee + self.tip, self.cap)
        return min(self.tip, max_fee), max_fee

    def bumped(self, tip: int, max_fee: int, base_fee: int, suggested_tip: int = 0) -> tuple[int, int] | None:
        """The next offer after (tip, max_fee), None once the cap forbids a replacement that nodes accept."""
        new_tip = max(tip + tip // 4 + 1, suggested_tip)
        new_max = max(max_fee + max_fee // 4 + 1, 2 * base_fee + new_tip)
        if new_max > self.cap:
            new_max = self.cap
            new_tip = min(new_tip, new_max)
            if new_max < max_fee + max_fee // 10 + 1 or new_tip < tip + tip // 10 + 1:
                return None
        return new_tip, new_max


async def block_prices(client: ChainClient) -> tuple[int, int]:
    """Base fee in wei per gas (0 where there is none) and gas limit of the last block. Raises ChainError."""
    block = await client.rpc("eth_getBlockByNumber", "latest", False)
    return quantity(block.get("baseFeePerGas", "0x0")), quantity(block["gasLimit"])
