"""Attacks on a real host over real sockets: each must leave the node alive and serving others.

The first six are the ones that end or disable stock libp2p 0.8.1; the rest is what else a stranger can send.
"""

from __future__ import annotations

import contextlib
import os
import random
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils import encode_varint_prefixed

from omninode.net.errors import NetError, PeerRefused
from omninode.net.keys import peer_id_bytes
from omninode.net.limits import Limits
from omninode.net.service import Network
from omninode.net.wire import HEADER
from protocols.errors import RemoteProtocolError
from tests.net_kit import GOSSIP, QUICK, network, pair, port_of, raw_stream, running, serves, until, with_echo


async def send_quietly(stream: Any, data: bytes) -> None:
    """Write, whatever the victim does with the stream meanwhile."""
    try:
        await stream.write(data)
    except Exception:
        return


def signed_by_nobody(victim: Network, **fields: Any) -> rpc_pb2.Message:
    """A gossip message with plausible fields and no valid signature."""
    values = {"data": b"x", "topicIDs": ["topic"], "from_id": peer_id_bytes(b"\1" * 32), "seqno": b"\0" * 8}
    return rpc_pb2.Message(**{**values, "signature": b"\2" * 64, **fields})


async def test_random_gossip_frames(tmp_path: Path) -> None:
    """1. A frame of random bytes on a gossip stream (protobuf DecodeError in a service task)."""
    async with pair(tmp_path) as (victim, attacker):
        dice = random.Random(1)
        for size in (1, 2, 3, 10, 100, 1000):
            stream = await raw_stream(attacker, victim, GOSSIP)
            await send_quietly(stream, encode_varint_prefixed(dice.randbytes(size)))
            await until(lambda stream=stream: stream.muxed_stream.closed, "the stream is reset")  # type: ignore[misc]
        assert victim.stats()["total"]["faults"]["gossip-frame"] > 0
        assert await serves(attacker, victim)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"key": b"\xff" * 40}, None),
        ({"key": b"\xff" * 40, "from_id": b"\x12\x20" + b"\7" * 32}, "gossip-origin"),
        ({"from_id": b""}, "gossip-origin"),
        ({"from_id": b"\0\x24\x08\x01\x12\x20short"}, "gossip-origin"),
        ({"seqno": b""}, "gossip-form"),
        ({"signature": b"short"}, "gossip-form"),
        ({"topicIDs": ["topic", "topic"]}, "gossip-form"),
        ({"data": b"x" * (Limits().gossip_size + 1)}, "gossip-size"),
    ],
)
async def test_undecodable_messages(tmp_path: Path, fields: dict[str, Any], rule: str | None) -> None:
    """2. A published message whose key, origin, number or signature cannot be decoded."""
    async with pair(tmp_path) as (victim, attacker):
        heard: list[bytes] = []

        async def handler(peer_key: bytes, data: bytes) -> None:
            heard.append(data)

        victim.subscribe("topic", handler)
        await until(lambda: "topic" in victim._node.pubsub.topic_ids)  # type: ignore[union-attr]
        stream = await raw_stream(attacker, victim, GOSSIP)
        frame = rpc_pb2.RPC(publish=[signed_by_nobody(victim, **fields)])
        await send_quietly(stream, encode_varint_prefixed(frame.SerializeToString()))
        if rule is not None:
            await until(lambda: victim.stats()["total"]["faults"].get(rule, 0) == 1, rule)
        assert await serves(attacker, victim)
        assert heard == []


async def test_handler_exceptions(tmp_path: Path) -> None:
    """3. Handlers of requests, of announcements and of bare streams that raise."""
    async with pair(tmp_path) as (victim, attacker):

        async def blames(peer_key: bytes, payload: bytes) -> bytes:
            raise RemoteProtocolError("some-rule", peer_key.hex(), "because")

        async def fails(peer_key: bytes, payload: bytes) -> bytes:
            raise ZeroDivisionError("ours")

        async def bare(stream: Any) -> None:
            raise KeyError("ours too")

        victim.on_request("/test/blames", blames)
        victim.on_request("/test/fails", fails)
        victim._node.host.set_stream_handler("/test/bare", bare)  # type: ignore[union-attr,arg-type]
        with pytest.raises(PeerRefused) as refused:
            await attacker.request(victim.peer_key, "/test/blames", b"", deadline=20)
        assert (refused.value.rule, refused.value.detail) == ("some-rule", "because")
        with pytest.raises(PeerRefused, match="internal-error"):
            await attacker.request(victim.peer_key, "/test/fails", b"", deadline=20)
        with pytest.raises(NetError):
            await attacker.request(victim.peer_key, "/test/bare", b"", deadline=20)
        stats = victim.stats()
        assert stats["peers"][attacker.peer_key.hex()]["faults"] == {"some-rule": 1}
        assert stats["events"]["handler-error"] == 1
        assert await serves(attacker, victim)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_validator_exceptions(tmp_path: Path, kind: str) -> None:
    """4. A topic validator that raises."""
    async with pair(tmp_path) as (victim, attacker):

        async def nothing(peer_key: bytes, data: bytes) -> None:
            return

        def validator(peer: Any, message: Any) -> bool:
            raise ZeroDivisionError("ours")

        async def async_validator(peer: Any, message: Any) -> bool:
            raise ZeroDivisionError("ours")

        for net in (victim, attacker):
            net.subscribe("topic", nothing)
        pubsub = victim._node.pubsub  # type: ignore[union-attr]
        pubsub.set_topic_validator("topic", validator if kind == "sync" else async_validator, kind == "async")
        await until(lambda: bool(attacker._node.gossipsub.mesh.get("topic")), "a mesh")  # type: ignore[union-attr]
        await attacker.publish("topic", b"judge me")
        if kind == "sync":
            await until(lambda: victim.stats()["events"].get("contained-error", 0) > 0, "the contained error")
        assert await serves(attacker, victim)


async def test_inbound_slots_are_freed(tmp_path: Path) -> None:
    """5. Thirty connections, one after the other, through ten slots."""
    limits = replace(QUICK, max_inbound=10, target_peers=0)
    victim = with_echo(network(tmp_path, "victim", limits=limits))
    async with running(victim):
        for turn in range(30):
            guest = network(tmp_path, f"guest{turn}", victim.addrs, limits)
            async with running(guest):
                assert await serves(guest, victim)
        await until(lambda: victim.stats()["door"] == {"half_open": 0, "inside": 0}, "an empty door")


async def test_half_open_sockets(tmp_path: Path) -> None:
    """6. Three hundred sockets that never say anything: a peer from the same address still gets in."""
    victim = with_echo(network(tmp_path, "victim"))
    async with running(victim) as nursery:
        sockets = [await trio.open_tcp_stream("127.0.0.1", port_of(victim)) for _ in range(300)]
        await until(lambda: victim.stats()["door"]["half_open"] > 0)
        guest = network(tmp_path, "guest", victim.addrs)
        await nursery.start(guest.run)
        assert await serves(guest, victim)
        assert victim.stats()["door"]["half_open"] <= QUICK.half_open_per_address
        for socket in sockets:
            await socket.aclose()


async def test_garbage_on_raw_sockets(tmp_path: Path) -> None:
    """Random bytes, half a handshake, wrong protocols, huge lengths, instead of a connection."""
    dice = random.Random(2)
    hello = b"\x13/multistream/1.0.0\n"
    scripts = [dice.randbytes(n) for n in (1, 50, 5000)] + [
        hello,
        hello + b"\x07/noise\n" + b"\xff\xff" + dice.randbytes(2000),
        hello + b"\x07/noise\n" + b"\x00\x20" + dice.randbytes(32),
        hello + b"\x07/noise\n" + b"\x00\x00" * 50,
        hello + b"\x0a/plaintext/2.0.0\n",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"GET / HTTP/1.1\r\n\r\n",
    ]
    victim = with_echo(network(tmp_path, "victim"))
    async with running(victim) as nursery:
        for script in scripts:
            socket = await trio.open_tcp_stream("127.0.0.1", port_of(victim))
            with contextlib.suppress(trio.BrokenResourceError):
                await socket.send_all(script)
            await socket.aclose()
        guest = network(tmp_path, "guest", victim.addrs)
        await nursery.start(guest.run)
        assert await serves(guest, victim)


async def test_garbage_on_request_streams(tmp_path: Path) -> None:
    """Half frames, huge lengths, unknown statuses, resets in the middle."""
    dice = random.Random(3)
    scripts = [
        b"",
        b"\0",
        HEADER.pack(100, 0) + b"half",
        HEADER.pack(0xFFFFFFFF, 0),
        HEADER.pack(10, 77) + b"x" * 10,
        *(dice.randbytes(size) for size in (5, 6, 64, 4000)),
    ]
    async with pair(tmp_path) as (victim, attacker):
        for end in ("reset", "close"):
            for script in scripts:
                stream = await raw_stream(attacker, victim, "/test/echo")
                await send_quietly(stream, script)
                await getattr(stream, end)()
        assert await serves(attacker, victim)
        assert victim._server.budget.used == 0


async def test_oversized_requests_are_refused_unread(tmp_path: Path) -> None:
    """A length beyond the protocol's limit is answered with the rule; nothing of the body is kept."""
    async with pair(tmp_path) as (victim, attacker):
        async with attacker.open_stream(victim.peer_key, "/test/echo") as wire:
            await wire.write(HEADER.pack(1 << 31, 0))
            with pytest.raises(PeerRefused, match="request-size"):
                await wire.read_frame(1000)
        assert victim.stats()["total"]["faults"]["request-size"] == 1
        assert await serves(attacker, victim)


async def test_error_frames_as_requests_invent_no_counters(tmp_path: Path) -> None:
    """A peer that sends refusals instead of requests is blamed under our own name for it."""
    async with pair(tmp_path) as (victim, attacker):
        for turn in range(20):
            async with attacker.open_stream(victim.peer_key, "/test/echo") as wire:
                await wire.refuse(random.choice(["busyness", f"rule-{turn}"]))
                with pytest.raises(PeerRefused, match="request-status"):
                    await wire.read_frame(100)
        stats = victim.stats()
        assert stats["total"]["faults"] == {"request-status": 20}
        assert stats["events"] == {}


async def test_streams_that_are_never_closed(tmp_path: Path) -> None:
    """Hundreds of open streams from one peer: the excess is reset, others are served, ours do not run out."""
    limits = replace(QUICK, streams_per_connection=40)
    async with pair(tmp_path, limits) as (victim, attacker):
        opened = []
        for _ in range(120):
            try:
                opened.append(await raw_stream(attacker, victim, "/test/echo"))
            except Exception:
                continue
        assert victim.stats()["total"]["faults"]["too-many-streams"] > 0
        guest = network(tmp_path, "guest", victim.addrs)
        async with running(guest):
            assert await serves(guest, victim)
        assert len(opened) <= 80


async def test_flood_beyond_the_window(tmp_path: Path) -> None:
    """A peer that ignores flow control is disconnected before it fills our memory."""
    limits = replace(QUICK, connection_buffer=2 << 20)
    async with pair(tmp_path, limits) as (victim, attacker):
        hold = trio.Event()

        async def never_reads(wire: Any) -> None:
            await hold.wait()

        victim.on_stream("/test/hold", never_reads)
        stream = await raw_stream(attacker, victim, "/test/hold")
        muxed = stream.muxed_stream
        frame = struct.pack("!BBHII", 0, 0, 0, muxed.stream_id, 60_000) + os.urandom(60_000)
        for _ in range(80):
            try:
                await muxed.conn._write_frame(frame)
            except Exception:
                break
        await until(lambda: victim.stats()["total"]["faults"].get("buffer-overflow", 0) > 0, "the overflow")
        hold.set()
        assert await serves(attacker, victim)


async def test_garbage_inside_the_multiplexer(tmp_path: Path) -> None:
    """Random yamux frames on an authenticated connection end that connection only."""
    dice = random.Random(4)
    async with pair(tmp_path) as (victim, attacker):
        guest = network(tmp_path, "guest", victim.addrs)
        async with running(guest):
            assert await serves(guest, victim)
            for _ in range(20):
                stream = await raw_stream(attacker, victim, "/test/echo")
                kind, flags = dice.randrange(5), dice.randrange(16)
                header = struct.pack(
                    "!BBHII", dice.randrange(2), kind, flags, dice.randrange(9), dice.randrange(1 << 32)
                )
                await stream.muxed_stream.conn._write_frame(header + dice.randbytes(30))
                await attacker.disconnect(victim.peer_key)
            assert await serves(guest, victim)
            assert await serves(attacker, victim)


async def test_well_formed_control_floods(tmp_path: Path) -> None:
    """Thousands of ids, grafts and subscriptions in one frame are refused as a whole."""
    async with pair(tmp_path) as (victim, attacker):
        frames = []
        for field, entry in (("iwant", "messageIDs"), ("ihave", "messageIDs")):
            rpc = rpc_pb2.RPC()
            added = getattr(rpc.control, field).add()
            getattr(added, entry).extend([b"%08d" % n for n in range(5000)])
            frames.append(rpc)
        flood = rpc_pb2.RPC()
        for n in range(500):
            flood.subscriptions.add(subscribe=True, topicid=f"t{n}")
        frames.append(flood)
        for rpc in frames:
            stream = await raw_stream(attacker, victim, GOSSIP)
            await send_quietly(stream, encode_varint_prefixed(rpc.SerializeToString()))
            await until(lambda stream=stream: stream.muxed_stream.closed, "the stream is reset")  # type: ignore[misc]
        faults = victim.stats()["total"]["faults"]
        assert faults["gossip-frame-contents"] + faults["gossip-subscriptions"] == 3
        assert await serves(attacker, victim)


async def test_service_death_is_survived(tmp_path: Path) -> None:
    """A background service of the host dies: same key, same port, handlers and topics are back."""
    async with pair(tmp_path) as (victim, attacker):
        heard: list[bytes] = []

        async def handler(peer_key: bytes, data: bytes) -> None:
            heard.append(data)

        victim.subscribe("topic", handler)
        before = victim.addrs
        victim._node.gossipsub.manager.cancel()  # type: ignore[union-attr]
        await until(lambda: victim.stats()["events"].get("host-restart") == 1, "the restart")
        await until(lambda: victim.addrs == before, "the same address")
        assert await serves(attacker, victim)

        async def repeat() -> None:
            while True:
                await attacker.publish("topic", b"again")
                await trio.sleep(0.3)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(repeat)
            await until(lambda: b"again" in heard, "gossip after the restart")
            nursery.cancel_scope.cancel()


async def test_banned_peers_stay_out(tmp_path: Path) -> None:
    """A banned key can neither come in nor be dialled."""
    async with pair(tmp_path) as (victim, attacker):
        await victim.ban(attacker.peer_key)
        with pytest.raises(NetError):
            await attacker.request(victim.peer_key, "/test/echo", b"", deadline=5)
        with pytest.raises(NetError):
            await victim.request(attacker.peer_key, "/test/echo", b"", deadline=5)
        assert victim.stats()["total"]["faults"]["not-admitted"] > 0
