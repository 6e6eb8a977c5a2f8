"""The event cursor against a chain in memory that reorganises, lags and fails at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, cast

import pytest
import structlog
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.chain.client import ChainClient
from omninode.chain.cursor import MEMORY, EventCursor
from omninode.chain.errors import ChainReplaced, RpcUnavailable
from omninode.chain.interface import Log
from omninode.chain.wire import Block


class FakeChain:
    """Blocks as (hash, events); what the cursor asks of a client, and nothing else."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.blocks: list[tuple[bytes, list[int]]] = []
        self.log = structlog.get_logger()
        self.failing = 0.0
        self.restless = 0.0  # how often the chain moves while it is being read
        self.mine(3)

    def mine(self, count: int) -> None:
        for _ in range(count):
            events = [self.random.randrange(2**60) for _ in range(self.random.randrange(3))]
            self.blocks.append((self.random.randbytes(32), events))

    def reorg(self, depth: int, length: int) -> None:
        del self.blocks[max(1, len(self.blocks) - depth) :]
        self.mine(length)

    def _disturb(self) -> None:
        if self.random.random() < self.failing:
            raise RpcUnavailable("http://x", "down")
        if self.random.random() < self.restless:
            self.reorg(2, 3)

    async def block(self, which: int | str = "latest") -> Block | None:
        self._disturb()
        number = len(self.blocks) - 1 if which == "latest" else cast(int, which)
        if number >= len(self.blocks):
            return None
        parent = self.blocks[number - 1][0] if number else bytes(32)
        return Block(number, self.blocks[number][0], parent, 0, 0)

    async def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Log]:
        self._disturb()
        return [log for number in range(first, last + 1) for log in self._logs(number)]

    async def logs_of(self, addresses: Sequence[bytes], block_hash: bytes) -> list[Log]:
        self._disturb()
        for number, (digest, _) in enumerate(self.blocks):
            if digest == block_hash:
                return self._logs(number)
        raise RpcUnavailable("http://x", "unknown block")

    def _logs(self, number: int) -> list[Log]:
        digest, events = self.blocks[number] if number < len(self.blocks) else (b"", [])
        return [Log(b"", (), e.to_bytes(8, "big"), number, digest, i) for i, e in enumerate(events)]


class Memory:
    """A cursor store."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, bytes]] = []

    def load(self) -> list[tuple[int, bytes]]:
        return list(self.blocks)

    def save(self, blocks: Sequence[tuple[int, bytes]]) -> None:
        self.blocks = list(blocks)


async def _decode(log: Log) -> tuple[int, int]:
    return log.block, int.from_bytes(log.data, "big")


def make(chain: FakeChain, **options: Any) -> EventCursor[tuple[int, int]]:
    return EventCursor(cast(ChainClient, chain), [b""], 0, _decode, poll_s=0, **options)


class Follower:
    """Folds batches as a consumer would, and checks their order."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int]] = []
        self.position = -1

    def take(self, batch: Any) -> None:
        if batch.rolled_back_to is not None:
            assert batch.rolled_back_to < self.position and batch.block == batch.rolled_back_to and not batch.events
            self.events = [e for e in self.events if e[0] <= batch.rolled_back_to]
        else:
            assert batch.block > self.position
            assert all(self.position < block <= batch.block for block, _ in batch.events)
            self.events += batch.events
        self.position = batch.block


async def catch_up(cursor: EventCursor[tuple[int, int]], follower: Follower, chain: FakeChain, lag: int = 0) -> None:
    """Until the last block is told."""
    while (
        follower.position != len(chain.blocks) - 1 - lag or cursor._trail[-1][1] != chain.blocks[follower.position][0]
    ):
        follower.take(await cursor.__anext__())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mine"), st.integers(1, 9), st.just(0)),
        st.tuples(st.just("reorg"), st.integers(1, 6), st.integers(1, 8)),
        st.tuples(st.just("look"), st.just(0), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(STEPS, st.integers(0, 2**32), st.integers(2, 5), st.booleans())
def test_the_follower_ends_with_the_chains_own_events(
    steps: list[tuple[str, int, int]], seed: int, chunk: int, noisy: bool
) -> None:
    async def play() -> None:
        chain, follower, store = FakeChain(seed), Follower(), Memory()
        chain.failing, chain.restless = (0.1, 0.05) if noisy else (0.0, 0.0)
        cursor = make(chain, chunk=chunk, store=store)
        for step, a, b in steps:
            if step == "mine":
                chain.mine(a)
            elif step == "reorg":
                chain.reorg(a, max(a, b))
            elif step == "look":
                await catch_up(cursor, follower, chain)
            else:  # the last batch was handled, but not yet recorded: it may come again
                cursor = make(chain, chunk=chunk, store=store)
                follower.position = store.blocks[-1][0] if store.blocks else -1
                follower.events = [e for e in follower.events if e[0] <= follower.position]
        chain.failing = chain.restless = 0
        await catch_up(cursor, follower, chain)
        assert follower.events == [(n, e) for n, (_, events) in enumerate(chain.blocks) for e in events]

    trio.run(play)


async def test_confirmations() -> None:
    chain, follower = FakeChain(1), Follower()
    chain.mine(10)
    cursor = make(chain, confirmations=4)
    await catch_up(cursor, follower, chain, lag=4)
    assert follower.position == len(chain.blocks) - 5
    chain.reorg(4, 6)
    rollbacks = []
    while follower.position < len(chain.blocks) - 5:
        batch = await cursor.__anext__()
        rollbacks.append(batch.rolled_back_to)
        follower.take(batch)
    assert rollbacks == [None], "a reorg above the confirmed blocks is nobody's business"


async def test_a_node_that_lags_is_waited_for() -> None:
    chain, follower = FakeChain(2), Follower()
    cursor = make(chain)
    for _ in range(6):
        chain.mine(1)
        await catch_up(cursor, follower, chain)
    hidden = chain.blocks[-3:]
    del chain.blocks[-3:]
    with trio.move_on_after(0.05):
        follower.take(await cursor.__anext__())
        raise AssertionError("a lagging node is no reorg")
    chain.blocks += hidden
    chain.mine(1)
    await catch_up(cursor, follower, chain)


async def test_a_chain_begun_anew_is_told_from_the_start_or_refused() -> None:
    old, new = FakeChain(3), FakeChain(4)
    store = Memory()
    cursor, follower = make(old, store=store), Follower()
    await catch_up(cursor, follower, old)
    store.save(cursor._trail)
    new.mine(5)
    again = make(new, store=store)
    first = await again.__anext__()
    assert first.rolled_back_to == -1
    store.save([(n, bytes([n]) * 32) for n in range(MEMORY)])
    with pytest.raises(ChainReplaced, match="new data directory"):
        await make(new, store=store).__anext__()
