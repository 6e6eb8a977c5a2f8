"""A real node as a process: started, asked, killed, started again, ended; and refused where it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from omninode.errors import Exit

if TYPE_CHECKING:
    from omninode.chain.deployment import Deployment
    from omninode.chain.devchain import DevChain

OMNINODE = [sys.executable, "-m", "omninode"]
LIMIT_S = 90.0


def omninode(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One verb, to its end."""
    command = [*OMNINODE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def market(anvil: DevChain) -> Deployment:
    """The contracts, deployed by a wallet of their own."""
    from omninode.chain.client import ChainClient
    from omninode.chain.deployment import deploy
    from omninode.chain.wallet import Wallet

    wallet = Wallet(b"\x77" * 32)

    async def run() -> Deployment:
        async with ChainClient(anvil.url) as client:
            await anvil.set_balance(client, wallet.address, 10**21)
            return await deploy(client, wallet, min_stake=10**18, exit_delay=10)

    return trio.run(run)


@pytest.fixture
def folder(tmp_path: Path, anvil: DevChain, market: Deployment) -> Path:
    """A node's directory, its wallet funded."""
    path = tmp_path / "node"
    made = omninode(
        "init", "-c", path, "--role", "prover", "--light", "--json", "--rpc", anvil.url,
        "--chain-id", str(anvil.chain_id), "--market", "0x" + market.market.hex(), "--listen", "/ip4/127.0.0.1/tcp/0",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    from omninode.chain.client import ChainClient

    async def fund() -> None:
        async with ChainClient(anvil.url) as client:
            await anvil.set_balance(client, bytes.fromhex(json.loads(made.stdout)["address"][2:]), 10**20)

    trio.run(fund)
    return path


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start the node in the background; what is left of it is killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*flags: str) -> subprocess.Popen[bytes]:
        with (folder / "node.log").open("ab") as log:
            started.append(subprocess.Popen([*OMNINODE, "start", "-c", str(folder), *flags], stderr=log, stdout=log))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(LIMIT_S)


def when_it_answers(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "node.log").read_text()
        asked = omninode("status", "-c", folder, "--json")
        if asked.returncode == 0:
            answer: dict[str, Any] = json.loads(asked.stdout)
            return answer
        assert asked.returncode == Exit.NOT_RUNNING, asked.stderr
        time.sleep(0.2)
    raise AssertionError("the node never answered:\n" + (folder / "node.log").read_text())


def test_life_of_a_node(folder: Path, start: Start) -> None:
    first = start()
    before = when_it_answers(folder, first)
    assert before["pid"] == first.pid
    assert before["roles"] == ["prover"]

    second = omninode("start", "-c", folder)
    assert second.returncode == Exit.ALREADY_RUNNING
    assert f"process {first.pid}" in second.stderr

    assert omninode("session", "list", "-c", folder).returncode == 0
    unknown = omninode("session", "show", "99", "-c", folder)
    assert unknown.returncode == Exit.REFUSED
    assert "omninode session list" in unknown.stderr
    assert omninode("session", "create", "-c", folder).returncode == Exit.REFUSED

    first.send_signal(signal.SIGKILL)
    first.wait(LIMIT_S)
    assert omninode("status", "-c", folder).returncode == Exit.NOT_RUNNING

    again = start()
    after = when_it_answers(folder, again)
    assert (after["address"], after["peer_id"]) == (before["address"], before["peer_id"])
    again.send_signal(signal.SIGTERM)
    assert again.wait(LIMIT_S) == 0
    assert not (folder / "control.sock").exists()
    assert_no_secret(folder)


def assert_no_secret(folder: Path) -> None:
    """Nothing that a node writes for people holds its keys or passphrase."""
    secrets = [(folder / name).read_text().strip() for name in ("passphrase", "peer.key", "seal.key")]
    for name in ("node.log", "events.jsonl"):
        text = (folder / name).read_text()
        assert text
        assert not [secret for secret in secrets if secret in text]


def test_wrong_chain_and_missing_contract(folder: Path) -> None:
    wrong = omninode("start", "-c", folder, "--set", "chain.chain_id=5")
    assert wrong.returncode == Exit.CHAIN
    assert "31337" in wrong.stderr
    assert "5" in wrong.stderr
    missing = omninode("start", "-c", folder, "--set", "chain.market=0x" + "12" * 20)
    assert missing.returncode == Exit.CHAIN
    assert "12" * 20 in missing.stderr
    assert "Traceback" not in wrong.stderr + missing.stderr


def test_a_port_that_is_taken(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = omninode("start", "-c", folder, "--set", f"net.listen=/ip4/127.0.0.1/tcp/{port}")
    assert refused.returncode == Exit.NETWORK, refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("name", ["wallet.json", "peer.key"])
def test_keys_that_others_can_read_are_refused(folder: Path, name: str) -> None:
    os.chmod(folder / name, 0o644)
    refused = omninode("start", "-c", folder)
    assert refused.returncode == Exit.KEYS
    assert "chmod 600" in refused.stderr


def test_a_wrong_passphrase(folder: Path) -> None:
    (folder / "passphrase").write_text("not this one\n")
    refused = omninode("start", "-c", folder)
    assert refused.returncode == Exit.KEYS
    assert "wrong passphrase" in refused.stderr
    assert "not this one" not in refused.stderr


def test_a_store_of_a_newer_version(folder: Path) -> None:
    import sqlite3

    from omninode.store.db import DATABASE, Store

    Store.open(folder).close()
    with sqlite3.connect(folder / DATABASE) as sql:
        sql.execute("INSERT INTO migrations VALUES (1000)")
    refused = omninode("start", "-c", folder)
    assert refused.returncode == Exit.STORE
    assert "newer omninode" in refused.stderr
