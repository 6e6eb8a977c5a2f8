"""The exchange of addresses without a network: what is learned, what is handed on, who is dialled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from omninode.net.book import PeerBook
from omninode.net.errors import NetError, PeerUnreachable
from omninode.net.exchange import MAX_RECORDS, Exchange, pack_records, unpack_records
from omninode.net.limits import Limits
from omninode.net.records import read_record, sign_record
from protocols.errors import RemoteProtocolError

HOME = "/ip4/127.0.0.1/tcp/4001"
LIMITS = replace(Limits(), target_peers=2)


def seed(n: int) -> bytes:
    return n.to_bytes(32, "big")


def key(n: int) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed(n)).public_key().public_bytes_raw()


class FakeNet:
    """Nobody is connected and every request gets the same reply (or none)."""

    def __init__(self, reply: bytes | None = None) -> None:
        self.peer_key = key(0)
        self.reply = reply
        self.open: list[bytes] = []
        self.asked: list[bytes] = []

    def connected(self) -> list[bytes]:
        return self.open

    async def request(self, peer_key: bytes, protocol: str, payload: bytes, *, deadline: float) -> bytes:
        self.asked.append(peer_key)
        if self.reply is None:
            raise PeerUnreachable(peer_key)
        return self.reply


def made(tmp_path: Path, net: FakeNet | None = None) -> Exchange:
    return Exchange(net or FakeNet(), seed(0), PeerBook(tmp_path / "b"), LIMITS, lambda: [HOME], clock=lambda: 1000.0)


async def test_both_sides_learn(tmp_path: Path) -> None:
    exchange = made(tmp_path)
    reply = await exchange.answer(key(1), pack_records([sign_record(seed(1), 999_000, [HOME])]))
    assert exchange._book.addrs(key(1)) == [HOME]
    assert [read_record(r).key for r in unpack_records(reply)] == [key(0)]
    asking = made(tmp_path, FakeNet(pack_records([sign_record(seed(2), 999_000, [HOME])])))
    await asking.ask(key(1))
    assert asking._book.addrs(key(2)) == [HOME]


def test_own_future_and_older_records_change_nothing(tmp_path: Path) -> None:
    exchange = made(tmp_path)
    own, future = sign_record(seed(0), 5, [HOME]), sign_record(seed(1), 10_000_000, [HOME])
    assert exchange.learn([own, future]) == 0
    assert exchange._book.peers() == []
    exchange.learn([sign_record(seed(1), 900_000, [HOME])])
    exchange.learn([sign_record(seed(1), 800_000, ["/ip4/10.0.0.1/tcp/1"])])
    assert exchange._book.addrs(key(1)) == [HOME]


@given(st.one_of(st.binary(max_size=200), st.lists(st.binary(max_size=20), max_size=5).map(pack_records)))
def test_garbage_is_blamed_on_its_sender(data: bytes) -> None:
    import trio

    exchange = Exchange(FakeNet(), seed(0), PeerBook("/nowhere/book"), LIMITS, lambda: [HOME], clock=lambda: 1000.0)

    async def answer() -> None:
        try:
            await exchange.answer(key(1), data)
        except RemoteProtocolError as error:
            assert error.rule in ("peer-exchange-form", "peer-record")
            assert error.peer == key(1).hex()

    trio.run(answer)
    assert exchange._book.peers() == []


def test_samples_are_bounded_and_leave_out_the_asker(tmp_path: Path) -> None:
    exchange = made(tmp_path)
    exchange.learn([sign_record(seed(n), n, [HOME]) for n in range(1, 100)])
    sample = [read_record(data).key for data in exchange.sample(key(99))]
    assert len(sample) == MAX_RECORDS + 1
    assert sample[0] == key(0)
    assert key(99) not in sample
    assert key(98) in sample
    assert len(set(sample)) == len(sample)


def test_our_record_is_signed_anew_when_our_addresses_change(tmp_path: Path) -> None:
    addresses = [HOME]
    exchange = Exchange(FakeNet(), seed(0), PeerBook(tmp_path / "b"), LIMITS, lambda: list(addresses))
    first = exchange.record()
    assert exchange.record() is first
    addresses.append("/ip4/10.0.0.1/tcp/1")
    assert read_record(exchange.record()).addrs == addresses


async def test_failures_are_not_repeated_at_once(tmp_path: Path) -> None:
    net = FakeNet()
    exchange = made(tmp_path, net)
    exchange.learn([sign_record(seed(1), 1, [HOME])])
    assert exchange._next() == key(1)
    await exchange._try(key(1))
    assert exchange._next() is None
    net.reply = pack_records([])
    await exchange._try(key(1))
    assert exchange._next() == key(1)


async def test_enough_connections_are_enough(tmp_path: Path) -> None:
    net = FakeNet(pack_records([]))
    exchange = made(tmp_path, net)
    exchange.learn([sign_record(seed(n), 1, [HOME]) for n in (1, 2, 3)])
    assert exchange._pause() < 2
    net.open = [key(1), key(2)]
    assert exchange._next() in net.open
    assert exchange._pause() == LIMITS.exchange
    net.open = [key(1)]
    assert exchange._next() in (key(2), key(3))


@pytest.mark.parametrize("reply", [b"", b"\xc1", pack_records([])[:0] + b"\x93\x01\x02\x03"])
async def test_malformed_replies_are_network_errors(tmp_path: Path, reply: bytes) -> None:
    with pytest.raises(NetError):
        await made(tmp_path, FakeNet(reply)).ask(key(1))
