"""`omninode session ...` and `omninode cluster ...` as a user types them, against real nodes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from omninode import control
from omninode.errors import Exit
from omninode.store.db import DATABASE
from protocols.wire import codec
from protocols.wire.messages import Opening
from tests.integration.market_kit import MODEL_OWNER, LocalMarket

LIMIT_S = 400.0


def omninode(*arguments: str | Path, code: int = 0) -> str:
    """One verb to its end; what it prints. For a verb that fails: what it says."""
    command = [sys.executable, "-m", "omninode", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stderr if code else ended.stdout


async def test_verify(local_market: LocalMarket) -> None:
    """All parties find finished sessions in order, the second one's terms by the published rule as well.

    A prover whose journal was changed names the entry.
    """
    async with local_market.watching() as watch:
        grouped = await watch.create()
        await watch.settled(grouped)
        session = await watch.create(mode="verified", payout="contribution", tuning="published")
        await watch.settled(session)
    for name in (MODEL_OWNER, "prover-1", "data-owner-01"):
        for each in (grouped, session):
            said = omninode("session", "verify", str(each), "-c", local_market.node(name).directory)
            checks, _, table = said.partition("\n\n")
            assert all(line.startswith("ok  ") for line in checks.splitlines()), said
            assert len(checks.splitlines()) >= 13
            assert "own journal: " in checks
            follows = f"learning rate follow from the session before: follows session {grouped}, from distances"
            assert (follows in checks) == (each == session)
            assert ("every opening of the own journal" in checks) == (name == "prover-1")
            assert ("output shares give the sum applied" in checks) == (name == MODEL_OWNER)
            lines = 1 + len(local_market.data_owners) + 1 if each == session else 0  # heading, and the reference
            assert len(table.splitlines()) == lines
    listed = json.loads(omninode("session", "list", "--json", "-c", local_market.node("data-owner-02").directory))
    assert session in [entry["session"] for entry in listed["sessions"]]
    shown = json.loads(
        omninode("session", "show", str(session), "--json", "-c", local_market.node(MODEL_OWNER).directory)
    )
    assert shown["ended"]
    assert len(shown["members"]) == len(local_market.data_owners)

    node = local_market.node("prover-3")
    node.kill()
    kept = [(path, path.read_bytes()) for path in node.directory.glob(f"{DATABASE}*")]  # with its write-ahead log
    entry, sender = tamper(local_market, session)
    node.start()
    local_market.wait_answers(node.name)
    command = [sys.executable, "-m", "omninode", "session", "verify", str(session), "-c", str(node.directory)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.returncode == Exit.FAILURE, ended.stdout + ended.stderr
    (refused,) = [line for line in ended.stdout.splitlines() if line.startswith("FAIL")]
    assert refused.startswith(f"FAIL  own journal: entry {entry} (opening from 0x{sender}): wrong-link"), refused
    node.kill()
    for path in node.directory.glob(f"{DATABASE}*"):
        path.unlink()
    for path, content in kept:
        path.write_bytes(content)
        path.chmod(0o600)


def tamper(market: LocalMarket, session: int) -> tuple[int, str]:
    """Another value in one of the openings that prover-3 heard: its entry and sender."""
    path = market.node("prover-3").directory / DATABASE
    context = market.context(session)
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        rows = sql.execute(
            "SELECT seq, payload FROM inputs WHERE session = ? AND kind = 'message' AND payload IS NOT NULL", (session,)
        ).fetchall()
        for seq, payload in rows:
            message = codec.decode(payload, context, codec.Limits.generous())
            if isinstance(message, Opening) and message.label == "products":
                at = payload.index(message.values)
                forged = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
                sql.execute("UPDATE inputs SET payload = ? WHERE session = ? AND seq = ?", (forged, session, seq))
                return seq, message.sender.hex()
    raise AssertionError("nothing was opened")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A cluster's folder; whatever still runs in it at the end is killed by pid."""
    yield tmp_path / "cluster"
    for process in processes_of(tmp_path / "cluster"):
        process.kill()


def processes_of(root: Path) -> list[psutil.Process]:
    """Daemons and chain of a cluster, by the pids that it wrote down."""
    pids = [int(path.read_text()) for path in root.glob("nodes/*/node.pid")]
    if (root / "cluster.json").exists():
        pids.append(json.loads((root / "cluster.json").read_text())["chain_pid"])
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


def test_cluster(folder: Path) -> None:
    """up, status, a session, a node that is killed, down: with nothing but the command line."""
    absent = omninode("cluster", "status", "--dir", folder, code=Exit.NOT_RUNNING)
    assert "omninode cluster up" in absent
    up = json.loads(omninode("cluster", "up", "--dir", folder, "--owners", "12", "--json"))
    assert len(up["nodes"]) == 18
    assert all(node["pid"] for node in up["nodes"])
    again = omninode("cluster", "up", "--dir", folder, code=Exit.ALREADY_RUNNING)
    assert "omninode cluster down" in again

    config = {node["name"]: Path(node["folder"]) for node in up["nodes"]}
    ready(config)
    windows = ["--register-blocks", "40", "--upload-blocks", "60", "--settle-blocks", "60"]  # the machine may be busy
    created = json.loads(omninode("session", "create", "-c", config[MODEL_OWNER], "--json", *windows))
    assert created["session"] == 1
    shown = ended(config[MODEL_OWNER])
    assert shown["phase"] == "FINISHED", shown
    assert sum(member["accepted"] for member in shown["members"]) >= 3
    killed = next(node for node in up["nodes"] if node["name"] == "data-owner-12")
    psutil.Process(killed["pid"]).kill()
    status = json.loads(omninode("cluster", "status", "--dir", folder, "--json"))
    assert [node["name"] for node in status["nodes"] if node["pid"] is None] == ["data-owner-12"]
    assert "data-owner-12" in omninode("cluster", "status", "--dir", folder)

    running = processes_of(folder)
    down = json.loads(omninode("cluster", "down", "--dir", folder, "--json"))
    assert down["stopped"] == 17
    _, alive = psutil.wait_procs(running, timeout=30)
    assert not alive
    assert "omninode cluster up" in omninode("cluster", "down", "--dir", folder, code=Exit.NOT_RUNNING)


def ready(config: dict[str, Path]) -> None:
    """Until the owner has a model, the workers are warm and the provers drawable, as `status` tells."""
    deadline = time.monotonic() + LIMIT_S
    for name, path in config.items():
        while time.monotonic() < deadline:
            status = control.call(path / "control.sock", "status", timeout=20)
            registered = "prover_registered" in (path / "events.jsonl").read_text()
            trained = not status.get("model", {}).get("training")
            if trained and status.get("warm", True) and (registered or "prover" not in status["roles"]):
                break
            time.sleep(0.2)
        else:
            raise AssertionError(f"{name} is not ready")


def ended(config: Path) -> dict[str, Any]:
    """What `session show` says when the session has ended."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        shown: dict[str, Any] = json.loads(omninode("session", "show", "1", "-c", config, "--json"))
        if shown["ended"]:
            return shown
        time.sleep(1)
    raise AssertionError(f"the session never ended: {shown}")
