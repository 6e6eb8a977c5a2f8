"""Bytes on one stream: exact reads, patient writes, frames.

Frame: length of the body (4 bytes, big endian), status (1 byte), body. Status 0: data; 1: refused, the body is
``rule NUL detail`` in UTF-8; 2: the other side failed. libp2p's own ``read_exactly`` gives up after 100 partial reads
and its writer after 5 s without window; neither is used (``muxer.SafeStream`` waits as long as we do).
"""

from __future__ import annotations

import struct
from typing import Any

import trio

from omninode.net.errors import PeerRefused, ReplyTooLarge, StreamBroken
from omninode.net.limits import ByteBudget, shielded
from protocols.errors import RemoteProtocolError

OK, REFUSED, FAILED = 0, 1, 2
HEADER = struct.Struct(">IB")
MAX_REFUSAL = 1024
BUSY = "busy"
_READ = 1 << 20
_WRITE = 1 << 18


class Wire:
    """One libp2p stream to one peer. Every failure of the stream is ``StreamBroken``; cancellation passes through.

    peer_key: the authenticated key at the other end. protocol: what was negotiated. sent, received: bytes so far.
    """

    def __init__(self, stream: Any, peer_key: bytes, protocol: str) -> None:
        self._stream = stream
        self.peer_key = peer_key
        self.protocol = protocol
        self.sent = 0
        self.received = 0

    async def read_some(self, limit: int) -> bytes:
        """Between 1 and ``limit`` bytes, as they come. StreamBroken at the end of the stream."""
        try:
            data: bytes = await self._stream.read(min(limit, _READ))
        except Exception as error:
            raise StreamBroken(f"{type(error).__name__}: {error}") from error
        if not data:
            raise StreamBroken("end of stream")
        self.received += len(data)
        return data

    async def read_exact(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        parts, missing = [], size
        while missing:
            part = await self.read_some(missing)
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def write(self, data: bytes) -> None:
        """Send all of ``data``, however long the reader takes; the caller's deadline is the only one."""
        for start in range(0, len(data), _WRITE):
            piece = bytes(data[start : start + _WRITE])
            try:
                await self._stream.write(piece)
            except Exception as error:
                raise StreamBroken(f"{type(error).__name__}: {error}") from error
            self.sent += len(piece)

    async def write_frame(self, body: bytes, status: int = OK) -> None:
        """Send one frame."""
        header = HEADER.pack(len(body), status)
        if len(body) <= _WRITE:
            await self.write(header + body)
        else:
            await self.write(header)
            await self.write(body)

    async def refuse(self, rule: str, detail: str = "") -> None:
        """Send an error frame with the broken rule."""
        await self.write_frame(f"{rule}\0{detail}".encode()[:MAX_REFUSAL], REFUSED)

    async def read_request(self, limit: int, budget: ByteBudget | None = None) -> bytes:
        """As ``read_frame``, for the serving side: RemoteProtocolError for a frame that is not a request."""
        try:
            return await self.read_frame(limit, budget)
        except PeerRefused as error:
            if error.rule == BUSY:
                raise
            raise RemoteProtocolError("request-status", self.peer_key.hex()) from error

    async def read_frame(self, limit: int, budget: ByteBudget | None = None) -> bytes:
        """The body of one data frame of at most ``limit`` bytes.

        PeerRefused for an error frame, ReplyTooLarge before anything of a larger one is read. With a budget the
        memory is reserved as it fills; the caller gives len(body) back. PeerRefused("busy") when it is exhausted.
        """
        size, status = HEADER.unpack(await self.read_exact(HEADER.size))
        if status != OK:
            body = await self.read_exact(min(size, MAX_REFUSAL))
            rule, _, detail = body.decode("utf-8", "replace").partition("\0")
            raise PeerRefused(_plain(rule) if status == REFUSED and rule else "internal-error", detail)
        if size > limit:
            raise ReplyTooLarge(size, limit)
        if budget is None:
            return await self.read_exact(size)
        return await self._read_counted(size, budget)

    async def _read_counted(self, size: int, budget: ByteBudget) -> bytes:
        parts, held, complete = [], 0, False
        try:
            while held < size:
                part = await self.read_some(size - held)
                if not budget.take(len(part)):
                    raise PeerRefused(BUSY, "too many bytes are being received")
                parts.append(part)
                held += len(part)
            complete = True
            return b"".join(parts)
        finally:
            if not complete:
                budget.give(held)

    @property
    def remote_done(self) -> bool:
        """Whether the other side said that it sends nothing more."""
        return bool(self._stream.muxed_stream.recv_closed)

    @property
    def gone(self) -> bool:
        """Whether the stream was reset or its connection is closed: nobody waits for an answer."""
        muxed = self._stream.muxed_stream
        return bool(muxed.reset_received or muxed.closed)

    async def close(self, linger: float = 0.0) -> None:
        """End the stream properly; wait up to ``linger`` seconds for the other side to end it too, then reset it.

        A stream that is not ended by both sides would be kept by the multiplexer for ever.
        """
        with trio.move_on_after(linger + 2.0) if linger else shielded(2.0):
            try:
                await self._stream.close()
                with trio.move_on_after(linger):
                    while linger and not self.remote_done:
                        await self._stream.read(4096)
            except Exception:
                await self.abort()
                return
        if not self.remote_done:
            await self.abort()

    async def abort(self) -> None:
        """Reset the stream at once. Never raises, never takes longer than a second."""
        with shielded(1.0):
            try:
                await self._stream.reset()
            except Exception:
                return


def _plain(rule: str) -> str:
    return "".join(c for c in rule[:64] if c.isalnum() or c in "-_.") or "unnamed"
