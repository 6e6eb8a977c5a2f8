"""`omninode demo --certificate zk` as a user runs it: the contract itself verifies a proof of the batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from protocols.zk.params import choose
from tests.integration.test_demo import (
    Memory,
    answer,
    check_conserved,
    check_money,
    check_sum,
    demo,
    nobody_left,
    the_run,
)  # fmt: skip

OWNERS = 5
PROVER_MIB = 260  # the aim is 180
PHASES = {"committee", "register", "train + upload", "delivery", "records + shares", "prove + verify", "open the sum"}


def check_proved(session: dict[str, Any]) -> None:
    """One proof, of everybody's score, in one transaction; pay follows from what was proved."""
    proof, entries = session["proof"], session["data_owners"]
    assert (session["certificate"], session["aborted"]) == ("zk", None)
    assert (proof["statement"], proof["data_owners"]) == ("score", OWNERS)
    assert proof["rows"] == choose(5090, 4095).size == 8192
    assert 236_000 < proof["gas"] <= session["gas"]["postProof"] < 4_000_000
    assert session["calls"]["commitReference"] == 1
    assert "postBatch" not in session["calls"] and "postOpenings" not in session["calls"]
    assert all(entry["valid"] for entry in entries)
    assert all(entry["accepted"] == (entry["score"] is not None) == (entry["paid"] > 0) for entry in entries)
    assert session["seconds"].keys() <= PHASES


def test_scores_are_proved_to_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory = Memory(tmp_path)
    with demo(tmp_path, "--certificate", "zk", "--sessions", "1", "--owners", str(OWNERS)) as process:
        memory.watch(process)
        result = answer(process, tmp_path)
    run, (session,) = the_run(tmp_path), result["sessions"]
    assert "INSECURE test string: for this local chain only" in (tmp_path / "demo.err").read_text()
    assert json.loads((run / "result.json").read_text()) == result
    check_proved(session)
    check_money(result, session)
    check_conserved(session)
    check_sum(run, result, session["id"])
    assert session["slashed"] == session["reverted"] == {}
    with capsys.disabled():
        seconds = {name: round(value, 1) for name, value in session["seconds"].items()}
        print("\n  MiB of memory:", {name: round(size) for name, size in sorted(memory.largest.items())})
        print("  seconds:", seconds, "gas of the proof:", session["proof"]["gas"])
    assert len(memory.largest) == 5
    assert not memory.with_torch
    assert max(memory.largest.values()) < PROVER_MIB
    nobody_left(run)


@pytest.mark.soak  # four minutes; the same attacks run in one process in tests/faults
def test_attacks_on_proofs(tmp_path: Path) -> None:
    with demo(tmp_path, "--certificate", "zk", "--hostile") as process:
        result = answer(process, tmp_path)
    assert len(result["faults"]) == 7
    assert all(fault["ok"] for fault in result["faults"]), result["faults"]
    proofs = [session["proof"] for session in result["sessions"]]
    assert [proof["data_owners"] for proof in proofs] == [12, 8, 12, 12, 12]
    assert [len(session["slashed"]) for session in result["sessions"]] == [0, 0, 1, 1, 0]
    (reasons,) = result["sessions"][4]["reverted"].values()
    assert reasons == ["BadStatementIdentity"]
    for session in result["sessions"]:
        check_sum(the_run(tmp_path), result, session["id"])
    nobody_left(the_run(tmp_path))
