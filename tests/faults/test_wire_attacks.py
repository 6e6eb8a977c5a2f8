"""Attacks on live daemons over real libp2p, by a stranger and by a registered member, in the middle of a session.

The daemons must stay up, the session must end as if nothing had been, and what was wrong must be counted with rule and
peer in `status`.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import trio
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from libp2p.utils import encode_varint_prefixed

from omninode.chain.wallet import Wallet
from omninode.demo.orders import order_fault
from omninode.net import exchange
from omninode.net.book import PeerBook
from omninode.net.errors import NetError, PeerRefused
from omninode.net.keys import key_of
from omninode.net.limits import Limits
from omninode.net.records import sign_record
from omninode.net.service import Network
from omninode.net.wire import HEADER
from omninode.roles.delivery import SESSION_PROTOCOL
from omninode.roles.directory import TOPIC
from omninode.store.keys import load_or_create
from protocols.sessions.params import Bitmap, Phase
from protocols.wire import codec, eip712
from protocols.wire.context import Context
from protocols.wire.messages import Announcement, Complaint, Message, OutputRequest, Receipt, Unmask
from tests.integration.market_kit import LocalMarket, Watching
from tests.net_kit import GOSSIP, raw_stream, until
from tests.simulation.attacks import mutate

FLOOD = Limits(publish_rate=1e6, publish_burst=10**6)
CODEC_RULES = {
    "malformed", "unknown-type", "wrong-version", "wrong-chain", "wrong-contract", "wrong-session", "field-type",
    "field-length", "oversized",
}  # fmt: skip
LIAR, PROVER, OWNER = "data-owner-08", "prover-1", "data-owner-01"
LIMIT_S = 120.0


class Attacker:
    """A libp2p node of ours that speaks to one daemon at a time, and a wallet."""

    def __init__(self, net: Network, wallet: Wallet, market: LocalMarket) -> None:
        self.net, self.wallet, self.market = net, wallet, market

    async def says(self, victim: bytes, data: bytes) -> str:
        """Send one request. The rule under which it was refused, "" where it was taken, "broken" without an answer."""
        try:
            await self.net.request(victim, SESSION_PROTOCOL, data, deadline=30)
        except PeerRefused as error:
            return error.rule
        except NetError:
            return "broken"
        return ""

    async def rules(self, victim: bytes, messages: Sequence[bytes]) -> Counter[str]:
        """Answers to many requests, by rule."""
        return Counter([await self.says(victim, data) for data in messages])

    def announcement(self, context: Context, seq: int, wallet: Wallet | None = None, **changed: Any) -> bytes:
        """A gossip message in the name of ``wallet`` (ours by default), signed by ours."""
        address = (wallet or self.wallet).address
        draft = Announcement(address, seq, self.net.peer_key, ("/ip4/127.0.0.1/tcp/1",), b"", b"", b"", b"")
        draft = replace(draft, **changed)
        signature = self.wallet.sign_digest(eip712.announcement_digest(context, draft))
        return codec.encode(replace(draft, signature=signature), context)


def daemon_key(market: LocalMarket, name: str) -> bytes:
    return key_of(market.ask(name, "status")["peer_id"])


def as_node(market: LocalMarket, path: Path, key: bytes, wallet: Wallet) -> Attacker:
    """A network with this key that knows where both victims are."""
    addresses = [address for name in (PROVER, OWNER) for address in market.ask(name, "status")["addrs"]]
    return Attacker(Network(key, "/ip4/127.0.0.1/tcp/0", addresses, PeerBook(path), FLOOD), wallet, market)


def faults_of(market: LocalMarket, name: str, peer: bytes) -> dict[str, int]:
    """What a daemon has counted against a peer."""
    peers = market.ask(name, "status")["net"]["peers"]
    faults: dict[str, int] = peers.get(peer.hex(), {}).get("faults", {})
    return faults


async def test_stranger_and_member(local_market: LocalMarket, tmp_path: Path, seed: bytes) -> None:
    dice = random.Random(seed)
    as_liar(local_market, "omninode.demo.hostile")
    try:
        async with local_market.watching() as watch:
            session = await watch.create()
            order_fault(local_market.node(LIAR).directory, session, "hold")  # it stops after key sharing
            await watch.phase(session, Phase.UPLOAD)
            pids = {node.name: node.pid for node in local_market.cluster.nodes}
            stranger = as_node(local_market, tmp_path / "stranger.json", dice.randbytes(32), Wallet(dice.randbytes(32)))
            async with trio.open_nursery() as nursery:
                await nursery.start(stranger.net.run)
                for name in (PROVER, OWNER):
                    await strange_requests(stranger, name, session, dice)
                await strange_gossip(stranger, session)
                nursery.cancel_scope.cancel()
            watch.kill(LIAR)
            await as_member(watch, session, tmp_path, dice)
            as_liar(local_market, "omninode")
            record = await watch.settled(session)
            assert {name: pid for name, pid in pids.items() if name != LIAR}.items() <= {
                node.name: node.pid for node in local_market.cluster.nodes
            }.items()
            member = record.view.member_of(local_market.address(LIAR))
            assert member is not None
            group = record.view.groups[record.view.group_of(member.index)]
            for other in record.view.members:
                assert other.index in group or record.view.in_set(Bitmap.VALID, other.index)
            assert session_faults(local_market, session) == []
    finally:
        as_liar(local_market, "omninode")


def as_liar(market: LocalMarket, module: str) -> None:
    """Start the liar's node anew as this program."""
    node = market.node(LIAR)
    if node.module == module and node.pid is not None:
        return
    node.kill()
    node.module = module
    (node.directory / "fault.json").unlink(missing_ok=True)
    node.start()
    market.wait_ready([LIAR])


def session_faults(market: LocalMarket, session: int) -> list[Any]:
    """Sessions that failed by our own defects."""
    return [e for node in market.cluster.nodes for e in market.events(node.name, "session_failed", session)]


async def strange_requests(stranger: Attacker, name: str, session: int, dice: random.Random) -> None:
    """Whatever somebody may send who has no part in anything."""
    market = stranger.market
    victim, context = daemon_key(market, name), market.context(session)
    someone = market.address("data-owner-03")
    good = codec.encode(OutputRequest(someone), context)

    noise = [dice.randbytes(dice.randrange(1, 2000)) for _ in range(40)]
    assert set(await stranger.rules(victim, noise)) <= CODEC_RULES
    cut = [good[:size] for size in range(1, len(good), 3)]
    assert set(await stranger.rules(victim, cut)) <= CODEC_RULES
    assert await stranger.says(victim, b"") in CODEC_RULES

    assert await stranger.says(victim, good) == "wrong-sender"
    assert await stranger.says(victim, codec.encode(OutputRequest(stranger.wallet.address), context)) == "not-ready"
    for other in (replace(context, chain_id=1), replace(context, contract=b"\x12" * 20)):
        assert await stranger.says(victim, codec.encode(OutputRequest(someone), other)) in CODEC_RULES
    tomorrow = replace(context, session=session + 7)
    assert await stranger.says(victim, codec.encode(OutputRequest(someone), tomorrow)) == "not-ready"
    if session > 1:
        yesterday = replace(context, session=session - 1)
        assert await stranger.says(victim, codec.encode(OutputRequest(someone), yesterday)) == "session-over"

    for size in (1 << 20, (1 << 32) - 1):
        stream = await raw_stream(stranger.net, cast(Any, SimpleNamespace(peer_key=victim)), SESSION_PROTOCOL)
        await stream.write(HEADER.pack(size, 0))
        await until(lambda: faults_of(market, name, stranger.net.peer_key).get("request-size", 0) > 0, "request-size")
        await stream.reset()
    soon = int(time.time() * 1000) + 300_000
    for _ in range(50):  # 1,200 peers that do not exist: more than a book holds, and all the latest news
        records = [sign_record(dice.randbytes(32), soon, ["/ip4/127.0.0.1/tcp/9"]) for _ in range(24)]
        await stranger.net.request(victim, exchange.PROTOCOL, exchange.pack_records(records), deadline=30)
    faults = faults_of(market, name, stranger.net.peer_key)
    assert {"wrong-sender", "malformed", "wrong-contract", "request-size"} <= faults.keys(), faults


async def strange_gossip(stranger: Attacker, session: int) -> None:
    """Announcements: forged, of others, of another market, garbage, and 2,000 that are well made."""
    market, key = stranger.market, stranger.net.peer_key
    context = market.context(session)
    victim = Wallet(b"\x55" * 32)
    forged = stranger.announcement(context, 1, victim)
    elsewhere = stranger.announcement(context, 2, peer_key=daemon_key(market, OWNER))
    abroad = stranger.announcement(replace(context, chain_id=1), 3)
    request = codec.encode(OutputRequest(stranger.wallet.address), context)
    for data in (forged, elsewhere, abroad, request, b"\x00" * 100, b""):
        await stranger.net.publish(TOPIC, data)
    expected = {"bad-signature", "wrong-origin", "wrong-contract", "unknown-type", "malformed"}
    for name in (PROVER, OWNER):
        await until(lambda name=name: expected <= faults_of(market, name, key).keys(), f"{expected} at {name}")  # type: ignore[misc]
    flood = [stranger.announcement(replace(context, session=number), 10 + number) for number in range(2000)]
    stream = await raw_stream(stranger.net, cast(Any, SimpleNamespace(peer_key=daemon_key(market, PROVER))), GOSSIP)
    for start in range(0, len(flood), 50):
        frame = rpc_pb2.RPC(publish=[signed(stranger.net, start + i, d) for i, d in enumerate(flood[start:][:50])])
        await stream.write(encode_varint_prefixed(frame.SerializeToString()))
    await until(lambda: faults_of(market, PROVER, key).get("gossip-rate", 0) > 0, "gossip-rate")


def signed(net: Network, number: int, data: bytes) -> rpc_pb2.Message:
    """A gossip message of ours, as the library signs it, without its pace."""
    assert net._node is not None
    pubsub, seqno = net._node.pubsub, number.to_bytes(8, "big")
    message = rpc_pb2.Message(data=data, topicIDs=[TOPIC], from_id=pubsub.my_id.to_bytes(), seqno=seqno)
    assert pubsub.sign_key is not None
    signature = pubsub.sign_key.sign(PUBSUB_SIGNING_PREFIX.encode() + message.SerializeToString())
    return rpc_pb2.Message(**{f.name: v for f, v in message.ListFields()}, signature=signature)


async def as_member(watch: Watching, session: int, path: Path, dice: random.Random) -> None:
    """With key and wallet of a registered data owner: what it said, again and changed, and what it may not say."""
    market, context = watch.local, watch.local.context(session)
    folder = market.node(LIAR).directory
    wallet = Wallet.load(folder / "wallet.json", (folder / "passphrase").read_text())
    liar = as_node(market, path / "member.json", load_or_create(folder / "peer.key"), wallet)
    prover, owner = daemon_key(market, PROVER), daemon_key(market, OWNER)
    limits = codec.limits_for(watch.record(session).view.p)
    journal = [data for kind, data in market.inputs(PROVER, session, "prover") if kind == "message"]
    said = [m for data in journal if (m := codec.decode(data, context, limits)).sender == wallet.address]
    assert said, "the prover has heard nothing of it"
    async with trio.open_nursery() as nursery:
        await nursery.start(liar.net.run)
        again = [codec.encode(message, context) for message in said for _ in range(30)]
        await liar.rules(prover, again)
        after = [data for kind, data in market.inputs(PROVER, session, "prover") if kind == "message"]
        assert all(after.count(data) <= 1 for data in set(again)), "what is said again is journaled again"

        changed = [code(mutate(message, dice), context) for message in said for _ in range(40)]
        foul = [code(message, context) for message in inventions(market, wallet.address, session, dice)]
        for victim in (prover, owner):
            answers = await liar.rules(victim, [data for data in changed + foul if data])
            assert "broken" not in answers and "internal-error" not in answers, answers
        stolen = codec.encode(Complaint(market.address(OWNER), 0, 1, bytes(65)), context)
        assert await liar.says(prover, stolen) == "wrong-sender"
        nursery.cancel_scope.cancel()
    for name in (PROVER, OWNER):
        stats = market.ask(name, "status")["net"]
        assert stats["events"].get("handler-error", 0) == 0, market.log(name)
        assert faults_of(market, name, liar.net.peer_key), f"{name} has counted nothing"


def code(message: Message, context: Context) -> bytes:
    """The bytes of a message, none where it cannot be written at all."""
    try:
        return codec.encode(message, context)
    except ValueError:
        return b""


def inventions(market: LocalMarket, sender: bytes, session: int, dice: random.Random) -> list[Message]:
    """Well-formed messages that this data owner has no right to, or no reason for."""
    random_bytes = dice.randbytes
    return [
        Complaint(sender, 0, 1, random_bytes(65)),
        Complaint(sender, 200, 201, random_bytes(65)),
        OutputRequest(sender),
        Receipt(sender, market.address(OWNER), random_bytes(32), random_bytes(65)),
        Unmask(sender, 0, (), (), (), (), ()),
        Unmask(sender, 255, (0,), (0,), (random_bytes(45),), (random_bytes(32),), ((random_bytes(32),),)),
        Unmask(sender, 255, (0, 0), (0, 1), (b"x", b"y"), (b"", b""), ((), ())),
    ]
