"""The network of one node: requests, gossip and streams, under a supervisor that restarts the host when it dies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from omninode.net import exchange
from omninode.net.book import PeerBook
from omninode.net.counters import Counters
from omninode.net.errors import NetDown, PeerRefused, PeerUnreachable, RequestTimeout, only
from omninode.net.exchange import Exchange
from omninode.net.host import Node
from omninode.net.keys import key_of, peer_id_bytes, peer_id_of, split_address
from omninode.net.limits import Limits, TokenBucket
from omninode.net.requests import RequestHandler, Route, Server, StreamHandler
from omninode.net.topics import TopicHandler, Topics
from omninode.net.wire import Wire

PeerLost = Callable[[bytes], None]
_SAVE = 5.0
_RESTART_MIN, _RESTART_MAX = 0.5, 15.0
_WAIT_UP = 20.0
_ATTEMPTS = 3


class Network:
    """One libp2p host, hardened. Peers are their 32-byte ed25519 public keys.

    key: 32-byte ed25519 seed. listen: one TCP multiaddr, port 0 for any. bootstrap: multiaddrs with /p2p/.
    announce: addresses to tell others instead of the ones listened on (behind a translator, in a container).
    """

    def __init__(
        self,
        key: bytes,
        listen: str,
        bootstrap: Sequence[str],
        book: PeerBook,
        limits: Limits | None = None,
        log: Any = None,
        announce: Sequence[str] = (),
    ) -> None:
        self.limits = limits or Limits()
        self.book = book
        self.peer_key = Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
        self.peer_id = peer_id_of(self.peer_key)
        self.log = log if log is not None else structlog.get_logger("omninode.net")
        self.counters = Counters(self.log, self.limits.tracked_peers)
        self._key = key
        self._listen = listen
        self._bootstrap = [_named(address) for address in bootstrap]
        self._announce = [split_address(address)[0] for address in announce]
        self._server = Server(self.limits, self.counters, self.log)
        self._topics = Topics(self.limits.gossip_queue, self.counters, self.log)
        self._handlers: dict[str, StreamHandler] = {}
        self._lost: list[PeerLost] = []
        self._node: Node | None = None
        self._up = trio.Event()
        self._pace = TokenBucket(self.limits.publish_rate, self.limits.publish_burst)
        self._exchange = Exchange(self, key, book, self.limits, lambda: self._announce or self._dialable())
        self.on_request(exchange.PROTOCOL, self._exchange.answer, max_request=exchange.MAX_MESSAGE)

    # What a node says about itself

    @property
    def addrs(self) -> list[str]:
        """Our addresses, with /p2p/; empty until ``run`` has started."""
        return [f"{address}/p2p/{self.peer_id}" for address in self._announce or self._dialable()]

    def connected(self) -> list[bytes]:
        """Keys of the peers with an open connection."""
        if self._node is None:
            return []
        return [key_of(peer.to_bytes()) for peer in self._node.swarm.connections]

    def stats(self) -> dict[str, Any]:
        """Counters: total and peers (bytes per protocol, faults per rule), events, connections, door, and
        wire (all bytes on all connections of the present host, multiplexing included)."""
        swarm = self._node.swarm if self._node else None
        ledger = self._node.ledger if self._node else None
        return {
            **self.counters.as_dict(),
            "connections": len(self.connected()),
            "wire": {"sent": ledger.sent if ledger else 0, "received": ledger.received if ledger else 0},
            "door": {"half_open": swarm.door.half_open, "inside": swarm.door.inside} if swarm else {},
        }

    # Serving

    def on_request(
        self, protocol: str, handler: RequestHandler, *, max_request: int | Callable[[bytes], int] = 1 << 20
    ) -> None:
        """Serve a protocol: one frame of at most ``max_request`` bytes in, one frame out.

        handler(peer key, payload) -> reply. RemoteProtocolError goes back as an error frame with its rule, is counted
        and logged with the peer's key; PeerRefused goes back without blame; anything else is logged as our fault.
        """
        self.on_stream(protocol, self._server.answering(Route(protocol, handler, max_request)))

    def on_stream(self, protocol: str, handler: StreamHandler) -> None:
        """Serve a protocol with the stream itself; the same fences as for requests."""
        self._handlers[protocol] = handler
        if self._node is not None:
            self._install(self._node, protocol)

    def subscribe(self, topic: str, handler: TopicHandler) -> None:
        """handler(origin's key, data) for every announcement of others on ``topic``; one after the other."""
        self._topics.add(topic, handler)
        if self._node is not None:
            self._node.swarm.manager.run_task(self._node.pubsub.subscribe, topic)

    def on_peer_lost(self, callback: PeerLost) -> None:
        """callback(peer key) when the last connection to a peer is gone. It must not block."""
        self._lost.append(callback)

    # Asking

    async def request(
        self, peer_key: bytes, protocol: str, payload: bytes, *, deadline: float, max_reply: int = 1 << 20
    ) -> bytes:
        """Send one frame and return the one that comes back.

        deadline: seconds for everything. Raises PeerUnreachable, RequestTimeout, PeerRefused (the peer's rule),
        ReplyTooLarge, StreamBroken (the peer may or may not have acted: repeat only what may be done twice).
        """
        with trio.move_on_after(deadline):
            async with self.open_stream(peer_key, protocol) as wire:
                await wire.write_frame(payload)
                return await wire.read_frame(max_reply)
        raise RequestTimeout(peer_key, protocol, deadline)

    @asynccontextmanager
    async def open_stream(self, peer_key: bytes, protocol: str) -> AsyncIterator[Wire]:
        """A stream to the peer, dialled through the book if necessary, ended on every way out."""
        wire = Wire(await self._new_stream(peer_key, protocol), peer_key, protocol)
        try:
            yield wire
        except BaseException:
            await wire.abort()
            raise
        else:
            await wire.close()
        finally:
            self.counters.moved(peer_key, protocol, sent=wire.sent, received=wire.received)

    async def connect(self, peer_key: bytes, deadline: float = 30.0) -> None:
        """Be connected to the peer. PeerUnreachable or RequestTimeout if that fails."""
        with trio.move_on_after(deadline):
            await self._exchange.ask(peer_key)
            return
        raise RequestTimeout(peer_key, exchange.PROTOCOL, deadline)

    async def disconnect(self, peer_key: bytes) -> None:
        """Close all connections to the peer."""
        if self._node is not None:
            for connection in self._node.swarm.get_connections(ID(peer_id_bytes(peer_key))):
                await connection.close()

    async def ban(self, peer_key: bytes) -> None:
        """Ban the peer in the book and close its connections."""
        self.book.ban(peer_key)
        await self.disconnect(peer_key)

    async def publish(self, topic: str, data: bytes) -> None:
        """Announce ``data`` (at most ``limits.gossip_size`` bytes) on ``topic``; paced, so it may wait for its turn.

        ValueError if it is too large, NetDown if our host is down. Nothing says who received it.
        """
        if len(data) > self.limits.gossip_size:
            raise ValueError(f"an announcement has at most {self.limits.gossip_size} bytes, not {len(data)}")
        await self._pace.wait()
        node = await self._running()
        await node.pubsub.publish(topic, data)
        self.counters.moved(self.peer_key, f"gossip:{topic}", sent=len(data))

    # Running

    async def run(self, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; ``started()`` when listening. AddressTaken if the port is in use at the start.

        When a service of the host dies it is started again with the same key, port, handlers and topics.
        """
        for peer_key, address in self._bootstrap:
            if peer_key != self.peer_key and not self.book.addrs(peer_key):
                self.book.know(peer_key, [address], 0.0)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._topics.run)
                nursery.start_soon(self._exchange_when_up)
                nursery.start_soon(self._save_book)
                await self._supervise(task_status)
        except BaseExceptionGroup as group:
            raise only(group) from group
        finally:
            self._save_now()

    async def _supervise(self, task_status: Any) -> None:
        started, pause = False, _RESTART_MIN
        while True:
            began = trio.current_time()
            try:
                async with trio.open_nursery() as nursery:
                    await self._bring_up(nursery)
                    if not started:
                        started = True
                        task_status.started()
            except Exception as error:
                if not started:
                    raise
                self.log.error("network host died, restarting", exc_info=error)
            finally:
                self._node, self._up = None, trio.Event()
            self.counters.event("host-restart")
            pause = _RESTART_MIN if trio.current_time() - began > 60 else min(2 * pause, _RESTART_MAX)
            await trio.sleep(pause)

    async def _bring_up(self, nursery: trio.Nursery) -> None:
        node = Node(self._key, self.limits, self.book, self.counters.fault, self._heartbeat_lost, self._report)
        node.swarm.register_notifee(_Watch(self))
        node.pubsub.deliver = self._topics.deliver
        for protocol in self._handlers:
            self._install(node, protocol)
        await nursery.start(node.run, self._listen)
        for topic in self._topics.names():
            await node.pubsub.subscribe(topic)
        self._listen = node.addresses()[0]
        self._node = node
        self._up.set()

    async def _exchange_when_up(self) -> None:
        await self._up.wait()
        await self._exchange.run()

    async def _save_book(self) -> None:
        while True:
            await trio.sleep(_SAVE)
            snapshot = self.book.snapshot()
            if snapshot is not None:
                try:
                    await trio.to_thread.run_sync(self.book.write, snapshot)
                except OSError as error:
                    self.log.warning("peer book not saved", path=str(self.book.path), error=str(error))

    def _save_now(self) -> None:
        try:
            self.book.save()
        except OSError as error:
            self.log.warning("peer book not saved", path=str(self.book.path), error=str(error))

    def _install(self, node: Node, protocol: str) -> None:
        handler = self._handlers[protocol]

        async def serve(stream: INetStream) -> None:
            wire = Wire(stream, key_of(stream.muxed_conn.peer_id.to_bytes()), protocol)
            await self._server.serve(wire, handler)

        node.host.set_stream_handler(TProtocol(protocol), serve)

    async def _running(self) -> Node:
        with trio.move_on_after(_WAIT_UP):
            await self._up.wait()
        if self._node is None:
            raise NetDown("our libp2p host is not running")
        return self._node

    async def _new_stream(self, peer_key: bytes, protocol: str) -> INetStream:
        if self.book.banned(peer_key):
            raise PeerUnreachable(peer_key, "banned")
        if peer_key == self.peer_key:
            raise PeerUnreachable(peer_key, "that is ourselves")
        peer_id, said = ID(peer_id_bytes(peer_key)), "?"
        for attempt in range(_ATTEMPTS):
            node = await self._running()
            try:
                return await node.host.new_stream(peer_id, [TProtocol(protocol)])
            except StreamFailure as error:
                if "not supported" in str(error.__cause__):
                    raise PeerRefused("unknown-protocol", protocol) from error
                said = str(error.__cause__ or error)
            except Exception as error:
                said = str(error) or type(error).__name__
            if attempt + 1 < _ATTEMPTS:
                await trio.sleep(0.2 * (attempt + 1))
        raise PeerUnreachable(peer_key, said)

    def _dialable(self) -> list[str]:
        return _expand(self._node.addresses()) if self._node is not None else []

    def _heartbeat_lost(self, peer: ID) -> None:
        self.counters.event("heartbeat-lost")
        self.log.info("peer does not answer, closing", peer=str(peer))

    def _report(self, what: str, error: BaseException) -> None:
        self.counters.event("contained-error")
        self.log.debug("error contained", what=what, error=f"{type(error).__name__}: {error}")

    def _peer_gone(self, peer: ID) -> None:
        self.counters.event("peer-lost")
        for callback in self._lost:
            try:
                callback(key_of(peer.to_bytes()))
            except Exception as error:
                self.log.error("peer-lost callback failed", exc_info=error)


class _Watch(INotifee):
    """Tells the network of peers whose last connection closed."""

    def __init__(self, net: Network) -> None:
        self._net = net

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        peer: ID = conn.muxed_conn.peer_id
        if not network.connections.get(peer):
            self._net._peer_gone(peer)

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        return

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        return

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        return

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        return

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        return


def _named(address: str) -> tuple[bytes, str]:
    base, peer_key = split_address(address)
    if peer_key is None:
        raise ValueError(f"bootstrap address without /p2p/: {address}")
    return peer_key, base


def _expand(addresses: list[str]) -> list[str]:
    """Replace wild-card addresses by those of this machine's interfaces."""
    import ipaddress

    import psutil

    found: list[str] = []
    for address in addresses:
        _, kind, host, *rest = address.split("/")
        if not ipaddress.ip_address(host).is_unspecified:
            found.append(address)
            continue
        for items in psutil.net_if_addrs().values():
            for item in items:
                try:
                    ip = ipaddress.ip_address(item.address)
                except ValueError:
                    continue
                if kind == f"ip{ip.version}" and not ip.is_link_local:
                    found.append("/".join(["", kind, str(ip), *rest]))
    return found
