"""`omninode demo` as a user runs it: a process of its own, judged by what it prints, writes, and leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from omninode.cluster.local import PROVER_STAKE
from omninode.demo.options import DemoOptions
from protocols.sessions.view import SessionView
from protocols.wire.context import Context
from tests.integration.market_kit import journal, opened_in

LIMIT_S = 900.0
PROVER_MIB = 250  # the aim is 180
POKE_WEI = 300_000 * 10**9  # more gas than a poke takes, at the demo's highest price
COMMON = {"committee", "register", "train + upload", "delivery", "open the sum"}
PHASES = {
    "grouped": COMMON | {"draw", "key sharing", "check", "unmask + batch"},
    "verified": COMMON | {"proofs", "batch"},
}
CALLS = {"createSession", "register", "commitUpload", "postBatch", "claim"}


@contextmanager
def demo(out: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """`omninode demo` under way; killed at the end if it is still there."""
    command = [sys.executable, "-m", "omninode", "demo", "--json", "--out", str(out), *flags]
    with (out / "demo.err").open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def answer(process: subprocess.Popen[str], out: Path) -> dict[str, Any]:
    """What a demo that must succeed prints."""
    printed, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, (out / "demo.err").read_text()[-4000:]
    result: dict[str, Any] = json.loads(printed)
    return result


def the_run(out: Path) -> Path:
    (run,) = [path for path in out.iterdir() if path.is_dir()]
    return run


class Memory:
    """Looks at the provers while the demo runs: their largest memory, and whether torch is in it."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.largest: dict[str, float] = {}
        self.with_torch: set[str] = set()

    def watch(self, process: subprocess.Popen[str]) -> None:
        """Until the demo ends."""
        deadline = time.monotonic() + LIMIT_S
        while process.poll() is None and time.monotonic() < deadline:
            for pid_file in self._out.glob("*/nodes/prover-*/node.pid"):
                self._look(pid_file.parent.name, pid_file)
            time.sleep(1)

    def _look(self, name: str, pid_file: Path) -> None:
        try:
            pid = int(pid_file.read_text())
            resident = psutil.Process(pid).memory_info().rss / 2**20
            if "libtorch" in Path(f"/proc/{pid}/maps").read_text():
                self.with_torch.add(name)
        except (OSError, ValueError, psutil.Error):
            return  # it has just ended
        self.largest[name] = max(self.largest.get(name, 0), resident)


def check_schema(result: dict[str, Any], sessions: int, mode: str) -> None:
    """Every key that the issue promises, with the right kind of value."""
    assert result["data"] == "digits"
    accuracy = result["accuracy"]
    assert 0 < accuracy["owner_alone"] < accuracy["pooled"] <= 1
    assert len(accuracy["sessions"]) == len(result["sessions"]) == sessions
    assert all(0 < value <= 1 for value in accuracy["sessions"])
    assert result["wall_s"] > 0
    roles = [party["role"] for party in result["parties"].values()]
    assert (roles.count("model_owner"), roles.count("data_owner")) == (1, 12)
    known = {party["address"] for party in result["parties"].values()}
    for number, session in enumerate(result["sessions"], 1):
        assert (session["id"], session["mode"]) == (number, mode)
        check_groups(session, known) if mode == "grouped" else check_data_owners(session, known)
        assert session["paid"].keys() <= known
        assert all(isinstance(wei, int) for wei in [*session["paid"].values(), session["refund"]])
        assert session["gas"].keys() >= CALLS
        assert session["calls"].keys() == session["gas"].keys()
        assert session["seconds"].keys() <= PHASES[mode]
        assert session["bytes"]["/omninode/session/1"] > 12 * 5 * 5090 * 8 // 2
    for fault in result["faults"]:
        assert fault.keys() == {"kind", "expected", "observed", "ok"}


def check_groups(session: dict[str, Any], known: set[str]) -> None:
    """Mode grouped: four groups, nobody in them who is not of the market."""
    assert len(session["groups"]) == 4
    for group in session["groups"]:
        assert set(group["survivors"]) <= set(group["members"]) <= known
        assert isinstance(group["accepted"], bool)


def check_data_owners(session: dict[str, Any], known: set[str]) -> None:
    """Mode verified: everybody proved what it sent; who is accepted has a score, and is paid by it."""
    entries = session["data_owners"]
    assert len(entries) == 12
    assert {entry["address"] for entry in entries} <= known
    for entry in entries:
        assert entry["valid"]
        assert entry["accepted"] == (entry["why"] == "") == (entry["score"] is not None)
        assert entry["why"] in ("", "against reference")
        assert (entry["paid"] > 0) == bool(entry["score"])
    weights = {entry["score"]: entry["paid"] for entry in entries if entry["score"]}
    assert [weights[score] for score in sorted(weights)] == sorted(weights.values())
    reward = DemoOptions().reward
    assert reward - len(entries) < sum(entry["paid"] for entry in entries) <= reward
    assert session["calls"]["commitReference"] == 1


def rewards(session: dict[str, Any]) -> dict[str, int]:
    """What each data owner has earned in the session; those that claim later are left out."""
    if session["mode"] == "verified":
        return {entry["address"]: entry["paid"] for entry in session["data_owners"]}
    share = DemoOptions().reward // DemoOptions().owners
    return {address: share * group["accepted"] for group in session["groups"] for address in group["survivors"]}


def check_money(result: dict[str, Any], session: dict[str, Any]) -> None:
    """Data owners have what they earned, provers their fee; what was escrowed is what was paid and refunded."""
    terms, earned = DemoOptions(), rewards(session)
    gas = terms.reward // terms.owners // 100
    for party in result["parties"].values():
        paid = session["paid"].get(party["address"], 0)
        due = {"data_owner": earned.get(party["address"], 0), "prover": terms.prover_fee, "model_owner": 0}
        if party["role"] == "prover" and (party["address"] in session["slashed"] or paid == 0):
            continue  # lied, or was not drawn
        if party["role"] == "data_owner" and party["address"] not in earned:
            continue  # killed: it claims later
        assert due[party["role"]] <= paid <= due[party["role"]] + gas
    assert all(wei == PROVER_STAKE for wei in session["slashed"].values())


def check_conserved(session: dict[str, Any], *, spare_provers: bool = False) -> None:
    """Everything that was escrowed for the session went out of it again.

    spare_provers: some are not drawn. The first poke may be one's of them; what gas it is owed then stays for it.
    """
    left = session["escrow"] - sum(session["paid"].values()) - session["refund"]
    assert 0 <= left <= (POKE_WEI if spare_provers else 0)


def check_sum(run: Path, result: dict[str, Any], session: int) -> None:
    """The owner opened the plain sum of what the accepted data owners trained."""
    deployment = json.loads((run / "deployment.json").read_text())
    names = {party["address"]: name for name, party in result["parties"].items()}
    context = Context(deployment["chain_id"], bytes.fromhex(deployment["market"][2:]), session)
    opened, view = opened_in(run / "nodes" / "model-owner", context)
    assert opened is not None
    updates = []
    for member in members_accepted(view):
        inputs = journal(run / "nodes" / names[member], session, "data_owner")
        updates += [np.frombuffer(payload, "<i8").astype(np.int64) for kind, payload in inputs if kind == "update"]
    assert len(updates) == opened.count
    assert np.array_equal(np.sum(updates, axis=0), opened.total)


def members_accepted(view: SessionView) -> list[str]:
    assert view.batch is not None
    return ["0x" + m.address.hex() for m in view.members if view.batch.accepted >> m.index & 1]


def test_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory = Memory(tmp_path)
    with demo(tmp_path, "--sessions", "2") as process:
        memory.watch(process)
        result = answer(process, tmp_path)
    run = the_run(tmp_path)
    assert json.loads((run / "result.json").read_text()) == result
    assert (run / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((run / "events").glob("*.jsonl"))) == 18
    check_schema(result, 2, "verified")
    assert result["faults"] == []
    assert result["accuracy"]["sessions"][-1] > result["accuracy"]["owner_alone"]
    for session in result["sessions"]:
        assert session["slashed"] == {}
        check_money(result, session)
        check_conserved(session)
        check_sum(run, result, session["id"])
    assert not list((run / "nodes").glob("prover-*/shelf/1")), "share vectors outlive their session"
    with capsys.disabled():
        print("\n  MiB of memory:", {name: round(size) for name, size in sorted(memory.largest.items())})
    assert len(memory.largest) == 5
    assert not memory.with_torch
    assert max(memory.largest.values()) < PROVER_MIB
    nobody_left(run)


@pytest.mark.soak  # three minutes; the same attacks run in one process in tests/faults
def test_grouped_and_hostile(tmp_path: Path) -> None:
    with demo(tmp_path, "--mode", "grouped", "--hostile", "--sessions", "4") as process:
        result = answer(process, tmp_path)
    check_schema(result, 4, "grouped")
    assert len(result["faults"]) == 3
    assert all(fault["ok"] for fault in result["faults"]), result["faults"]
    for session in result["sessions"]:
        check_money(result, session)
        check_conserved(session, spare_provers=True)
        assert bool(session["slashed"]) == (session["id"] == 3)
        check_sum(the_run(tmp_path), result, session["id"])
    nobody_left(the_run(tmp_path))


def nobody_left(run: Path) -> None:
    """The demo has ended everything that it started."""
    left = []
    for process in psutil.process_iter():
        try:
            if str(run) in " ".join(process.cmdline()):
                left.append(process)
        except psutil.Error:
            continue
    assert not left
