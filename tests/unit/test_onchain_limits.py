"""What fits on a chain, and the sentence for what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from omninode.chain.deployment import Deployment
from omninode.config_check import problem
from omninode.config_schema import SECTIONS
from omninode.demo.options import DemoOptions
from omninode.errors import UsageError
from omninode.roles.onchain_owner import usual_m
from protocols.onchain.limits import MOST_PARAMETERS, blocks_needed, misfit, session_gas, settle_needed
from protocols.selection.rules import M_KRUM, guarantees

BLOCK = 60_000_000


def test_a_small_model_fits() -> None:
    assert misfit(5_090, 4, 3, 20, BLOCK) == ""
    assert misfit(5_701, 6, 4, 20, BLOCK) == ""


def test_a_model_beyond_the_contract_is_refused_with_its_gas() -> None:
    said = misfit(100_000, 8, 4, 10**6, BLOCK)
    gas = session_gas(100_000, 8, 4)
    assert said.startswith("100,000 parameters are more than the 32,000 that the contract holds")
    assert f"{gas.total:,} gas, {gas.data_owner:,} of it for each data owner" in said
    assert gas.total > 10**10


def test_the_documentation_shows_the_refusal_as_it_is() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "baseline.md").read_text().split())
    assert misfit(36_697, 8, 4, 20, BLOCK) in text


def test_a_window_that_is_too_short_is_refused_with_the_blocks_it_would_take() -> None:
    blocks = blocks_needed(30_000, 8, 4, BLOCK)
    assert misfit(30_000, 8, 4, blocks, BLOCK) == ""
    said = misfit(30_000, 8, 4, blocks - 1, BLOCK)
    assert f"the uploads alone fill {blocks} blocks of 60,000,000 gas, and the window has {blocks - 1}" in said


def test_a_settle_window_in_which_nobody_could_measure_is_refused() -> None:
    least = settle_needed(5_090, 4, 3, BLOCK)
    assert 10 < least <= 20
    assert misfit(5_090, 4, 3, 20, BLOCK, least) == ""
    said = misfit(5_090, 4, 3, 20, BLOCK, least - 1)
    assert said.startswith(f"a settle window of {least - 1} blocks is too short: data owners need {least} to measure")
    assert settle_needed(5_090, 4, 200, BLOCK) == least  # turns are not waited for without end
    assert settle_needed(5_090, 4, 3, 6_000_000) > least


@pytest.mark.parametrize(("rounds", "size"), [(17, 2), (0, 2), (4, 1), (4, 256)])
def test_rounds_and_groups_that_the_contract_does_not_take(rounds: int, size: int) -> None:
    assert "1 to 16 rounds of 2 to 255" in misfit(100, rounds, size, 100, BLOCK)


def test_gas_grows_with_everything() -> None:
    base = session_gas(1_000, 4, 4)
    assert base.members == 16
    for more in (session_gas(1_250, 4, 4), session_gas(1_000, 5, 4), session_gas(1_000, 4, 5)):
        assert more.total > base.total
    assert session_gas(1_000, 8, 4).by_function["measure"] > 2 * base.by_function["measure"]
    assert session_gas(1_000, 4, 8).by_function["measure"] == base.by_function["measure"]
    assert session_gas(MOST_PARAMETERS, 1, 2).total > 10**8
    with pytest.raises(ValueError, match="0 rounds"):
        session_gas(10, 0, 3)


@pytest.mark.parametrize("rounds", range(1, 17))
@pytest.mark.parametrize("mu_bps", [0, 1000, 2500, 4000])
def test_the_usual_m_is_the_largest_that_the_papers_condition_takes(rounds: int, mu_bps: int) -> None:
    m = usual_m(rounds, mu_bps)
    assert 1 <= m <= max(1, rounds)
    assert not guarantees(M_KRUM, rounds, mu_bps, m + 1)[0]
    if guarantees(M_KRUM, rounds, mu_bps, 1)[0]:
        assert guarantees(M_KRUM, rounds, mu_bps, m)[0]


def test_the_demo_takes_the_baseline_without_attacks_or_certificates() -> None:
    assert DemoOptions(mode="grouped", aggregation="onchain").onchain
    assert not DemoOptions().onchain
    for bad in ({}, {"mode": "grouped", "hostile": True}, {"certificate": "zk"}):
        with pytest.raises(UsageError, match="aggregation onchain"):
            DemoOptions(aggregation="onchain", **bad)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown aggregation"):
        DemoOptions(aggregation="sideways")


@pytest.mark.parametrize(
    ("chain", "owner", "said"),
    [
        ({"onchain": "0x12"}, {}, "40 hex digits"),
        ({}, {"aggregation": "onchain"}, "is missing"),
        ({"onchain": "0x" + "1" * 40}, {"aggregation": "onchain"}, ""),
    ],
)
def test_settings_of_the_baseline(chain: dict[str, str], owner: dict[str, str], said: str) -> None:
    from types import SimpleNamespace

    sections = {name: section() for name, section in SECTIONS.items()}
    sections["node"] = SECTIONS["node"](roles=("model_owner",))
    sections["chain"] = SECTIONS["chain"](chain_id=1, market="0x" + "2" * 40, **chain)
    sections["model_owner"] = SECTIONS["model_owner"](**owner)
    sections["data"] = SECTIONS["data"](path="x.npz")
    found = problem(SimpleNamespace(**sections))  # type: ignore[arg-type]
    assert (found is None) if not said else (found is not None and found[0] == "chain.onchain" and said in found[1])


def test_a_deployment_remembers_the_factory_and_older_files_have_none(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    made = Deployment(b"\x01" * 20, b"\x02" * 20, b"\x03" * 20, {}, 1, 0, {}, b"\x04" * 20)
    made.save(path)
    assert Deployment.load(path) == made
    text = path.read_text()
    path.write_text(text.replace(',\n  "onchain": "' + "0x" + "04" * 20 + '"', ""))
    assert Deployment.load(path).onchain == b""
