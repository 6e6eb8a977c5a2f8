"""The event cursor on a real chain: blocks, restarts, reorgs, outages. The property test is in tests/unit."""

from __future__ import annotations

from pathlib import Path

import trio

from contracts import loader
from omninode.chain.abi import encode
from omninode.chain.client import ChainClient
from omninode.chain.cursor import Batch, EventCursor
from omninode.chain.cursorstore import SqliteCursorStore
from omninode.chain.devchain import start_anvil
from omninode.chain.interface import Log
from omninode.chain.registry import registry_interface
from omninode.chain.txqueue import TxQueue
from tests.integration.chain_support import ALICE, ETHER, FUND, needs_anvil, running_queue

pytestmark = needs_anvil


async def _registry(queue: TxQueue) -> bytes:
    artifact = loader.load("ProverRegistry")
    code = bytes.fromhex(artifact.bytecode.removeprefix("0x")) + encode(registry_interface().constructor, (ETHER, 5))
    return (await queue.submit(b"", code)).contract


async def _stake(queue: TxQueue, registry: bytes, key: int) -> None:
    data = registry_interface().function("register").call_data((bytes([key]) * 32, b"\2" * 32))
    await queue.submit(registry, data, ETHER)


async def _name(log: Log) -> tuple[str, int] | None:
    decoded = registry_interface().decode_log(log)
    return (decoded[0], log.block) if decoded and decoded[0] == "ProverRegistered" else None


def _cursor(client: ChainClient, registry: bytes, start: int = 0, **options: object) -> EventCursor[tuple[str, int]]:
    return EventCursor(client, [registry], start, _name, poll_s=0.05, **options)  # type: ignore[arg-type]


async def _follow(cursor: EventCursor[tuple[str, int]], into: list[Batch[tuple[str, int]]]) -> None:
    async for batch in cursor:
        into.append(batch)


async def _told(batches: list[Batch[tuple[str, int]]], block: int) -> None:
    with trio.fail_after(10):
        while not batches or batches[-1].block < block:
            await trio.sleep(0.02)


async def test_every_block_is_told_with_its_events() -> None:
    with start_anvil(fund=FUND, block_time=None) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue, trio.open_nursery() as nursery:
            registry = await _registry(queue)
            batches: list[Batch[tuple[str, int]]] = []
            nursery.start_soon(_follow, _cursor(client, registry), batches)
            await _told(batches, 1)
            for block in range(2, 6):
                if block % 2:
                    await _stake(queue, registry, block)
                else:
                    await chain.mine(client)
                await _told(batches, block)
            assert [e for b in batches for e in b.events] == [("ProverRegistered", 3), ("ProverRegistered", 5)]
            assert [b.block for b in batches] == sorted({b.block for b in batches})
            assert all(b.rolled_back_to is None for b in batches)
            calls = client.calls
            await trio.sleep(0.5)
            assert client.calls - calls <= 12, "one cheap call per poll while nothing happens"
            nursery.cancel_scope.cancel()


async def test_a_reorg_takes_events_back() -> None:
    with start_anvil(fund=FUND, block_time=None) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, trio.open_nursery() as nursery:
            batches: list[Batch[tuple[str, int]]] = []
            async with running_queue(client) as queue:
                registry = await _registry(queue)
                nursery.start_soon(_follow, _cursor(client, registry), batches)
                for key in (1, 2, 3):
                    await _stake(queue, registry, key)
                    await _told(batches, 1 + key)
            await chain.reorg(client, 2)  # blocks 3 and 4 become others, empty ones
            await chain.mine(client)
            await _told(batches, 5)
            back = [b.rolled_back_to for b in batches if b.rolled_back_to is not None]
            assert back == [2]
            after = batches[[b.rolled_back_to for b in batches].index(2) + 1 :]
            assert all(not b.events for b in after) and after[-1].block == 5
            nursery.cancel_scope.cancel()


async def test_confirmations_hold_events_back() -> None:
    with start_anvil(fund=FUND, block_time=None) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue, trio.open_nursery() as nursery:
            registry = await _registry(queue)
            await _stake(queue, registry, 1)
            batches: list[Batch[tuple[str, int]]] = []
            nursery.start_soon(_follow, _cursor(client, registry, confirmations=2), batches)
            await trio.sleep(0.3)
            assert max((b.block for b in batches), default=0) == 0
            await chain.mine(client, 2)
            await _told(batches, 2)
            assert [e for b in batches for e in b.events] == [("ProverRegistered", 2)]
            nursery.cancel_scope.cancel()


async def test_a_restart_goes_on_where_it_was_and_sees_a_reorg_that_it_missed(tmp_path: Path) -> None:
    with start_anvil(fund=FUND, block_time=None) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client:
            store = SqliteCursorStore(tmp_path / "state.sqlite", "events")
            async with running_queue(client) as queue:
                registry = await _registry(queue)
                async with trio.open_nursery() as nursery:
                    first: list[Batch[tuple[str, int]]] = []
                    nursery.start_soon(_follow, _cursor(client, registry, store=store), first)
                    for key in (1, 2, 3):
                        await _stake(queue, registry, key)
                        await _told(first, 1 + key)
                    await trio.sleep(0.2)
                    nursery.cancel_scope.cancel()
            store.close()
            store = SqliteCursorStore(tmp_path / "state.sqlite", "events")
            await chain.reorg(client, 1)
            await chain.mine(client)
            second: list[Batch[tuple[str, int]]] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_follow, _cursor(client, registry, store=store), second)
                await _told(second, 5)
                nursery.cancel_scope.cancel()
            store.close()
            assert second[0] == Batch(3, [], rolled_back_to=3)
            assert [b.block for b in second] == [3, 5] and not second[1].events


async def test_an_outage_delays_and_loses_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    batches: list[Batch[tuple[str, int]]] = []
    with start_anvil(fund=FUND, block_time=None, state=state) as chain, trio.fail_after(28):
        port = int(chain.url.rsplit(":", 1)[1])
        async with ChainClient(chain.url, timeout=1) as client, trio.open_nursery() as nursery:
            async with running_queue(client) as queue:
                registry = await _registry(queue)
                nursery.start_soon(_follow, _cursor(client, registry), batches)
                await _stake(queue, registry, 1)
                await _told(batches, 2)
            chain.stop()
            await trio.sleep(0.5)
            with start_anvil(block_time=None, port=port, state=state):
                async with running_queue(client) as queue:
                    await _stake(queue, registry, 2)
                await _told(batches, 3)
            assert [e for b in batches for e in b.events] == [("ProverRegistered", 2), ("ProverRegistered", 3)]
            nursery.cancel_scope.cancel()


async def test_catching_up_in_chunks() -> None:
    with start_anvil(fund=FUND, block_time=None) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue:
            registry = await _registry(queue)
            await _stake(queue, registry, 1)
            await chain.mine(client, 45)
            await _stake(queue, registry, 2)
            batches = []
            async for batch in _cursor(client, registry, chunk=20):
                batches.append(batch)
                if batch.block == 48:
                    break
            assert [b.block for b in batches] == [19, 39, 48]
            assert [e for b in batches for e in b.events] == [("ProverRegistered", 2), ("ProverRegistered", 48)]
            assert await client.nonce(ALICE.address) == 3
