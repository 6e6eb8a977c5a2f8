"""Token buckets, byte budgets, the door, slots per peer."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from omninode.net.guard import Door, Knock, guarded
from omninode.net.limits import ByteBudget, Limits, TokenBucket
from omninode.net.requests import PeerSlots

SMALL = replace(Limits(), half_open=4, half_open_per_address=2, per_address=3, max_inbound=5)


@given(st.lists(st.floats(0, 5), max_size=60))
def test_a_bucket_never_gives_more_than_rate_and_burst(gaps: list[float]) -> None:
    now = 0.0
    bucket = TokenBucket(rate=2.0, burst=3, clock=lambda: now)
    given_out = 0
    for gap in gaps:
        now += gap
        given_out += bucket.take()
    assert given_out <= 3 + 2.0 * now + 1e-6


async def test_waiting_for_a_token_paces(autojump_clock: trio.testing.MockClock) -> None:
    bucket = TokenBucket(rate=10.0, burst=5)
    began = trio.current_time()
    for _ in range(25):
        await bucket.wait()
    assert trio.current_time() - began == pytest.approx(2.0)


@given(st.lists(st.integers(0, 60), max_size=20))
def test_a_budget_is_never_exceeded(sizes: list[int]) -> None:
    budget = ByteBudget(100)
    held = [size for size in sizes if budget.take(size)]
    assert budget.used == sum(held) <= 100
    for size in held:
        budget.give(size)
    assert budget.used == 0


def test_the_oldest_half_open_socket_of_an_address_gives_way() -> None:
    door = Door(SMALL)
    with ExitStack() as stack:
        knocks = [stack.enter_context(door.knock("a")) for _ in range(3)]
        assert [k.evicted for k in knocks if k] == [True, False, False]
        assert knocks[0] is not None and knocks[0].scope.cancel_called
        others = [stack.enter_context(door.knock(address)) for address in ("b", "c")]
        assert door.half_open == 4
        stack.enter_context(door.knock("d"))
        assert door.half_open == 4
        assert [k.evicted for k in [*knocks, *others] if k] == [True, True, False, False, False]
    assert (door.half_open, door.inside, door.evictions) == (0, 0, 2)


def test_established_connections_are_bounded_per_address_and_in_total() -> None:
    door = Door(SMALL)

    def enter(stack: ExitStack, address: str) -> bool:
        knock = stack.enter_context(door.knock(address))
        return knock is not None and door.admit(knock)

    with ExitStack() as stack:
        assert [enter(stack, "a") for _ in range(4)] == [True, True, True, False]
        assert [enter(stack, "b") for _ in range(3)] == [True, True, False]
        assert (door.inside, door.refusals) == (5, 2)
    assert (door.inside, door.half_open) == (0, 0)


def test_an_evicted_socket_is_not_admitted() -> None:
    door = Door(replace(SMALL, half_open_per_address=1))
    with door.knock("a") as first, door.knock("a") as second:
        assert first is not None and second is not None
        assert not door.admit(first)
        assert door.admit(second)
    assert (door.inside, door.half_open) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_the_door_counts_nobody_twice(visits: list[tuple[str, bool]]) -> None:
    door = Door(SMALL)
    with ExitStack() as stack:
        for address, finishes in visits:
            knock: Knock | None = stack.enter_context(door.knock(address))
            if knock is not None and finishes:
                door.admit(knock)
            assert door.half_open <= SMALL.half_open
            assert door.inside <= SMALL.max_inbound + 1
    assert (door.half_open, door.inside) == (0, 0)


async def test_a_guard_reports_errors_and_lets_cancellation_through() -> None:
    seen: list[str] = []

    async def fails() -> None:
        raise ZeroDivisionError

    await guarded(fails, lambda what, error: seen.append(type(error).__name__))()
    with trio.move_on_after(0) as scope:
        await guarded(trio.sleep_forever, lambda what, error: seen.append("no"))()
    assert seen == ["ZeroDivisionError"]
    assert scope.cancelled_caught


async def test_slots_are_forgotten_only_when_idle() -> None:
    slots = PeerSlots(1)
    async with slots.of(b"busy", "/p"):
        for n in range(2000):
            slots.of(n.to_bytes(4, "big"), "/p")
        assert slots.of(b"busy", "/p").borrowed_tokens == 1
    assert len(slots._limiters) < 400
