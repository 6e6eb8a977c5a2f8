"""Yamux that cannot be corrupted by a cancelled write, flooded by a reader's absence, or kept by a dead peer."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trio
from libp2p.abc import IMuxedConn, IMuxedStream, ISecureConn
from libp2p.peer.id import ID
from libp2p.protocol_muxer.exceptions import MultiselectClientError, MultiselectError
from libp2p.security.noise.io import MAX_PLAINTEXT_LENGTH
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux import yamux
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    FLAG_SYN,
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_GO_AWAY,
    TYPE_PING,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)
from libp2p.transport.exceptions import MuxerUpgradeFailure
from libp2p.transport.upgrader import TransportUpgrader

from omninode.net.limits import Limits, jitter

# Our own loop may have slept for the whole deadline: then the answer is already in the socket, unread.
_GRACE = 1.0
FRAME = MAX_PLAINTEXT_LENGTH - HEADER_SIZE


class Ledger:
    """Bytes received and not yet read, over all connections."""

    def __init__(self, limits: Limits, fault: Callable[[str, ID, str], None], lost: Callable[[ID], None]) -> None:
        """fault(rule, peer, detail): a peer broke a rule. lost(peer): a peer no longer answers."""
        self.limits = limits
        self.fault = fault
        self.lost = lost
        self.buffered = 0
        self.sent = 0
        self.received = 0
        self.connections: set[SafeYamux] = set()

    def note(self, connection: SafeYamux, held: int) -> bool:
        """Note that ``connection`` holds ``held`` unread bytes; False if that is too much.

        The sum is kept from frame to frame, so it lags behind the readers; it is taken anew before anybody is blamed.
        """
        self.buffered += held - connection.buffered
        connection.buffered = held
        if self.buffered > self.limits.total_buffer:
            for other in self.connections - {connection}:
                other.buffered = other.unread()
            self.buffered = sum(each.buffered for each in self.connections)
        return held <= self.limits.connection_buffer and self.buffered <= self.limits.total_buffer


class SafeStream(YamuxStream):
    """A stream that waits for its reader as long as its writer cares to, and whose books are closed when it is.

    The original gives up after 5 s without window, which a starved reader easily needs. It keeps a stream that was
    reset with unread data: for a minute if we reset it, for ever if the peer did and we then close it (closing marks it
    as open again), so that a few hundred cancelled requests would use up a connection. And it sends a window update
    for every read; here one goes out for every quarter of the window.
    """

    _window = DEFAULT_WINDOW_SIZE
    _opened: trio.Event | None = None

    @property
    def send_window(self) -> int:
        """Bytes that may be sent."""
        return self._window

    @send_window.setter
    def send_window(self, size: int) -> None:
        self._window = size
        if self._opened is not None and size > 0:
            self._opened.set()
            self._opened = None

    async def write(self, data: bytes) -> None:
        """Send all of ``data`` in frames that fill one Noise message each. MuxedStreamError once the stream is over."""
        view = memoryview(data)
        while view:
            while self._window <= 0 and not (self.closed or self.send_closed):
                await self._wait_for_window()
            if self.closed or self.send_closed:
                raise MuxedStreamError("stream is closed")
            size = min(len(view), self._window, FRAME)
            self.send_window -= size
            header = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, self.stream_id, size)
            await self.conn._write_frame(header + view[:size])
            view = view[size:]

    async def _wait_for_window(self) -> None:
        if self._opened is None:
            self._opened = trio.Event()
        with trio.move_on_after(1.0):  # a reset or the end of the connection opens no window
            await self._opened.wait()

    async def _auto_tune_and_send_window_update(self, *, bytes_read: int = 0) -> None:
        self._pending_recv_release += bytes_read
        increment, target = self._pending_recv_release, self.target_recv_window
        if increment < target // 4:
            return
        self._pending_recv_release = 0
        buffered = len(self.conn.stream_buffers.get(self.stream_id, b""))
        if buffered < target // 2 and target < yamux.MAX_WINDOW_SIZE:  # the reader keeps up: more may be on its way
            self.target_recv_window = min(2 * target, yamux.MAX_WINDOW_SIZE)
            increment += self.target_recv_window - target
        self.recv_window += increment
        if not self.recv_closed:
            await self.send_window_update(increment)

    async def close(self) -> None:
        """Half-close; a stream that is dead already is forgotten."""
        if self.closed or self.reset_received:
            await self._forget()
        else:
            await super().close()

    async def reset(self) -> None:
        """End the stream in both directions and forget what was not read."""
        try:
            await super().reset()
        finally:
            with trio.CancelScope(shield=True):
                await self._forget()

    async def _forget(self) -> None:
        self.closed = self.send_closed = self.recv_closed = True
        conn = self.conn
        async with conn.streams_lock:
            buffer = conn.stream_buffers.get(self.stream_id)
            if conn.streams.get(self.stream_id) is self and buffer is not None:
                buffer.clear()
                conn.stream_events[self.stream_id].set()  # whoever still reads is told
            conn._finalize_stream_locked(self, fully_closed=True)


class SafeYamux(Yamux):
    """One connection to one peer; what stock Yamux leaves to trust is bounded by ``ledger.limits``."""

    def __init__(self, secured_conn: ISecureConn, peer_id: ID, ledger: Ledger) -> None:
        super().__init__(secured_conn, peer_id, is_initiator=secured_conn.is_initiator)
        self._ledger = ledger
        self.buffered = 0
        self._closing = False
        ledger.connections.add(self)

    def unread(self) -> int:
        """Bytes received on all streams of this connection and not yet read."""
        return sum(map(len, self.stream_buffers.values()))

    async def _write_frame(self, data: bytes) -> None:
        """Write one frame whole. A write cancelled half-way would leave half a ciphertext and kill all streams."""
        async with self._write_lock:
            with trio.CancelScope(shield=True):
                await self.secured_conn.write(data)
        self._ledger.sent += len(data)
        await trio.lowlevel.checkpoint()

    async def accept_stream(self) -> IMuxedStream:
        """The next inbound stream; streams beyond the limit are reset instead of delivered."""
        while True:
            stream = await super().accept_stream()
            if len(self.streams) <= self._ledger.limits.streams_per_connection:
                return stream
            self._ledger.fault("too-many-streams", self.peer_id, "")
            await stream.reset()

    async def _read_data_body(self, length: int) -> bytes:
        """Read a DATA body, unless this connection or all of them already hold too much that nobody has read.

        Stock Yamux only logs when a peer ignores its window, and would buffer until memory ends.
        """
        held = self.unread() + length
        if not self._ledger.note(self, held):
            self._ledger.fault("buffer-overflow", self.peer_id, f"{held} bytes unread")
            raise trio.TooSlowError("the peer sends faster than its window allows")
        self._ledger.received += length + HEADER_SIZE
        return await super()._read_data_body(length)

    async def _measure_rtt_loop(self) -> None:
        """Heartbeat: a yamux ping every few seconds; a peer that answers none for the whole deadline is closed.

        Pings are answered by the peer's own event loop, so they tell what an application's ping would, and cost one
        frame instead of a stream. Also feeds the round-trip time that stock Yamux tunes its windows with.
        """
        limits = self._ledger.limits
        await trio.sleep(min(0.5, limits.heartbeat))
        while not self.event_shutting_down.is_set():
            self._ping_event = trio.Event()
            assert self._nursery is not None
            self._nursery.start_soon(self._ping)
            with trio.move_on_after(limits.heartbeat_deadline):
                await self._ping_event.wait()
            if not self._ping_event.is_set():
                with trio.move_on_after(_GRACE):
                    await self._ping_event.wait()
            if not self._ping_event.is_set():
                self._ledger.lost(self.peer_id)
                # The reading task sees the closed socket and takes the connection down; a GO_AWAY could block.
                await self.secured_conn.close()
                return
            await trio.sleep(jitter(limits.heartbeat))

    async def _ping(self) -> None:
        self._ping_id = (self._ping_id + 1) & 0xFFFFFFFF
        self._ping_sent_time = trio.current_time()
        try:
            await self._write_frame(struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_PING, FLAG_SYN, 0, self._ping_id))
        except Exception:
            return  # the reading task notices the broken connection

    async def close(self, error_code: int = 0) -> None:
        """Say goodbye if that is possible at once, then take the connection down. Bounded in time, idempotent."""
        if self._closing:
            return
        self._closing = True
        with trio.CancelScope(shield=True):
            if not self.event_shutting_down.is_set() and not self._write_lock.locked():
                header = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_GO_AWAY, 0, 0, error_code)
                with trio.move_on_after(0.5):
                    with suppress(Exception):
                        await self.secured_conn.write(header)
            await self._cleanup_on_error()

    async def _cleanup_on_error(self) -> None:
        self._closing = True
        self._ledger.note(self, 0)
        self._ledger.connections.discard(self)
        with trio.CancelScope(shield=True):
            await super()._cleanup_on_error()


class SafeUpgrader(TransportUpgrader):
    """Negotiates Yamux and nothing else. (Stock code builds its own class of Yamux, whatever it is given.)"""

    def __init__(self, security: Any, ledger: Ledger) -> None:
        super().__init__(security, {"/yamux/1.0.0": SafeYamux}, int(ledger.limits.handshake))  # type: ignore[dict-item]
        self._ledger = ledger

    async def upgrade_connection(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """The multiplexed connection over an authenticated one. MuxerUpgradeFailure if there is no agreement."""
        muxer = self.muxer_multistream
        try:
            await muxer._selector.select(conn, conn.is_initiator, muxer.negotiate_timeout)
        except (MultiselectError, MultiselectClientError) as error:
            raise MuxerUpgradeFailure("the peer does not speak yamux") from error
        return SafeYamux(conn, peer_id, self._ledger)
