"""Blobs between real hosts: verified, resumed, lies refused."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from omninode.net import blobs
from omninode.net.blobs import PROTOCOL, fetch_blob, patience, serve_blobs
from omninode.net.errors import BlobUnavailable
from omninode.net.service import Network
from omninode.net.wire import Wire
from omninode.store.blobs import BlobTooLarge, FileBlobStore, StoreFull
from tests.net_kit import network, running

SIZE = struct.Struct(">Q")
DATA = os.urandom(3_000_000)
DIGEST = hashlib.sha256(DATA).digest()


@asynccontextmanager
async def three(path: Path) -> AsyncIterator[tuple[Network, Network, Network, FileBlobStore]]:
    """A client with an empty store and two servers with none."""
    client, one, two = (network(path, name) for name in ("client", "one", "two"))
    async with running(client, one, two):
        for server in (one, two):
            client.book.know(server.peer_key, server.addrs, 1.0)
        yield client, one, two, FileBlobStore(path / "mine")


def honest(net: Network, path: Path) -> FileBlobStore:
    """Serve DATA properly."""
    store = FileBlobStore(path)
    store.put(DATA, public=True)
    serve_blobs(net, store)
    return store


def lying(net: Network, size: int, body: bytes, *, cut: int | None = None) -> list[int]:
    """Answer with ``size`` and ``body`` from the asked offset, at most ``cut`` bytes. Returns the offsets asked for."""
    asked: list[int] = []

    async def serve(wire: Wire) -> None:
        _, offset = struct.unpack(">32sQ", await wire.read_frame(40))
        asked.append(offset)
        await wire.write_frame(SIZE.pack(size))
        await wire.write(body[offset:][:cut])

    net.on_stream(PROTOCOL, serve)
    return asked


async def test_fetch(tmp_path: Path) -> None:
    async with three(tmp_path) as (client, one, _, mine):
        honest(one, tmp_path / "one")
        path = await fetch_blob(client, mine, DIGEST, [one.peer_key], max_size=len(DATA), deadline=50)
        assert path.read_bytes() == DATA
        assert not mine.is_public(DIGEST)
        assert await fetch_blob(client, mine, DIGEST, [], max_size=len(DATA), deadline=0) == path  # it is here already
        with pytest.raises(BlobTooLarge, match=f"has {len(DATA)} bytes, more than {len(DATA) - 1}"):
            await fetch_blob(client, mine, DIGEST, [one.peer_key], max_size=len(DATA) - 1, deadline=50)


@pytest.mark.parametrize("size", [0, 1, blobs.CHUNK, blobs.CHUNK + 1])
async def test_sizes_at_the_edges(tmp_path: Path, size: int) -> None:
    async with three(tmp_path) as (client, one, _, mine):
        store = FileBlobStore(tmp_path / "one")
        digest = store.put(DATA[:size], public=True)
        serve_blobs(one, store)
        path = await fetch_blob(client, mine, digest, [one.peer_key], max_size=size, deadline=50)
        assert path.read_bytes() == DATA[:size]


async def test_private_and_missing_blobs_look_alike(tmp_path: Path) -> None:
    async with three(tmp_path) as (client, one, two, mine):
        store = FileBlobStore(tmp_path / "one")
        store.put(DATA)
        serve_blobs(one, store)
        serve_blobs(two, FileBlobStore(tmp_path / "two"))
        with pytest.raises(BlobUnavailable) as error:
            await fetch_blob(client, mine, DIGEST, [one.peer_key, two.peer_key], max_size=1 << 30, deadline=50)
        reasons = set(error.value.reasons.values())
        assert len(reasons) == 1 and "no-such-blob" in reasons.pop()


async def test_a_broken_transfer_goes_on_with_the_next_peer(tmp_path: Path) -> None:
    async with three(tmp_path) as (client, one, two, mine):
        offsets = lying(one, len(DATA), DATA, cut=2 * blobs.CHUNK + 5)
        honest(two, tmp_path / "two")
        peers = [one.peer_key, two.peer_key]
        path = await fetch_blob(client, mine, DIGEST, peers, max_size=1 << 30, deadline=50)
        assert path.read_bytes() == DATA
        assert offsets == [0]
        received = client.stats()["peers"][two.peer_key.hex()]["received"][PROTOCOL]
        assert received < len(DATA) / 2  # the rest came from the first


async def test_a_line_that_breaks_again_and_again_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More often than a peer that gives nothing is asked."""
    monkeypatch.setattr(blobs, "_PAUSE_S", 0.0)
    data = DATA * 2
    async with three(tmp_path) as (client, one, _, mine):
        offsets = lying(one, len(data), data, cut=blobs.CHUNK)
        digest = hashlib.sha256(data).digest()
        path = await fetch_blob(client, mine, digest, [one.peer_key], max_size=len(data), deadline=50)
        assert path.read_bytes() == data
        assert offsets == list(range(0, len(data), blobs.CHUNK))
        assert len(offsets) == 6


def test_patience_grows_with_the_size() -> None:
    assert 60 <= patience(0) < patience(1 << 20) < patience(1 << 30)
    assert (1 << 30) / patience(1 << 30) < 1 << 18  # a line of 256 KiB/s brings the largest model


async def test_wrong_content_is_blamed_and_fetched_elsewhere(tmp_path: Path) -> None:
    async with three(tmp_path) as (client, one, two, mine):
        lying(one, len(DATA), b"\0" * len(DATA))
        honest(two, tmp_path / "two")
        path = await fetch_blob(client, mine, DIGEST, [one.peer_key, two.peer_key], max_size=1 << 30, deadline=50)
        assert path.read_bytes() == DATA
        assert client.stats()["peers"][one.peer_key.hex()]["faults"] == {"blob-digest": 1}
        assert "faults" in client.stats()["peers"][two.peer_key.hex()]
        assert client.stats()["peers"][two.peer_key.hex()]["faults"] == {}


async def test_a_wrong_beginning_spoils_nothing_for_good(tmp_path: Path) -> None:
    """The first peer sends a wrong beginning and breaks off; pieces of both do not fit, each alone is tried."""
    async with three(tmp_path) as (client, one, two, mine):
        lying(one, len(DATA), b"\0" * len(DATA), cut=2 * blobs.CHUNK)
        honest(two, tmp_path / "two")
        path = await fetch_blob(client, mine, DIGEST, [one.peer_key, two.peer_key], max_size=1 << 30, deadline=50)
        assert path.read_bytes() == DATA
        assert client.stats()["peers"][two.peer_key.hex()]["faults"] == {}


@pytest.mark.parametrize("size", [len(DATA) + 1, 1 << 62])
async def test_sizes_beyond_the_limit_are_refused_unread(tmp_path: Path, size: int) -> None:
    async with three(tmp_path) as (client, one, two, mine):
        lying(one, size, DATA)
        honest(two, tmp_path / "two")
        path = await fetch_blob(client, mine, DIGEST, [one.peer_key, two.peer_key], max_size=len(DATA), deadline=50)
        assert path.read_bytes() == DATA
        assert client.stats()["peers"][one.peer_key.hex()]["faults"] == {"blob-size": 1}


async def test_small_sizes_and_wrong_forms_do_not_help_either(tmp_path: Path) -> None:
    async with three(tmp_path) as (client, one, two, mine):
        lying(one, 10, DATA)

        async def nonsense(wire: Wire) -> None:
            await wire.write_frame(b"no size")

        two.on_stream(PROTOCOL, nonsense)
        with pytest.raises(BlobUnavailable):
            await fetch_blob(client, mine, DIGEST, [one.peer_key, two.peer_key], max_size=1 << 30, deadline=50)
        assert client.stats()["peers"][two.peer_key.hex()]["faults"] == {"blob-form": 1}
        assert mine.used == 0


async def test_the_deadline_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    async with three(tmp_path) as (client, one, _, mine):

        async def silent(wire: Wire) -> None:
            await trio.sleep_forever()

        one.on_stream(PROTOCOL, silent)
        with pytest.raises(BlobUnavailable, match="deadline"):
            await fetch_blob(client, mine, DIGEST, [one.peer_key], max_size=1 << 30, deadline=1.0)
        assert mine.used == 0
        assert list((mine.root / "partial").iterdir()) == []


async def test_a_full_store_is_our_own_error(tmp_path: Path) -> None:
    async with three(tmp_path) as (client, one, _, _mine):
        honest(one, tmp_path / "one")
        small = FileBlobStore(tmp_path / "small", max_total=1 << 20)
        with pytest.raises(StoreFull):
            await fetch_blob(client, small, DIGEST, [one.peer_key], max_size=1 << 30, deadline=50)
        assert small.used == 0


@pytest.mark.parametrize("request_", [b"", b"x" * 39, b"x" * 41, DIGEST + SIZE.pack(1 << 60)])
async def test_bad_requests_are_refused(tmp_path: Path, request_: bytes) -> None:
    async with three(tmp_path) as (client, one, _two, mine):
        honest(one, tmp_path / "one")
        async with client.open_stream(one.peer_key, PROTOCOL) as wire:
            await wire.write_frame(request_)
            with pytest.raises(Exception, match=r"blob-|request-size|no-such"):
                await wire.read_frame(8)
        path = await fetch_blob(client, mine, DIGEST, [one.peer_key], max_size=1 << 30, deadline=50)
        assert path.read_bytes() == DATA
