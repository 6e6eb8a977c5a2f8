"""TCP that reads ahead: two system calls for every 64 KB frame otherwise, and a turn of the event loop with each."""

from __future__ import annotations

from libp2p.abc import IRawConnection
from libp2p.io.abc import ReadWriteCloser
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.tcp.tcp import TCP
from multiaddr import Multiaddr

AHEAD = 1 << 18


class ReadAhead(ReadWriteCloser):
    """A stream whose reads are served from a buffer of what the socket had."""

    def __init__(self, inner: ReadWriteCloser) -> None:
        self._inner = inner
        self._buffer = memoryview(b"")

    async def read(self, n: int | None = None) -> bytes:
        """At most ``n`` bytes, empty at the end of the stream."""
        if not self._buffer:
            self._buffer = memoryview(await self._inner.read(AHEAD))
        size = len(self._buffer) if n is None else n
        data, self._buffer = bytes(self._buffer[:size]), self._buffer[size:]
        return data

    async def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        await self._inner.write(data)

    async def close(self) -> None:
        """Close the socket."""
        await self._inner.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Address and port of the other end."""
        return self._inner.get_remote_address()


class ReadAheadTCP(TCP):
    """The TCP transport, dialling connections that read ahead."""

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        """As in the original."""
        connection = await super().dial(maddr)
        assert isinstance(connection, RawConnection)
        connection.stream = ReadAhead(connection.stream)
        return connection
