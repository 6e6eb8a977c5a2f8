"""Construction of the one host: TCP, Noise and Yamux only, with the guards in place. Starts and stops its services."""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import trio
from libp2p.abc import INetConn, INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.host.ping import ID as PING
from libp2p.host.ping import PingService
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.identify import identify_handler_for
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from multiaddr import Multiaddr

from omninode.net import patches
from omninode.net.book import PeerBook
from omninode.net.errors import AddressTaken
from omninode.net.gossip import SafeGossipSub, SafePubsub
from omninode.net.guard import GuardedManager, Report, guarded
from omninode.net.keys import key_of
from omninode.net.limits import Limits, shielded
from omninode.net.muxer import Ledger, SafeUpgrader
from omninode.net.swarm import SafeSwarm

Fault = Callable[[str, bytes | None, str], None]


class SafeHost(BasicHost):
    """A host that answers identify and ping but asks nobody, and whose every stream handler is fenced."""

    def __init__(self, swarm: SafeSwarm, report: Report) -> None:
        # Replaced below: the defaults would open identify streams from unguarded system tasks.
        super().__init__(swarm, default_protocols=OrderedDict({PING: _nobody}), disable_identify_address_discovery=True)
        self._report_error = report
        self.swarm = swarm
        self.set_stream_handler(PING, PingService(self).handle_ping)
        self.set_stream_handler(IDENTIFY, identify_handler_for(self, use_varint_format=True))

    def set_stream_handler(self, protocol_id: TProtocol, stream_handler: Callable[[INetStream], Any]) -> None:
        """Serve a protocol. An exception of the handler is reported and resets the stream, nothing more."""

        async def serve(stream: INetStream) -> None:
            try:
                await stream_handler(stream)
            except Exception as error:
                self._report_error(f"stream handler {protocol_id}", error)
                await guarded(stream.reset, self._report_error)()

        super().set_stream_handler(protocol_id, serve)

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        return

    async def _on_notifee_connected(self, conn: INetConn) -> None:
        return

    async def _push_identify_to_all_peers(self) -> None:
        return

    async def _swarm_stream_handler(self, net_stream: INetStream) -> None:
        await guarded(super()._swarm_stream_handler, self._report_error)(net_stream)


async def _nobody(stream: INetStream) -> None:
    await stream.reset()


class Node:
    """One incarnation of the host with its gossip; a supervisor makes a new one when a service of it dies."""

    def __init__(
        self, key: bytes, limits: Limits, book: PeerBook, fault: Fault, lost: Callable[[ID], None], report: Report
    ) -> None:
        patches.apply(limits.window)
        pair = create_new_key_pair(key)
        noise = NoiseTransport(pair, noise_privkey=create_noise_key_pair().private_key)
        peer_id = ID.from_pubkey(pair.public_key)
        store = PeerStore()
        store.add_key_pair(peer_id, pair)
        ledger = Ledger(limits, lambda rule, peer, detail: fault(rule, _key_or_none(peer), detail), lost)
        self.swarm = SafeSwarm(peer_id, store, SafeUpgrader({NOISE: noise}, ledger), limits, book, fault)
        self.ledger = ledger
        self.host = SafeHost(self.swarm, report)
        self.gossipsub = SafeGossipSub(limits, report)
        self.pubsub = SafePubsub(self.host, self.gossipsub, limits, fault, report)
        self._report = report

    async def run(self, listen: str, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Run all services until one of them ends or we are cancelled. AddressTaken if the port is in use."""
        _check_free(listen)
        services = (self.swarm, self.gossipsub, self.pubsub)
        managers = [GuardedManager(service, self._report) for service in services]
        async with trio.open_nursery() as nursery:
            try:
                for service, manager in zip(services, managers, strict=True):
                    service._manager = manager
                    nursery.start_soon(_run_or_raise, manager)
                    await manager.wait_started()
                if not await self.swarm.listen(Multiaddr(listen)):
                    raise AddressTaken(f"cannot listen on {listen}")
                await self.pubsub.wait_until_ready()
                task_status.started()
                await trio.sleep_forever()
            finally:
                await self._stop(managers)
                nursery.cancel_scope.cancel()

    async def _stop(self, managers: list[GuardedManager]) -> None:
        await self.swarm.disconnect_all()
        with shielded(3.0):
            for listener in list(self.swarm.listeners.values()):
                await guarded(listener.close, self._report)()
            for manager in reversed(managers):
                if manager.is_running:
                    await manager.stop()

    def addresses(self) -> list[str]:
        """The TCP addresses that are listened on, without /p2p/."""
        return [str(address) for address in self.host.get_transport_addrs()]


class ServiceEnded(Exception):
    """A background service of libp2p returned although nobody stopped it."""


async def _run_or_raise(manager: GuardedManager) -> None:
    await manager.run()
    raise ServiceEnded(str(manager))


def _check_free(listen: str) -> None:
    """libp2p listens with SO_REUSEPORT, so that two daemons on one port would silently share its connections."""
    parts = listen.split("/")
    host, port = parts[2], int(parts[4])
    if port == 0:
        return
    family = socket.AF_INET6 if parts[1] == "ip6" else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AddressTaken(f"cannot listen on {listen}: {error.strerror}") from error


def _key_or_none(peer: ID) -> bytes | None:
    try:
        return key_of(peer.to_bytes())
    except ValueError:
        return None
