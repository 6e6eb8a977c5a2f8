"""Blob transfer between two processes, beside bare Noise+Yamux of stock libp2p in the same run.

The peer's figure is a stock host whose stream handler writes as fast as it can while the other side reads and drops;
ours hashes, writes to disk, forces it to disk and names the file. Both over loopback, medians of a few transfers.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import trio

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE = int(os.environ.get("BENCH_BLOB_MIB", "64")) << 20
ROUNDS = 3
TURNS = 3
BARE = "/bench/bare"


def run() -> list[dict[str, Any]]:
    """The entries for ``make bench``: MiB/s, and the latency of a small request on an open connection."""
    blob, bare = _alternating("blob", "bare")
    ours, peer = SIZE / blob["transfer"] / (1 << 20), SIZE / bare["transfer"] / (1 << 20)
    params = f"{SIZE >> 20} MiB, two processes, loopback"
    return [
        _entry("blob transfer", params, ours, peer, "MiB/s", ours / peer),
        _entry(
            "open stream and echo", "1 KiB", 1e3 * blob["echo"], 1e3 * bare["echo"], "ms", bare["echo"] / blob["echo"]
        ),
    ]


def _entry(name: str, params: str, ours: float, peer: float, unit: str, ratio: float) -> dict[str, Any]:
    return {
        "name": name,
        "params": params,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "unit": unit,
        "ratio": round(ratio, 3),
    }


def _alternating(*kinds: str) -> list[dict[str, float]]:
    """Medians per kind, seconds; the kinds take turns, so that a busy machine is unkind to all of them alike."""
    times: dict[str, dict[str, list[float]]] = {kind: {} for kind in kinds}
    for _ in range(TURNS):
        for kind in kinds:
            for name, seconds in _measured(kind):
                times[kind].setdefault(name, []).append(seconds)
    return [{name: statistics.median(values) for name, values in times[kind].items()} for kind in kinds]


def _measured(kind: str) -> list[tuple[str, float]]:
    """Run server and client of one kind as processes; all that the client measured."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, kind]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        server = subprocess.Popen([*command, "serve", folder], stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert server.stdout is not None
            greeting = server.stdout.readline().split()
            client = [*command, "fetch", folder, *greeting]
            output = subprocess.run(client, capture_output=True, text=True, env=environment, timeout=300, check=True)
        finally:
            server.kill()
            server.wait()
    pairs = (line.split() for line in output.stdout.splitlines())
    return [(name, float(seconds)) for name, seconds in pairs]


async def _timed_echoes(ask: Any) -> None:
    for _ in range(60):
        began = time.perf_counter()
        await ask()
        print("echo", time.perf_counter() - began)


async def _blob_server(folder: Path) -> None:
    from omninode.net.blobs import serve_blobs
    from omninode.store.blobs import FileBlobStore

    net, store = _network(folder, "server"), FileBlobStore(folder / "served")
    digests = [store.put(os.urandom(SIZE), public=True).hex() for _ in range(ROUNDS)]

    async def echo(peer_key: bytes, payload: bytes) -> bytes:
        return payload

    serve_blobs(net, store)
    net.on_request("/bench/echo", echo)
    async with trio.open_nursery() as nursery:
        await nursery.start(net.run)
        print(net.addrs[0], *digests, flush=True)


async def _blob_client(folder: Path, address: str, *digests: str) -> None:
    from omninode.net.blobs import fetch_blob
    from omninode.net.keys import split_address
    from omninode.store.blobs import FileBlobStore

    _, key = split_address(address)
    assert key is not None
    net, store = _network(folder, "client", address), FileBlobStore(folder / "fetched")
    async with trio.open_nursery() as nursery:
        await nursery.start(net.run)
        await net.connect(key)
        for digest in digests:
            began = time.perf_counter()
            await fetch_blob(net, store, bytes.fromhex(digest), [key], max_size=SIZE, deadline=120)
            print("transfer", time.perf_counter() - began)
        await _timed_echoes(lambda: net.request(key, "/bench/echo", b"x" * 1024, deadline=30))
        nursery.cancel_scope.cancel()


def _network(folder: Path, name: str, *bootstrap: str) -> Any:
    from omninode.net.book import PeerBook
    from omninode.net.service import Network

    return Network(os.urandom(32), "/ip4/127.0.0.1/tcp/0", bootstrap, PeerBook(folder / name))


def _stock_host() -> Any:
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
    from libp2p.security.noise.transport import PROTOCOL_ID, Transport

    pair = create_new_key_pair(os.urandom(32))
    noise = Transport(pair, noise_privkey=create_noise_key_pair().private_key)
    return new_host(key_pair=pair, sec_opt={PROTOCOL_ID: noise}, muxer_preference="YAMUX")


async def _bare_server(folder: Path) -> None:
    from multiaddr import Multiaddr

    host, piece = _stock_host(), os.urandom(1 << 18)

    async def flood(stream: Any) -> None:
        await stream.read(1)
        for _ in range(SIZE // len(piece)):
            await stream.write(piece)
        await stream.close()

    async def echo(stream: Any) -> None:
        await stream.write(await stream.read(1024))
        await stream.close()

    host.set_stream_handler(BARE, flood)
    host.set_stream_handler("/bench/echo", echo)
    async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        print(host.get_addrs()[0], flush=True)
        await trio.sleep_forever()


async def _bare_client(folder: Path, address: str) -> None:
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from multiaddr import Multiaddr

    host = _stock_host()
    info = info_from_p2p_addr(Multiaddr(address))

    async def ask() -> None:
        stream = await host.new_stream(info.peer_id, ["/bench/echo"])
        await stream.write(b"x" * 1024)
        await stream.read(1024)
        await stream.close()

    async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        await host.connect(info)
        for _ in range(ROUNDS):
            stream = await host.new_stream(info.peer_id, [BARE])
            began, missing = time.perf_counter(), SIZE
            await stream.write(b"x")
            while missing:
                missing -= len(await stream.read(1 << 20))
            print("transfer", time.perf_counter() - began)
            await stream.close()
        await _timed_echoes(ask)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        for line in run():
            print(line)
    else:
        kind, role, folder, *rest = sys.argv[1:]
        action = globals()[f"_{kind}_{'server' if role == 'serve' else 'client'}"]
        trio.run(action, Path(folder), *rest)
