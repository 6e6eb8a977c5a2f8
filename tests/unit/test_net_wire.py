"""Frames and patient reading and writing, against streams that give and take as little as they like."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from omninode.net.errors import PeerRefused, ReplyTooLarge, StreamBroken
from omninode.net.limits import ByteBudget
from omninode.net.wire import FAILED, HEADER, REFUSED, Wire


class FakeStream:
    """Hands out ``incoming`` in pieces of ``piece`` bytes; takes whatever it is given until it is ``broken``."""

    def __init__(self, incoming: bytes = b"", piece: int = 3) -> None:
        self.incoming = bytearray(incoming)
        self.outgoing = bytearray()
        self.piece = piece
        self.broken = False
        self.ended: list[str] = []
        self.muxed_stream = SimpleNamespace(closed=False, reset_received=False, recv_closed=True)

    async def read(self, n: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        assert n is not None and n > 0
        taken = bytes(self.incoming[: min(n, self.piece)])
        del self.incoming[: len(taken)]
        return taken

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self.broken:
            raise OSError("broken")
        self.outgoing += data

    async def close(self) -> None:
        self.ended.append("close")

    async def reset(self) -> None:
        self.ended.append("reset")
        raise OSError("resets fail too")


def wire_of(stream: FakeStream) -> Wire:
    return Wire(stream, b"k" * 32, "/test")


async def exchanged(body: bytes, piece: int) -> bytes:
    out = FakeStream()
    await wire_of(out).write_frame(body)
    return await wire_of(FakeStream(bytes(out.outgoing), piece)).read_frame(len(body))


@given(body=st.binary(max_size=200), piece=st.integers(1, 50))
def test_frames_survive_any_cutting(body: bytes, piece: int) -> None:
    assert trio.run(exchanged, body, piece) == body


async def test_large_bodies_go_out_in_pieces() -> None:
    body = bytes(range(256)) * 3000
    out = FakeStream()
    await wire_of(out).write_frame(body)
    assert bytes(out.outgoing) == HEADER.pack(len(body), 0) + body


@given(st.binary(max_size=100))
def test_garbage_is_one_of_three_errors_or_a_frame(data: bytes) -> None:
    async def read() -> None:
        try:
            body = await wire_of(FakeStream(data)).read_frame(50)
        except (PeerRefused, ReplyTooLarge, StreamBroken):
            return
        assert len(body) <= 50

    trio.run(read)


async def test_the_end_of_the_stream_is_an_error_everywhere() -> None:
    frame = HEADER.pack(4, 0) + b"body"
    for cut in range(len(frame)):
        with pytest.raises(StreamBroken):
            await wire_of(FakeStream(frame[:cut])).read_frame(10)


async def test_a_larger_frame_is_refused_before_its_body_is_read() -> None:
    stream = FakeStream(HEADER.pack(1 << 32 - 1, 0) + b"x" * 100)
    with pytest.raises(ReplyTooLarge) as refused:
        await wire_of(stream).read_frame(99)
    assert (refused.value.size, refused.value.limit) == (1 << 31, 99)
    assert len(stream.incoming) == 100


@pytest.mark.parametrize(
    ("body", "status", "rule", "detail"),
    [
        (b"some-rule\0a reason", REFUSED, "some-rule", "a reason"),
        (b"some-rule", REFUSED, "some-rule", ""),
        (b"<b>rule</b>\n\0\xff", REFUSED, "brulebr"[:5] + "b", "\ufffd"),
        (b"\n\0x", REFUSED, "unnamed", "x"),
        (b"", REFUSED, "internal-error", ""),
        (b"", FAILED, "internal-error", ""),
        (b"", 200, "internal-error", ""),
    ],
)
async def test_error_frames(body: bytes, status: int, rule: str, detail: str) -> None:
    with pytest.raises(PeerRefused) as refused:
        await wire_of(FakeStream(HEADER.pack(len(body), status) + body)).read_frame(0)
    assert refused.value.detail == detail
    assert refused.value.rule == rule


async def test_refusals_are_bounded_on_both_sides() -> None:
    out = FakeStream()
    await wire_of(out).refuse("rule", "x" * 100_000)
    assert len(out.outgoing) < 2000
    endless = FakeStream(HEADER.pack(1 << 31, REFUSED) + b"r" * 5000, piece=100)
    with pytest.raises(PeerRefused):
        await wire_of(endless).read_frame(10)
    assert len(endless.incoming) > 3000


async def test_the_budget_is_taken_as_bytes_come_and_given_back_on_failure() -> None:
    budget = ByteBudget(10)
    assert await wire_of(FakeStream(HEADER.pack(8, 0) + b"x" * 8)).read_frame(8, budget) == b"x" * 8
    assert budget.used == 8
    with pytest.raises(PeerRefused, match="busy"):
        await wire_of(FakeStream(HEADER.pack(8, 0) + b"x" * 8)).read_frame(8, budget)
    assert budget.used == 8
    budget.give(8)
    with pytest.raises(StreamBroken):
        await wire_of(FakeStream(HEADER.pack(8, 0) + b"xxx")).read_frame(8, budget)
    assert budget.used == 0


async def test_a_stream_that_breaks_while_writing_is_broken() -> None:
    stream = FakeStream()
    wire = wire_of(stream)
    await wire.write(b"1234")
    stream.broken = True
    with pytest.raises(StreamBroken, match="broken"):
        await wire.write(b"5")
    assert wire.sent == 4


async def test_a_stream_is_gone_when_it_was_reset() -> None:
    stream = FakeStream()
    assert not wire_of(stream).gone
    stream.muxed_stream.reset_received = True
    assert wire_of(stream).gone


async def test_streams_that_the_other_side_keeps_open_are_reset() -> None:
    stream = FakeStream()
    await wire_of(stream).close()
    assert stream.ended == ["close"]
    stream.muxed_stream.recv_closed = False
    await wire_of(stream).close()
    assert stream.ended == ["close", "close", "reset"]
