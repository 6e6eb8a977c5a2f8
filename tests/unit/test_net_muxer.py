"""The multiplexer over a connection in memory: windows, cancelled writes, forgotten streams, heartbeat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedStreamEOF, MuxedStreamError, MuxedStreamReset

from omninode.net import patches
from omninode.net.limits import Limits
from omninode.net.muxer import FRAME, Ledger, SafeStream, SafeYamux

LIMITS = replace(Limits(), window=1 << 20, heartbeat=1.0, heartbeat_deadline=5.0)
PEER = ID(b"\0\x24\x08\x01\x12\x20" + b"p" * 32)


class Pipe:
    """A secured connection in memory; ``stalled`` pipes lose what is written, ``blocked`` ones take nothing."""

    def __init__(self, stream: trio.abc.Stream, initiator: bool) -> None:
        self.stream = stream
        self.is_initiator = initiator
        self.stalled = self.blocked = False
        self.ended = trio.Event()
        self.frames = 0

    async def read(self, n: int | None = None) -> bytes:
        try:
            return bytes(await self.stream.receive_some(n))
        except trio.ClosedResourceError:
            return b""

    async def write(self, data: bytes) -> None:
        self.frames += 1
        if self.blocked:
            await self.ended.wait()
            return
        if not self.stalled:
            await self.stream.send_all(data)

    async def close(self) -> None:
        self.ended.set()
        await self.stream.aclose()


@asynccontextmanager
async def connection(limits: Limits = LIMITS) -> AsyncIterator[tuple[Any, Any, list[str]]]:
    """Both ends of one running connection, and what was reported of it."""
    patches.apply(LIMITS.window)
    said: list[str] = []
    ends = trio.testing.memory_stream_pair()
    ledgers = [Ledger(limits, lambda rule, *rest: said.append(rule), lambda peer: said.append("lost")) for _ in ends]
    left, right = (SafeYamux(Pipe(end, n == 0), PEER, ledgers[n]) for n, end in enumerate(ends))  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.start)
        nursery.start_soon(right.start)
        await left.event_started.wait()
        await right.event_started.wait()
        yield left, right, said
        nursery.cancel_scope.cancel()


async def stream_pair(left: Any, right: Any) -> tuple[Any, Any]:
    """One stream, seen from both ends."""
    return await left.open_stream(), await right.accept_stream()


async def drained(stream: Any, size: int) -> bytes:
    """Exactly ``size`` bytes."""
    data = b""
    while len(data) < size:
        data += await stream.read(size - len(data))
    return data


async def test_a_writer_waits_for_its_reader_however_long(autojump_clock: trio.testing.MockClock) -> None:
    async with connection() as (left, right, said):
        ours, theirs = await stream_pair(left, right)
        assert isinstance(ours, SafeStream) and isinstance(theirs, SafeStream)
        body = bytes(range(256)) * 8192
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.write, body)
            await trio.sleep(3600)
            assert await drained(theirs, len(body)) == body
        assert said == []


async def test_windows_grow_with_the_reader_and_updates_are_few(autojump_clock: trio.testing.MockClock) -> None:
    async with connection() as (left, right, _):
        ours, theirs = await stream_pair(left, right)
        body = b"x" * (8 << 20)
        before = right.secured_conn.frames
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.write, body)
            assert len(await drained(theirs, len(body))) == len(body)
        assert theirs.target_recv_window == LIMITS.window
        assert right.secured_conn.frames - before < len(body) // FRAME


async def test_a_writer_is_told_when_the_stream_ends(autojump_clock: trio.testing.MockClock) -> None:
    async with connection() as (left, right, _):
        ours, theirs = await stream_pair(left, right)
        async with trio.open_nursery() as nursery:

            async def write_much() -> None:
                with pytest.raises(MuxedStreamError):
                    await ours.write(b"x" * (1 << 20))

            nursery.start_soon(write_much)
            await trio.sleep(1)
            await theirs.reset()
        with pytest.raises((MuxedStreamReset, MuxedStreamEOF)):
            await ours.read(1)


async def test_a_cancelled_write_never_leaves_half_a_frame() -> None:
    async with connection() as (left, right, said):
        for _ in range(30):
            ours, theirs = await stream_pair(left, right)
            with trio.move_on_after(0.002):
                await ours.write(b"x" * (4 << 20))
            await ours.reset()
            await theirs.reset()
        ours, theirs = await stream_pair(left, right)
        await ours.write(b"sound")
        assert await drained(theirs, 5) == b"sound"
        assert said == []


@pytest.mark.parametrize("ending", ["reset both", "their reset, our close", "our reset"])
async def test_ended_streams_are_forgotten_with_their_data(ending: str) -> None:
    async with connection() as (left, right, _):
        for _ in range(300):  # more than the 256 places
            ours, theirs = await stream_pair(left, right)
            await ours.write(b"unread")
            await theirs.write(b"unread too")
            await (ours if ending == "our reset" else theirs).reset()
            while not (theirs.reset_received if ending == "our reset" else ours.reset_received):
                await trio.sleep(0)
            await (theirs.close() if ending == "our reset" else ours.reset() if "both" in ending else ours.close())
        assert (len(left.streams), len(right.streams)) == (0, 0)
        assert (len(left.stream_buffers), len(right.stream_buffers)) == (0, 0)
        assert left.stream_backlog_semaphore.value == 256


async def test_a_silent_peer_is_lost_after_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    async with connection() as (left, right, said):
        await trio.sleep(60)
        assert said == []
        right.secured_conn.stalled = True
        with trio.fail_after(30):
            await left.event_closed.wait()
        assert said == ["lost"]


async def test_closing_does_not_wait_for_a_peer_that_takes_nothing() -> None:
    async with connection() as (left, _, _said):
        left.secured_conn.blocked = True
        with trio.fail_after(20):
            await left.close()
        assert left.is_closed


async def test_what_nobody_reads_is_bounded_over_all_connections() -> None:
    limits = replace(LIMITS, connection_buffer=1 << 20, total_buffer=1 << 19)
    async with connection(limits) as (left, right, said):
        for _ in range(4):
            ours, theirs = await stream_pair(left, right)
            await ours.write(b"x" * 100_000)
            assert len(await drained(theirs, 100_000)) == 100_000  # read: does not count
        assert said == []
        for _ in range(6):
            ours, _ = await stream_pair(left, right)
            try:
                await ours.write(b"x" * 100_000)
            except Exception:
                break
        with trio.fail_after(20):
            await right.event_closed.wait()
        assert "buffer-overflow" in said


class Holder:
    """A connection whose data were read meanwhile."""

    buffered = 0

    def unread(self) -> int:
        return 0


def test_the_ledger_blames_nobody_for_what_was_read_since() -> None:
    def unexpected(*args: Any) -> None:
        raise AssertionError(args)

    ledger: Any = Ledger(replace(LIMITS, total_buffer=100, connection_buffer=100), unexpected, unexpected)
    one, two = Holder(), Holder()
    ledger.connections |= {one, two}
    assert ledger.note(one, 90)
    assert ledger.note(two, 90)  # together too much, were it not that ``one`` was read since
    assert ledger.buffered == 90
    assert not ledger.note(two, 101)
