"""A node that cannot start, or not go on: it says why in a sentence, with the promised exit code, and leaves no mess.

What a wrong chain, port, key, passphrase or store version gets is in tests/integration/test_cli_node.py; here is what
takes time, a disk, or a whole market.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import trio

from omninode.chain.devchain import DevChain, start_anvil
from omninode.errors import Exit
from omninode.learning import data as local_data
from omninode.store.lock import DataDirLock
from protocols.sessions.params import Phase
from tests.integration.market_kit import MODEL_OWNER, LocalMarket

LIMIT_S = 120.0
QUICK_START = "import sys, omninode.node as n, omninode.cli as c; n.CHAIN_WAIT_S = 3; c.main(sys.argv[1:])"


def omninode(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One verb to its end, with a node that waits 3 s for its RPC instead of a minute."""
    command = [sys.executable, "-c", QUICK_START, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)


@pytest.fixture
def folder(tmp_path: Path, free_port: int) -> Path:
    """A prover's directory; nobody is at its RPC."""
    return initialised(tmp_path / "node", free_port)


def initialised(path: Path, port: int) -> Path:
    made = omninode(
        "init", "-c", path, "--role", "prover", "--light", "--rpc", f"http://127.0.0.1:{port}", "--chain-id", "31337",
        "--market", "0x" + "11" * 20, "--listen", "/ip4/127.0.0.1/tcp/0",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return path


def test_rpc_down(folder: Path, free_port: int) -> None:
    ended = omninode("start", "-c", folder)
    assert ended.returncode == Exit.CHAIN, ended.stderr
    assert f"127.0.0.1:{free_port}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (folder / "node.pid").exists()


@contextmanager
def silent_server(port: int) -> Iterator[None]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", port)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in taken:
            connection.close()


def test_rpc_that_is_silent(folder: Path, free_port: int) -> None:
    with silent_server(free_port):
        ended = omninode("start", "-c", folder, "--set", "chain.timeout=1")
    assert ended.returncode == Exit.CHAIN, ended.stderr
    assert "Traceback" not in ended.stderr


def test_rpc_that_comes_late(folder: Path, free_port: int) -> None:
    """The node waits for it; then it finds no contract there, and says so."""
    command = [sys.executable, "-m", "omninode", "start", "-c", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as node:
        try:
            wait_for_text(node, "rpc_unavailable")
            with start_anvil(port=free_port):
                _, said = node.communicate(timeout=LIMIT_S)
        finally:
            node.kill()
    assert node.returncode == Exit.CHAIN
    assert "11" * 20 in said


def wait_for_text(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"never said {text!r}")


def test_exit_code_when_nothing_can_be_said(tmp_path: Path) -> None:
    """The log is on the disk that is full: no sentence then, but the exit code is the promised one."""
    command = [sys.executable, "-m", "omninode", "start", "-c", str(tmp_path / "nowhere")]
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(command, stderr=full, stdin=subprocess.DEVNULL, timeout=LIMIT_S, check=False)
    assert ended.returncode == Exit.USAGE


def test_two_processes_race_for_one_directory(folder: Path) -> None:
    """Many at once: the lock is held by one, all others name it."""
    with DataDirLock(folder):
        losers = [omninode("start", "-c", folder) for _ in range(2)]
    for loser in losers:
        assert loser.returncode == Exit.ALREADY_RUNNING
        assert f"process {os.getpid()}" in loser.stderr


@contextmanager
def small_disk(path: Path, size: str = "1m") -> Iterator[Path]:
    """A file system of its own at ``path``; skips where that is not allowed."""
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no right to mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(path: Path) -> None:
    """Write until there is no room."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(OSError, match="No space"):
            while True:
                os.write(handle, bytes(4096))
    finally:
        os.close(handle)


def test_full_disk(tmp_path: Path, free_port: int) -> None:
    with small_disk(tmp_path / "disk") as disk:
        folder = initialised(disk / "node", free_port)
        fill(disk / "filler")
        ended = omninode("start", "-c", folder)
        assert ended.returncode == Exit.STORE, ended.stderr
        assert "disk" in ended.stderr
        assert "full" in ended.stderr
        assert "Traceback" not in ended.stderr
        (disk / "filler").unlink()
        assert omninode("start", "-c", folder).returncode == Exit.CHAIN  # nothing was damaged


def test_read_only_disk(tmp_path: Path, free_port: int) -> None:
    with small_disk(tmp_path / "disk") as disk:
        folder = initialised(disk / "node", free_port)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        ended = omninode("start", "-c", folder)
        assert ended.returncode == Exit.STORE, ended.stderr
        assert "writable" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_damaged_database(folder: Path) -> None:
    (folder / "node.sqlite").write_bytes(b"this is no database" * 1000)
    (folder / "node.sqlite").chmod(0o600)
    ended = omninode("start", "-c", folder)
    assert ended.returncode == Exit.STORE, ended.stderr
    assert "damaged" in ended.stderr


# -- in a market ----------------------------------------------------------------------------------------------------


async def test_bad_data_is_refused_before_money_moves(local_market: LocalMarket) -> None:
    """NaN, wrong width and too few samples: no registration, the reason in `status`; then everybody is refunded."""
    spoilt = dict(zip(local_market.data_owners, ("not a finite number", "features", "samples"), strict=False))
    files = {name: local_market.root / "data" / f"{name}.npz" for name in spoilt}
    kept = {name: path.read_bytes() for name, path in files.items()}
    try:
        for path, kind in zip(files.values(), ("nan", "width", "few"), strict=True):
            spoil(path, kind)
        async with local_market.watching() as watch:
            session = await watch.create(register_blocks=8)
            record = await watch.paid(session)
            assert record.view.phase == Phase.ABORTED
            assert record.view.aborted == "too few data owners"
            registered = {local_market.names[member.address] for member in record.view.members}
            assert registered <= set(local_market.data_owners) - set(spoilt)
            await watch.check_money(session)
            for name, reason in spoilt.items():
                assert reason in local_market.ask(name, "status")["refusals"][str(session)]
    finally:
        for name, path in files.items():
            path.write_bytes(kept[name])


def spoil(path: Path, kind: str) -> None:
    samples = local_data.load(path)
    x, y = samples.x.copy(), samples.y
    if kind == "nan":
        x[7, 11] = np.nan
    elif kind == "width":
        x = x[:, :-1]
    else:
        x, y = x[:3], y[:3]
    local_data.save(path, local_data.Samples(x, y))


async def test_sigterm_in_every_phase(local_market: LocalMarket) -> None:
    """It ends the node cleanly wherever the session stands; started again, the node goes on."""
    victims = {
        Phase.REGISTER: "data-owner-01", Phase.KEYS: "data-owner-03", Phase.UPLOAD: "prover-1",
        Phase.DELIVERED: "data-owner-04", Phase.VALID: "prover-5", Phase.BATCH: "prover-3", Phase.OUTPUT: MODEL_OWNER,
    }  # fmt: skip
    async with local_market.watching() as watch:
        session = await watch.create()
        for phase, name in victims.items():
            await watch.phase(session, phase)
            node = local_market.node(name)
            assert node.process is not None
            node.terminate()
            with trio.fail_after(LIMIT_S):
                while node.process.poll() is None:
                    await trio.sleep(0.05)
            assert node.process.returncode == 0, f"{name} in {phase.name}: {local_market.log(name)}"
            assert not (node.directory / "node.pid").exists()
            assert not node.socket.exists()
            await watch.back(name)
        await watch.settled(session)


async def test_disk_that_fills_up_in_a_session(local_market: LocalMarket) -> None:
    """A data owner and a prover cannot write any more: they stop with exit code 4, and go on when there is room."""
    async with local_market.watching() as watch:
        session = await watch.create()
        for phase, name in ((Phase.KEYS, "data-owner-06"), (Phase.QUERY, "prover-2")):
            await watch.phase(session, phase)
            node = local_market.node(name)
            assert node.process is not None
            resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            with trio.fail_after(LIMIT_S):
                while node.process.poll() is None:
                    await trio.sleep(0.05)
            assert node.process.returncode == Exit.STORE, f"{name}: {local_market.log(name)}"
            await watch.back(name)
        await watch.settled(session)


async def test_chain_that_stops_for_a_while(local_market: LocalMarket) -> None:
    """The RPC hangs for 15 s in the middle of a session; nobody ends, nothing is sent twice, the session goes on."""
    async with local_market.watching() as watch:
        session = await watch.create()
        await watch.phase(session, Phase.KEYS)
        with stopped(local_market.chain):
            await trio.sleep(15)
        await watch.settled(session)
        assert all(node.pid is not None for node in local_market.cluster.nodes)


@contextmanager
def stopped(chain: DevChain) -> Iterator[None]:
    os.kill(chain.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(chain.pid, signal.SIGCONT)


async def test_data_owner_back_while_the_model_owner_is_away(local_market: LocalMarket) -> None:
    """It needs nobody's document again to keep its word: its deposit must not be lost."""
    async with local_market.watching() as watch:
        session = await watch.create()
        record = await watch.phase(session, Phase.UPLOAD)
        watch.kill(MODEL_OWNER, "data-owner-07", "data-owner-08")
        await watch.back("data-owner-07", "data-owner-08")
        await watch.phase(session, Phase.OUTPUT)
        await watch.back(MODEL_OWNER)
        await watch.settled(session)
        assert record.view.silent_owners == 0
