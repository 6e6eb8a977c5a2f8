"""Following a chain block by block: each once, in order, with its receipts; whoever waits sees each of them."""

from __future__ import annotations

from typing import Any

import trio

from omninode.demo.blocks import POLL_S, BlockWatch


class Client:
    """A chain of so many blocks, of one transaction each."""

    def __init__(self, height: int) -> None:
        self.height = height

    async def block_number(self) -> int:
        return self.height

    async def rpc_many(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        (first, (number, whole)), (second, (again,)) = calls
        assert (first, second) == ("eth_getBlockByNumber", "eth_getBlockReceipts")
        assert whole and number == again and int(number, 16) <= self.height
        return [{"number": number, "transactions": [{"hash": "0xaa" + number}]}, [{"transactionHash": "0xaa" + number}]]


class Seen(BlockWatch):
    def __init__(self, client: Any, start_block: int) -> None:
        super().__init__(client, start_block)
        self.blocks: list[int] = []

    async def take_block(self, block: dict[str, Any], receipts: dict[str, Any]) -> None:
        assert list(receipts) == [transaction["hash"] for transaction in block["transactions"]]
        self.blocks.append(int(block["number"], 16))


async def test_every_block_once_and_in_order(autojump_clock: Any) -> None:
    client = Client(12)
    watch, seen_by = Seen(client, 9), []

    def seventh() -> bool:
        seen_by.append(len(watch.blocks))
        return len(watch.blocks) >= 7

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await watch.until(lambda: watch.blocks[-1:] == [12])
        await trio.sleep(3 * POLL_S)
        assert watch.blocks == [9, 10, 11, 12]  # nothing new: nothing taken again
        client.height = 15
        await watch.until(seventh)
        nursery.cancel_scope.cancel()
    assert watch.blocks == [*range(9, 16)]
    assert seen_by == sorted(seen_by) and seen_by[0] < 7 and seen_by[-1] == 7  # asked while there were fewer, and after


async def test_what_holds_already_is_not_waited_for() -> None:
    await Seen(Client(1), 1).until(lambda: True)


async def test_a_chain_that_is_behind_the_start_is_waited_for(autojump_clock: Any) -> None:
    client = Client(3)
    watch = Seen(client, 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(2 * POLL_S)
        assert watch.blocks == []
        client.height = 5
        await watch.until(lambda: watch.blocks == [5])
        nursery.cancel_scope.cancel()
