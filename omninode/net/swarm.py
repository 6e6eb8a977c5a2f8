"""The swarm: dials what the peer book knows, lets in what the door admits, keeps nobody's slot for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
from libp2p.abc import IMuxedConn, INetConn, INetStream
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError, IncompleteReadError
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.exceptions import RawConnError
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from multiaddr import Multiaddr

from omninode.net.book import PeerBook
from omninode.net.guard import Door
from omninode.net.keys import key_of
from omninode.net.limits import Limits, shielded
from omninode.net.muxer import SafeUpgrader
from omninode.net.tcp import ReadAhead, ReadAheadTCP

HUNG_UP = (
    IncompleteReadError,
    ConnectionClosedError,
    RawConnError,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)


class _NoAutoConnect(AutoConnector):
    """We choose our connections ourselves (``exchange``)."""

    async def maybe_connect(self) -> None:
        return

    async def run_background_task(self, nursery: trio.Nursery) -> None:
        return


def _config(limits: Limits) -> ConnectionConfig:
    return ConnectionConfig(
        max_connections=limits.max_connections,
        min_connections=0,
        low_watermark=0,
        high_watermark=limits.max_connections,
        max_connections_per_peer=limits.per_peer + 1,
        inbound_upgrade_timeout=limits.handshake,
        outbound_upgrade_timeout=limits.handshake,
        inbound_stream_protocol_negotiation_timeout=limits.handshake,
        outbound_stream_protocol_negotiation_timeout=limits.handshake,
    )


class SafeSwarm(Swarm):
    """TCP connections of one node. fault(rule, key or None, detail) is told of every peer that breaks a rule."""

    def __init__(
        self,
        peer_id: ID,
        peerstore: PeerStore,
        upgrader: SafeUpgrader,
        limits: Limits,
        book: PeerBook,
        fault: Callable[[str, bytes | None, str], None],
    ) -> None:
        super().__init__(peer_id, peerstore, upgrader, [ReadAheadTCP()], RetryConfig(max_retries=0), _config(limits))
        self.auto_connector = _NoAutoConnect(swarm=self)
        self.limits = limits
        self.book = book
        self.door = Door(limits)
        self._fault = fault
        self._dialling: dict[ID, trio.Lock] = {}

    async def dial_peer(self, peer_id: ID) -> list[INetConn]:
        """One connection to the peer: an open one, or the first of the book's addresses that answers.

        SwarmException if none does. (The original waits 250 ms after every success and refuses a peer for a minute
        after a failure, which is longer than a restart takes.)
        """
        if peer_id == self.self_id:
            raise SwarmException("that is ourselves")
        lock = self._dialling.setdefault(peer_id, trio.Lock())
        try:
            async with lock:
                return [self._open_connection(peer_id) or await self._dial_any(peer_id)]
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._dialling.pop(peer_id, None)

    def _open_connection(self, peer_id: ID) -> INetConn | None:
        # The newest: after a partition the older one may be dead without anybody having noticed.
        return next((c for c in reversed(self.get_connections(peer_id)) if not c.is_closed), None)

    async def new_stream(self, peer_id: ID) -> INetStream:
        """A new stream to the peer, dialled if necessary.

        SwarmException instead of the original's endless wait when too many are open. Cancelling it never loses a
        stream that is already open on the wire; the original loses its place, and after 256 of them hangs.
        """
        connection = self._open_connection(peer_id) or (await self.dial_peer(peer_id))[0]
        muxed: Any = connection.muxed_conn
        if muxed.stream_backlog_semaphore.value == 0:
            raise SwarmException("too many open streams to this peer")
        with trio.CancelScope(shield=True):
            stream = await connection.new_stream()
        return stream

    async def _dial_any(self, peer_id: ID) -> INetConn:
        key = _key(peer_id)
        addresses = self.book.addrs(key)
        said: list[str] = []
        for address in addresses:
            try:
                with trio.fail_after(self.limits.dial):
                    connection = await self._dial_addr_single_attempt(Multiaddr(address), peer_id)
            except (SwarmException, trio.TooSlowError, OSError) as error:
                said.append(f"{address}: {error.__cause__ or error}")
                continue
            self.book.worked(key, address)
            return connection
        raise SwarmException("; ".join(said) or "no address is known")

    async def add_conn(self, muxed_conn: IMuxedConn, direction: str = "unknown") -> SwarmConn:
        """Register a connection whose key is an ed25519 key that is not banned; an old one gives way to a third."""
        try:
            key = _key(muxed_conn.peer_id)
            if self.book.banned(key):
                raise SwarmException("banned")
        except SwarmException as error:
            self._fault("not-admitted", None, f"{muxed_conn.peer_id}: {error}")
            await muxed_conn.close()
            raise
        with trio.fail_after(self.limits.handshake):
            connection = await super().add_conn(muxed_conn, direction)
        for old in self.get_connections(muxed_conn.peer_id)[: -self.limits.per_peer]:
            self.manager.run_task(old.close)
        return connection

    async def _handle_inbound_connection(self, read_write_closer: ReadWriteCloser, maddr: Multiaddr) -> None:
        """Serve one inbound socket; its slot is free again when its connection ends (never, in the original)."""
        address = (read_write_closer.get_remote_address() or ("?", 0))[0]
        with self.door.knock(address) as knock:
            try:
                if knock is not None:
                    await self._serve_inbound(RawConnection(ReadAhead(read_write_closer), False), maddr, knock)
            finally:
                with shielded(1.0):
                    await read_write_closer.close()

    async def _serve_inbound(self, raw: RawConnection, maddr: Multiaddr, knock: Any) -> None:
        muxed: Any = None
        try:
            with knock.scope:
                muxed = await self.upgrade_inbound_raw_conn(raw, maddr)
        except Exception as error:
            reason = str(error.__cause__ or error)
            if not isinstance(root_of(error), HUNG_UP):  # that is no fault
                self._fault("handshake", None, f"{knock.address}: {reason}")
            return
        if muxed is None or not self.door.admit(knock):
            self._fault("half-open", None, knock.address)
            if muxed is not None:
                await muxed.close()
            return
        await muxed.event_closed.wait()

    async def disconnect_all(self) -> None:
        """Say goodbye to everybody, at most a few seconds, so that nobody counts us as connected."""
        with shielded(3.0):
            async with trio.open_nursery() as nursery:
                for connection in self.get_connections():
                    nursery.start_soon(_close_quietly, connection)


async def _close_quietly(connection: INetConn) -> None:
    try:
        await connection.close()
    except Exception:
        return


def root_of(error: BaseException) -> BaseException:
    """The exception at the beginning of the chain of causes."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _key(peer_id: ID) -> bytes:
    try:
        return key_of(peer_id.to_bytes())
    except ValueError as error:
        raise SwarmException("not an ed25519 key") from error
