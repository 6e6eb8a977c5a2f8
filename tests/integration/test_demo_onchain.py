"""`omninode demo --aggregation onchain` as a user runs it: real daemons, real contracts, one session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omninode.learning.presets import DIGITS
from protocols.onchain.limits import session_gas
from tests.integration.chain_support import needs_anvil
from tests.integration.test_demo import answer, demo, the_run

pytestmark = needs_anvil
ROUNDS, SIZE = 4, 3


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("onchain")
    with demo(out, "--aggregation", "onchain", "--sessions", "1") as process:
        told = answer(process, out)
    told["run"] = the_run(out)
    return told


def test_the_session_has_a_result_and_everybody_is_paid(result: dict[str, Any]) -> None:
    (session,) = result["sessions"]
    assert session["complete"] == [0, 1, 2, 3]
    assert len(session["selected"]) == 2
    assert len(session["data_owners"]) == len(session["paid"]) == ROUNDS * SIZE
    best, worst = max(session["paid"].values()), min(session["paid"].values())
    assert best - worst >= 0.9 * session["share"] > 0  # gas differs a little, the share goes to two rounds of four
    assert session["accuracy"] is not None
    assert result["accuracy"]["sessions"] == [session["accuracy"]]


def test_the_gas_is_what_was_announced(result: dict[str, Any]) -> None:
    (session,) = result["sessions"]
    said = session_gas(DIGITS.model.parameters, ROUNDS, SIZE)
    assert abs(session["total_gas"] - said.total) < 0.05 * said.total
    assert session["calls"]["upload"] == 21 * ROUNDS * SIZE
    assert session["calls"]["postModel"] == session["calls"]["measure"] == 21
    assert session["calls"]["claim"] == ROUNDS * SIZE


def test_everything_is_kept_where_the_demo_says(result: dict[str, Any]) -> None:
    run: Path = result["run"]
    for name in ("result.json", "accuracy.png", "events/model-owner.jsonl", "events/data-owner-12.jsonl"):
        assert (run / name).exists(), name
    written = (run / "events/data-owner-01.jsonl").read_text()
    assert '"session_joined"' in written
    assert "session_failed" not in written
