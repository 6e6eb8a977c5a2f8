"""Content-addressed blobs over request streams: verified, resumable from another peer, size lies refused.

Request frame: SHA-256 digest (32 bytes), offset (8 bytes, big endian). Reply: a frame with the blob's whole size
(8 bytes), then the bytes from the offset to the end, unframed, on the same stream. Refusal: rule no-such-blob.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

import trio

from omninode.net.counters import Counters
from omninode.net.errors import BlobUnavailable, NetError, PeerRefused, ReplyTooLarge, StreamBroken, only
from omninode.net.requests import StreamHandler
from omninode.net.wire import Wire
from omninode.store.blobs import BlobCorrupt
from protocols.errors import RemoteProtocolError

PROTOCOL = "/omninode/blob/1"
CHUNK = 1 << 20
_REQUEST = struct.Struct(">32sQ")
_SIZE = struct.Struct(">Q")
_STALL = 30.0  # seconds without a byte after which another peer is asked
_ROUNDS = 3  # through all peers without a byte more
_PAUSE_S = 1.0
_LEAST_S = 60.0
_LEAST_RATE = 256 << 10  # bytes a second


class Writer(Protocol):
    """A blob being received."""

    size: int

    def write(self, data: bytes) -> None: ...
    def restart(self) -> None: ...
    def commit(self, public: bool = False) -> Path: ...
    def discard(self) -> None: ...


class BlobStore(Protocol):
    """Where blobs are kept (``omninode.store.blobs``)."""

    def has(self, digest: bytes) -> bool: ...
    def path(self, digest: bytes) -> Path: ...
    def size(self, digest: bytes) -> int: ...
    def check_size(self, digest: bytes, max_size: int) -> Path: ...
    def is_public(self, digest: bytes) -> bool: ...
    def open(self, digest: bytes) -> BinaryIO: ...
    def writer(self, digest: bytes | None = None, *, max_size: int = ...) -> Writer: ...


class Streams(Protocol):
    """What is needed of the network."""

    counters: Counters

    def on_stream(self, protocol: str, handler: StreamHandler) -> None: ...
    def open_stream(self, peer_key: bytes, protocol: str) -> AbstractAsyncContextManager[Wire, bool | None]: ...


class BadBlob(NetError):
    """The peer sent something else than the blob, or says a size that cannot be."""


def serve_blobs(net: Streams, store: BlobStore) -> None:
    """Serve the public blobs of ``store`` to whoever asks."""

    async def serve(wire: Wire) -> None:
        with trio.fail_after(_STALL):
            request = await wire.read_request(_REQUEST.size)
        if len(request) != _REQUEST.size:
            raise RemoteProtocolError("blob-request", wire.peer_key.hex(), f"{len(request)} bytes")
        digest, offset = _REQUEST.unpack(request)
        if not store.is_public(digest):
            raise PeerRefused("no-such-blob", digest.hex())
        with store.open(digest) as file:
            size = store.size(digest)
            if offset > size:
                raise RemoteProtocolError("blob-offset", wire.peer_key.hex(), f"{offset} of {size}")
            await wire.write_frame(_SIZE.pack(size))
            file.seek(offset)
            await _send(wire, file)

    net.on_stream(PROTOCOL, serve)


async def _send(wire: Wire, file: BinaryIO) -> None:
    send, receive = trio.open_memory_channel[bytes](1)

    async def read_ahead() -> None:
        async with send:
            while data := await trio.to_thread.run_sync(file.read, CHUNK):
                await send.send(data)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_ahead)
            async for data in receive:
                with trio.fail_after(4 * _STALL):
                    await wire.write(data)
    except BaseExceptionGroup as group:
        raise only(group) from group


def patience(max_size: int) -> float:
    """Seconds that a blob of this size may take: a slow line is no fault."""
    return _LEAST_S + max_size / _LEAST_RATE


async def fetch_blob(
    net: Streams, store: BlobStore, digest: bytes, peers: Sequence[bytes], *, max_size: int, deadline: float
) -> Path:
    """Fetch the blob with this SHA-256 from one of the peers into the store; return its file.

    max_size: bytes that are accepted at most, whatever a peer says. deadline: seconds for everything; ``patience``
    says how many are right for a size. A broken transfer goes on with the next peer where it stopped; what turns out
    wrong at the end is fetched anew. BlobUnavailable with every peer's reason if nobody had it; errors of the store
    (no room, BlobTooLarge also for a blob that is here already) pass through.
    """
    if store.has(digest):
        return store.check_size(digest, max_size)
    reasons: dict[str, str] = {}
    transfer = _Transfer(net, store, digest, max_size)
    try:
        with trio.move_on_after(deadline) as scope:
            path = await transfer.run(peers, reasons)
            if path is not None:
                return path
        if scope.cancelled_caught:
            reasons["deadline"] = f"{deadline:g} s"
        raise BlobUnavailable(digest, reasons)
    finally:
        transfer.writer.discard()


class _Transfer:
    """One blob on its way, from one peer after the other."""

    def __init__(self, net: Streams, store: BlobStore, digest: bytes, max_size: int) -> None:
        self.writer = store.writer(digest, max_size=max_size)
        self._net = net
        self._digest = digest
        self._max_size = max_size
        self._total: int | None = None
        self._sources: set[bytes] = set()
        self._alone = False

    async def run(self, peers: Sequence[bytes], reasons: dict[str, str]) -> Path | None:
        """Ask every peer, those whose transfer merely broke again and again while more comes. None if all failed."""
        waiting = list(dict.fromkeys(peers))
        turn = most = 0
        while waiting and turn < _ROUNDS:
            again = []
            for peer in waiting:
                try:
                    return await self._from(peer)
                except (BadBlob, ReplyTooLarge, PeerRefused) as error:
                    reasons[peer.hex()] = str(error)
                except NetError as error:
                    reasons[peer.hex()] = str(error)
                    again.append(peer)
            waiting = again
            turn = turn + 1 if self.writer.size <= most else 0
            most = max(most, self.writer.size)
            if waiting and turn < _ROUNDS:
                await trio.sleep(_PAUSE_S)
        return None

    async def _from(self, peer: bytes) -> Path:
        if self._alone:
            self._start_over()
        async with self._net.open_stream(peer, PROTOCOL) as wire:
            await wire.write_frame(_REQUEST.pack(self._digest, self.writer.size))
            with trio.move_on_after(_STALL) as scope:
                self._check_size(peer, await wire.read_frame(_SIZE.size))
            if scope.cancelled_caught:
                raise StreamBroken("no answer")
            await self._receive(peer, wire)
        try:
            return await trio.to_thread.run_sync(self.writer.commit)
        except BlobCorrupt as error:
            raise self._wrong(peer) from error

    def _check_size(self, peer: bytes, body: bytes) -> None:
        if len(body) != _SIZE.size:
            raise self._blame(peer, "blob-form", f"{len(body)} bytes for a size")
        (total,) = _SIZE.unpack(body)
        if total > self._max_size:
            raise self._blame(peer, "blob-size", f"{total} bytes announced, {self._max_size} allowed")
        if total < self.writer.size or (self._total is not None and total != self._total):
            # One of the two peers lies about the size; this one gets its own chance from the beginning.
            self._start_over()
            raise StreamBroken("another size than the peer before")
        self._total = total

    async def _receive(self, peer: bytes, wire: Wire) -> None:
        assert self._total is not None
        self._sources.add(peer)
        send, receive = trio.open_memory_channel[bytes](2)
        missing = self._total - self.writer.size
        broken: NetError | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, receive)
                async with send:
                    try:
                        while missing:
                            data = await self._gather(wire, min(missing, CHUNK))
                            missing -= len(data)
                            await send.send(data)
                    except NetError as error:
                        broken = error  # what has come is written before another peer is asked for the rest
        except BaseExceptionGroup as group:
            raise only(group) from group
        if broken is not None:
            raise broken

    async def _gather(self, wire: Wire, size: int) -> bytes:
        """``size`` bytes in one piece: handing every frame to a thread alone costs more than the frame."""
        with trio.move_on_after(_STALL):
            return await wire.read_exact(size)
        raise StreamBroken(f"no progress for {_STALL:g} s")

    async def _write(self, receive: trio.MemoryReceiveChannel[bytes]) -> None:
        async for data in receive:
            await trio.to_thread.run_sync(self.writer.write, data)

    def _wrong(self, peer: bytes) -> NetError:
        alone = self._sources == {peer}
        self._start_over()
        if alone:
            return self._blame(peer, "blob-digest", self._digest.hex())
        self._alone = True
        return StreamBroken("pieces of several peers do not make the blob")

    def _start_over(self) -> None:
        self.writer.restart()
        self._sources.clear()
        self._total = None

    def _blame(self, peer: bytes, rule: str, detail: str) -> BadBlob:
        self._net.counters.fault(rule, peer, detail)
        return BadBlob(f"{rule}: {detail}")
