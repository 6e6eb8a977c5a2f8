"""A small cell of the reproduction: the three ways, one after the other on a chain of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omninode.reproduce.gas_baseline import check
from omninode.reproduce.gas_run import measure
from omninode.reproduce.gas_steps import IN_THE_PAPER, Step, Way
from omninode.reproduce.gas_terms import terms_of
from omninode.reproduce.onchain_stage import play
from omninode.reproduce.stage.blocks import Blocks, Sent
from omninode.reproduce.stage.session import PROVERS, Cast, perform_at, place
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


async def test_a_session_of_the_baseline_is_checked() -> None:
    async with place(4, onchain=True) as where:
        models = {k: np.linspace(k, k + 1, 8) for k in range(4)}
        wallets = [where.wallets[0], *where.wallets[1 + PROVERS :]]
        played = await play(where.client, where.factory, wallets, 8, 2, 2, models=models)
        check(played, models)
        with pytest.raises(RuntimeError, match="sum is wrong"):
            check(played, {k: model + 1 for k, model in models.items()})
        with pytest.raises(RuntimeError, match="the contract selects"):
            selected = played.view.selected
            played.view.selected = 3 ^ selected
            check(played, models)


async def test_what_a_contract_refuses_is_not_sent_and_what_is_not_timed_has_no_time() -> None:
    async with place(0) as where:
        owner, market = where.wallets[0].address, where.market
        blocks = Blocks(where.client, market.chain_id, where.wallets)
        refused = market.contract.interface.function("acknowledge").call_data((1,))
        assert await blocks.submit(owner, market.address, refused, 0) == ""
        sent = Sent("transfer", (), owner, 0, await blocks.submit(owner, bytes(20), b"", 1))
        assert await blocks.mine([sent, Sent("acknowledge", (), owner, 36, "")]) == []
        assert [mined.sent for mined in blocks.gas.mined] == [sent] and blocks.gas.session == 21_000
        with pytest.raises(KeyError):
            blocks.gas.times()
        more_than_there_are = replace(terms_of(Way.GROUPED, 2, 2, 250), committee=9)
        with pytest.raises(RuntimeError, match="refuses these terms"):
            await perform_at(where, more_than_there_are, Cast())
