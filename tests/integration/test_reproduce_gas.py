"""A small cell of the reproduction: the three ways, one after the other on a chain of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omninode.reproduce.gas_run import measure
from omninode.reproduce.gas_steps import IN_THE_PAPER, Step, Way
from tests.integration.chain_support import needs_anvil

pytestmark = needs_anvil
MEMBERS = 6


@pytest.fixture(scope="module")
def cell() -> dict[str, Any]:
    arguments = {"rounds": 3, "group_size": 2, "dimension": 250, "ways": [str(way) for way in Way], "times": 2}
    result = measure(arguments, Path())
    assert json.loads(json.dumps(result)) == result
    return dict(result["ways"])


@pytest.mark.parametrize("way", Way)
def test_all_gas_is_someones_and_some_steps(cell: dict[str, Any], way: Way) -> None:
    gas = cell[way]["gas"]
    assert gas["session"] == sum(gas["by_step"].values()) == sum(gas["payers"].values())
    assert gas["session"] == sum(each["gas"] for each in gas["by_call"].values())
    steps = set(IN_THE_PAPER) - ({Step.KEYS} if way == Way.VERIFIED else set())
    assert all(gas["by_step"][step] > 0 for step in (*steps, Step.SETUP, Step.PAYMENT))
    assert gas["by_call"]["register"]["calls"] == MEMBERS
    assert gas["reverted"] == 0 and gas["data_owner"] * MEMBERS == pytest.approx(gas["payers"]["data_owners"])
    assert set(cell[way]["ms"]["by_step"]) == set(Step)


def test_the_baseline_uploads_and_ours_does_not(cell: dict[str, Any]) -> None:
    assert cell["onchain"]["gas"]["by_call"]["upload"]["calls"] == MEMBERS  # one chunk of 250 each
    assert cell["onchain"]["gas"]["calldata"] > MEMBERS * 8 * 250 > cell["grouped"]["gas"]["calldata"]
    assert cell["onchain"]["accepted"] == 2 and cell["verified"]["accepted"] == MEMBERS
