"""Announcements between several hosts in one process."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import trio

from omninode.net.service import Network
from protocols.errors import RemoteProtocolError
from tests.net_kit import network, running, until


async def listening(net: Network, heard: Counter[bytes]) -> None:
    """Count everything that ``net`` hears on the topic."""

    async def handler(peer_key: bytes, data: bytes) -> None:
        heard[data] += 1

    net.subscribe("topic", handler)


async def test_everybody_hears_everything_once(tmp_path: Path) -> None:
    first = network(tmp_path, "n0")
    async with running(first) as nursery:
        nets = [first, *(network(tmp_path, f"n{n}", first.addrs) for n in range(1, 6))]
        heard: list[Counter[bytes]] = [Counter() for _ in nets]
        for net, counter in zip(nets, heard, strict=True):
            await listening(net, counter)
            if net is not first:
                await nursery.start(net.run)
        await until(lambda: all(len(n._node.pubsub.peer_topics.get("topic", ())) >= 3 for n in nets))  # type: ignore[union-attr]
        await trio.sleep(1)
        sent = [b"%d from %d" % (number, n) for n in range(len(nets)) for number in range(10)]
        async with trio.open_nursery() as senders:
            for n, net in enumerate(nets):
                senders.start_soon(publish_ten, net, n)
        expected = [{data for data in sent if not data.endswith(b" %d" % n)} for n in range(len(nets))]
        await until(lambda: all(set(h) == e for h, e in zip(heard, expected, strict=True)), "all announcements")
        await trio.sleep(1)
        assert all(set(h.values()) == {1} for h in heard)
        assert first.stats()["total"]["faults"] == {}


async def publish_ten(net: Network, n: int) -> None:
    """Ten announcements as fast as the pacing lets them."""
    for number in range(10):
        await net.publish("topic", b"%d from %d" % (number, n))


async def test_announcements_are_by_their_origin_whoever_forwards_them(tmp_path: Path) -> None:
    """A line of three: the ends are not connected, the origin's key arrives all the same."""
    middle = network(tmp_path, "middle")
    async with running(middle) as nursery:
        left, right = (network(tmp_path, name, middle.addrs) for name in ("left", "right"))
        for end in (left, right):
            end._exchange._next = lambda: middle.peer_key  # type: ignore[method-assign]
        heard: list[tuple[bytes, bytes]] = []

        async def handler(peer_key: bytes, data: bytes) -> None:
            heard.append((peer_key, data))

        async def nothing(peer_key: bytes, data: bytes) -> None:
            return

        right.subscribe("topic", handler)
        for net in (left, middle):
            net.subscribe("topic", nothing)
        for end in (left, right):
            await nursery.start(end.run)
        await until(lambda: len(middle._node.gossipsub.mesh.get("topic", ())) == 2, "a mesh")  # type: ignore[union-attr]
        assert right.peer_key not in left.connected()
        await left.publish("topic", b"hello")
        await until(lambda: heard == [(left.peer_key, b"hello")], "the announcement")


async def test_bad_announcements_are_counted_against_their_origin(tmp_path: Path) -> None:
    first = network(tmp_path, "first")
    async with running(first) as nursery:
        second = network(tmp_path, "second", first.addrs)

        async def judge(peer_key: bytes, data: bytes) -> None:
            raise RemoteProtocolError("bad-announcement", peer_key.hex())

        first.subscribe("topic", judge)
        second.subscribe("topic", judge)
        await nursery.start(second.run)
        await until(lambda: bool(second._node.gossipsub.mesh.get("topic")), "a mesh")  # type: ignore[union-attr]
        await second.publish("topic", b"x")
        await until(lambda: bool(first.stats()["total"]["faults"]), "the fault")
        assert first.stats()["peers"][second.peer_key.hex()]["faults"] == {"bad-announcement": 1}


async def test_topics_can_be_added_while_running(tmp_path: Path) -> None:
    first = network(tmp_path, "first")
    async with running(first) as nursery:
        second = network(tmp_path, "second", first.addrs)
        await nursery.start(second.run)
        await second.connect(first.peer_key)
        heard: Counter[bytes] = Counter()
        await listening(first, heard)
        await listening(second, Counter())
        await until(lambda: bool(second._node.gossipsub.mesh.get("topic")), "a mesh")  # type: ignore[union-attr]
        await second.publish("topic", b"late")
        await until(lambda: heard == {b"late": 1}, "the announcement")
