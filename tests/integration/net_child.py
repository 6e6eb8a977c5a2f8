"""A node in a process of its own, driven over its standard input and output by ``test_net_processes``.

Arguments: book path, key seed in hex, listen address, heartbeat deadline, bootstrap addresses. Commands, one per line:
publish TEXT | echo KEY | stats | quit. Events are printed as JSON lines.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import trio

from omninode.net.book import PeerBook
from omninode.net.limits import Limits
from omninode.net.service import Network


def say(**event: object) -> None:
    """Print one event."""
    print(json.dumps(event), flush=True)


async def main() -> None:
    """Run until told to quit."""
    book, seed, listen, deadline, *bootstrap = sys.argv[1:]
    limits = replace(Limits(), exchange=2.0, heartbeat=0.5, heartbeat_deadline=float(deadline))
    net = Network(bytes.fromhex(seed), listen, bootstrap, PeerBook(book), limits)

    async def echo(peer_key: bytes, payload: bytes) -> bytes:
        return payload

    async def heard(peer_key: bytes, data: bytes) -> None:
        say(event="heard", origin=peer_key.hex(), text=data.decode())

    net.on_request("/test/echo", echo)
    net.subscribe("news", heard)
    net.on_peer_lost(lambda key: say(event="lost", peer=key.hex()))
    async with trio.open_nursery() as nursery:
        await nursery.start(net.run)
        say(event="up", key=net.peer_key.hex(), addrs=net.addrs)
        async for line in trio.wrap_file(sys.stdin):
            command, _, argument = line.strip().partition(" ")
            if command == "publish":
                await net.publish("news", argument.encode())
            elif command == "echo":
                await answer(net, bytes.fromhex(argument))
            elif command == "stats":
                say(event="stats", connected=[key.hex() for key in net.connected()], stats=net.stats())
            else:
                break
        nursery.cancel_scope.cancel()


async def answer(net: Network, peer_key: bytes) -> None:
    """Ask a peer for an echo and say what came of it."""
    try:
        reply = await net.request(peer_key, "/test/echo", b"hello", deadline=30)
    except Exception as error:
        say(event="echo", ok=False, error=type(error).__name__)
    else:
        say(event="echo", ok=reply == b"hello")


if __name__ == "__main__":
    trio.run(main)
