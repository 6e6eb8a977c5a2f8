"""Small things that the tests of the network share: networks in one process, polling with a limit, raw streams."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from omninode.net.book import PeerBook
from omninode.net.keys import peer_id_bytes
from omninode.net.limits import Limits
from omninode.net.service import Network

LIMIT = 60.0
QUICK = replace(Limits(), exchange=1.0, gossip_heartbeat=0.3, heartbeat=1.0)
ANY_PORT = "/ip4/127.0.0.1/tcp/0"
GOSSIP = "/meshsub/1.1.0"


def seed(name: str) -> bytes:
    """A 32-byte key seed that depends on the name only."""
    return hashlib.sha256(name.encode()).digest()


def network(
    path: Path, name: str, bootstrap: Sequence[str] = (), limits: Limits = QUICK, listen: str = ANY_PORT
) -> Network:
    """A network that is not running yet; its book is a file under ``path``."""
    return Network(seed(name), listen, bootstrap, PeerBook(path / f"{name}.json"), limits)


@asynccontextmanager
async def running(*networks: Network) -> AsyncIterator[trio.Nursery]:
    """Run networks until the block ends; a hanging test is ended after a minute."""
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            for net in networks:
                await nursery.start(net.run)
            yield nursery
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def pair(path: Path, limits: Limits = QUICK) -> AsyncIterator[tuple[Network, Network]]:
    """Two networks, the second connected to the first. Both serve /test/echo."""
    first = network(path, "first", limits=limits)
    with_echo(first)
    async with running(first) as nursery:
        second = network(path, "second", first.addrs, limits)
        with_echo(second)
        await nursery.start(second.run)
        await second.connect(first.peer_key)
        yield first, second


def with_echo(net: Network, max_request: int = 1 << 20) -> Network:
    """Serve /test/echo."""

    async def echo(peer_key: bytes, payload: bytes) -> bytes:
        return payload

    net.on_request("/test/echo", echo, max_request=max_request)
    return net


async def serves(client: Network, server: Network) -> bool:
    """Whether ``server`` still answers: a fresh request with a fresh stream."""
    reply = await client.request(server.peer_key, "/test/echo", b"still there?", deadline=30)
    return reply == b"still there?"


async def until(condition: Callable[[], bool], what: str = "condition") -> None:
    """Wait for a condition; fails after half a minute."""
    with trio.move_on_after(30):
        while not condition():
            await trio.sleep(0.02)
        return
    raise AssertionError(f"never came: {what}")


async def raw_stream(attacker: Network, victim: Network, protocol: str) -> Any:
    """A bare libp2p stream, to send on it what no honest node would."""
    assert attacker._node is not None
    return await attacker._node.host.new_stream(ID(peer_id_bytes(victim.peer_key)), [TProtocol(protocol)])


def port_of(net: Network) -> int:
    """The TCP port that a running network listens on."""
    return int(net.addrs[0].split("/")[4])
