"""Requests between two real hosts: deadlines, sizes, refusals, cancellation, nothing leaked."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from omninode.net.errors import AddressTaken, PeerRefused, PeerUnreachable, ReplyTooLarge, RequestTimeout
from omninode.net.service import Network
from omninode.net.wire import Wire
from tests.net_kit import ANY_PORT, QUICK, network, pair, port_of, running, seed, serves, until, with_echo


async def test_echo_of_every_size(tmp_path: Path) -> None:
    async with pair(tmp_path) as (server, client):
        for size in (0, 1, 1000, 1 << 18, (1 << 18) + 1, 1 << 20):
            payload = os.urandom(size)
            assert await client.request(server.peer_key, "/test/echo", payload, deadline=30) == payload
        assert await serves(server, client)  # the other way, over the same connection
        sent = client.stats()["peers"][server.peer_key.hex()]["sent"]["/test/echo"]
        assert sent > 1 << 20


async def test_the_handler_learns_who_asks(tmp_path: Path) -> None:
    async with pair(tmp_path) as (server, client):

        async def who(peer_key: bytes, payload: bytes) -> bytes:
            return peer_key

        server.on_request("/test/who", who)
        assert await client.request(server.peer_key, "/test/who", b"", deadline=20) == client.peer_key


async def test_replies_larger_than_asked_for_are_not_read(tmp_path: Path) -> None:
    async with pair(tmp_path) as (server, client):
        with pytest.raises(ReplyTooLarge) as error:
            await client.request(server.peer_key, "/test/echo", b"x" * 1000, deadline=20, max_reply=999)
        assert (error.value.size, error.value.limit) == (1000, 999)
        assert await serves(client, server)


async def test_unknown_protocols_and_peers(tmp_path: Path) -> None:
    async with pair(tmp_path) as (server, client):
        with pytest.raises(PeerRefused, match="unknown-protocol"):
            await client.request(server.peer_key, "/test/nothing", b"", deadline=20)
        with pytest.raises(PeerUnreachable, match="no address"):
            await client.request(b"\1" * 32, "/test/echo", b"", deadline=20)
        with pytest.raises(PeerUnreachable, match="ourselves"):
            await client.request(client.peer_key, "/test/echo", b"", deadline=20)
        client.book.know(b"\2" * 32, ["/ip4/127.0.0.1/tcp/1"], 1.0)
        with pytest.raises(PeerUnreachable):
            await client.request(b"\2" * 32, "/test/echo", b"", deadline=20)


async def test_somebody_else_at_the_address_is_not_the_peer(tmp_path: Path) -> None:
    async with pair(tmp_path) as (server, client):
        client.book.know(b"\2" * 32, [f"/ip4/127.0.0.1/tcp/{port_of(server)}"], 1.0)
        with pytest.raises(PeerUnreachable, match="handshake"):
            await client.request(b"\2" * 32, "/test/echo", b"", deadline=20)


async def test_deadlines_end_waiting_and_free_everything(tmp_path: Path) -> None:
    async with pair(tmp_path) as (server, client):
        waiting, cancelled = trio.Event(), trio.Event()

        async def slow(peer_key: bytes, payload: bytes) -> bytes:
            waiting.set()
            try:
                await trio.sleep_forever()
            finally:
                cancelled.set()

        server.on_request("/test/slow", slow)
        for _ in range(2 * QUICK.requests_per_peer):
            with pytest.raises(RequestTimeout):
                await client.request(server.peer_key, "/test/slow", b"", deadline=0.3)
        assert waiting.is_set()
        connection = client._node.swarm.get_connections()[0].muxed_conn  # type: ignore[union-attr]
        await until(lambda: len(connection.streams) <= 2, "no stream of ours is left")
        assert connection.stream_backlog_semaphore.value >= 254


async def test_cancelled_requests_never_leak_streams(tmp_path: Path) -> None:
    """Cancellation at every moment of a request; the connection stays sound and no stream stays open."""
    async with pair(tmp_path) as (server, client):
        payload = os.urandom(300_000)
        for step in range(120):
            with trio.move_on_after(step * 0.0003):
                await client.request(server.peer_key, "/test/echo", payload, deadline=20)
        before = client._node.swarm.get_connections()[0].muxed_conn  # type: ignore[union-attr]
        assert await serves(client, server)
        await until(lambda: len(before.streams) <= 2, "no stream of ours is left")
        assert before.stream_backlog_semaphore.value >= 254
        assert client.stats()["events"].get("peer-lost", 0) == 0


async def test_many_requests_at_once(tmp_path: Path) -> None:
    """More than the 256 streams on which stock libp2p hangs, and more than one peer may run at a time."""
    async with pair(tmp_path) as (server, client):
        running_now = peak = 0

        async def counted(peer_key: bytes, payload: bytes) -> bytes:
            nonlocal running_now, peak
            running_now += 1
            peak = max(peak, running_now)
            await trio.sleep(0.001)
            running_now -= 1
            return payload

        server.on_request("/test/counted", counted)
        answers = []

        async def ask(n: int) -> None:
            answers.append(await client.request(server.peer_key, "/test/counted", b"%d" % n, deadline=50))

        async with trio.open_nursery() as nursery:
            for n in range(100):
                nursery.start_soon(ask, n)
        for n in range(300):
            await client.request(server.peer_key, "/test/echo", b"%d" % n, deadline=50)
        assert sorted(answers) == sorted(b"%d" % n for n in range(100))
        assert peak <= QUICK.requests_per_peer


async def test_a_slow_reader_gets_everything(tmp_path: Path) -> None:
    """Stock writers give up after five seconds without window; here only deadlines count."""
    limits = replace(QUICK, window=1 << 20)
    async with pair(tmp_path, limits) as (server, client):
        body = os.urandom(3 << 20)

        async def flood(wire: Wire) -> None:
            await wire.write(body)

        server.on_stream("/test/flood", flood)
        async with client.open_stream(server.peer_key, "/test/flood") as wire:
            await trio.sleep(6)
            assert await wire.read_exact(len(body)) == body


async def test_the_port_is_not_shared(tmp_path: Path) -> None:
    first = network(tmp_path, "first")
    async with running(first):
        second = network(tmp_path, "second", listen=f"/ip4/127.0.0.1/tcp/{port_of(first)}")
        with pytest.raises(AddressTaken):
            await second.run()


async def test_a_restarted_peer_is_found_again_at_once(tmp_path: Path) -> None:
    client, lost = with_echo(network(tmp_path, "client")), []
    client.on_peer_lost(lost.append)
    async with running(client):
        server = with_echo(network(tmp_path, "server", client.addrs))
        async with running(server):
            await server.connect(client.peer_key)
            assert await serves(client, server)
            port = port_of(server)
        await until(lambda: lost == [server.peer_key], "the loss is noticed")
        with pytest.raises(PeerUnreachable):
            await client.request(server.peer_key, "/test/echo", b"", deadline=20)
        again = with_echo(network(tmp_path, "server", listen=f"/ip4/127.0.0.1/tcp/{port}"))
        async with running(again):
            assert await serves(client, again)


async def test_the_book_remembers_across_restarts(tmp_path: Path) -> None:
    server = with_echo(network(tmp_path, "server"))
    async with running(server):
        async with running(network(tmp_path, "client", server.addrs)) as _:
            client = network(tmp_path, "other", server.addrs)
            async with running(client):
                await client.connect(server.peer_key)
        again = network(tmp_path, "other")
        async with running(again):
            assert await serves(again, server)


async def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="p2p"):
        Network(seed("x"), ANY_PORT, ["/ip4/127.0.0.1/tcp/1"], network(tmp_path, "x").book)
    with pytest.raises(ValueError, match="multiaddr"):
        Network(seed("x"), ANY_PORT, ["nonsense"], network(tmp_path, "x").book)
    with pytest.raises(ValueError, match="at most"):
        await network(tmp_path, "x").publish("topic", b"x" * (QUICK.gossip_size + 1))
