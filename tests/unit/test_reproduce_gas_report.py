"""The report's gas sections, from results that are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omninode.reproduce import gas_noise, gas_report
from omninode.reproduce.cells import NOT_RUN, Section
from omninode.reproduce.gas_cells import sections, shapes
from omninode.reproduce.gas_growth import Points, word
from omninode.reproduce.gas_plots import Curve, Panel, panels
from omninode.reproduce.gas_shapes import USUAL, Shape, of_dimensions
from omninode.reproduce.gas_steps import Step, Way

PLOTS = {"figure3.png", "figure6.png", "gas-by-size.png"}


def result(shape: Shape, way: Way) -> dict[str, Any]:
    """The baseline: 1,000 gas per data owner and parameter, Krum R^2; ours: 100,000 per data owner."""
    members = shape.data_owners
    by_step = dict.fromkeys(map(str, Step), 0)
    by_step |= {"Register": 60_000 * members, "Outlier": 1_000_000, "Payment": 40_000 * members}
    if way == Way.ONCHAIN:
        by_step |= {"PubKeyInteract": 1_000 * members, "Aggregate": 1_000 * members * shape.dimension}
        by_step["Outlier"] = 1_000 * shape.rounds**2
    session = sum(by_step.values())
    payers = {"owner": 0, "data_owners": session, "provers": 0}
    gas = {
        "session": session, "by_step": by_step, "data_owner": session / members, "payers": payers,
        "transactions": 10 * members, "calldata": 1234567,
    }  # fmt: skip
    ms = {
        "session": session / 1e6, "by_step": {step: used / 1e6 for step, used in by_step.items()},
        "blocks": {step: 1 if used else 0 for step, used in by_step.items()}, "empty_ms": [3.0] * 8,
    }  # fmt: skip
    return {"rule": "m_krum", "m": 1, "accepted": members, "gas": gas, "ms": ms}


def results(of: list[Shape]) -> dict[str, dict[str, Any]]:
    return {s.name: {"ways": {str(w): result(s, w) for w in Way if w != Way.ONCHAIN or s.dimension < 1e5}} for s in of}


def by_order(made: list[Section]) -> dict[int, str]:
    assert all(section.order == 20 or 100 <= section.order < 200 for section in made)
    return {section.order: section.body for section in made}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    folder = tmp_path_factory.mktemp("plots")
    made = by_order(sections(results(shapes(quick=False)), folder))
    assert {path.name for path in folder.iterdir()} == PLOTS
    assert all(f"]({folder.name}/{name})" in "".join(made.values()) for name in PLOTS)
    return made


def test_nothing_is_missing_from_the_full_report(full: dict[int, str]) -> None:
    assert not any(NOT_RUN in body for body in full.values())


def test_table_1_stands_beside_the_papers(full: dict[int, str]) -> None:
    assert "| Outlier, the paper | 16.65 | 43.57 | 69.18 | 124.02 |" in full[100]
    assert "| Register, grouped | 0.48 | 0.96 | 1.44 | 1.92 |" in full[100]
    assert "| total, the paper | 73.59 | 75.26 | 78.76 | 79.81 |" in full[110]
    assert "m-krum (1), 8 of 8" in full[100]


def test_growth_in_words_that_follow_from_the_numbers(full: dict[int, str]) -> None:
    assert "| Register, on chain | linear | linear (within 0.0%) | linear | linear (within 0.0%) |" in full[120]
    assert "| Outlier, on chain | ~ R^2 | power 2.00 | constant | constant (within 0.0%) |" in full[120]
    assert "0.001 R^2 million gas" in full[120]


def test_ratios_crossing_and_what_cannot_be_run(full: dict[int, str]) -> None:
    assert "| 5,701 | 186 | 4.20 | 4.20 | 44.2 | 44.2 |" in full[130]
    assert "(computed)" in full[130] and "more than the 32,000 that the contract holds" in full[130]
    assert "from about 28 parameters on, and less below" in full[130]


def test_the_whole_session_beside_500_ms(full: dict[int, str]) -> None:
    assert "| the paper | 130.37 | below 500 |  |  |" in full[140]
    assert "| on chain | 184.45 | 185.73 | 320 | 1,234,567 |" in full[140]


def test_the_lines_that_say_most_follow_from_the_numbers(full: dict[int, str]) -> None:
    assert "5,701 parameters: 186 million on chain; 4.20 million grouped, 44.2 times less" in full[20]
    assert "computed: it does not fit on the chain" in full[20]
    assert "Processor time of the chain for a whole session, R = 8: 185.73 ms on chain, 4.20 ms grouped" in full[20]
    assert "95% Outlier" in full[100] and "the order is reversed between Outlier and Aggregate" in full[100]


def noisy(spent: float) -> dict[str, Any]:
    """Empty blocks that take 4 and 6 ms by turns."""
    steps = dict.fromkeys(map(str, Step), 0.0) | {"Register": spent}
    blocks = dict.fromkeys(map(str, Step), 0) | {"Register": 2}
    return {"ms": {"session": spent, "by_step": steps, "blocks": blocks, "empty_ms": [4.0, 6.0] * 8}}


def test_a_time_below_its_noise_is_only_said_to_be_little() -> None:
    assert gas_noise.deviation(noisy(1.0)) == pytest.approx(2**0.5)
    least = gas_noise.noise(noisy(1.0), [Step.REGISTER])
    assert least == pytest.approx(4 * gas_noise.deviation(noisy(1.0)))
    assert gas_noise.told(noisy(least * 2), [Step.REGISTER]) == f"{least * 2:.2f}"
    assert gas_noise.told(noisy(least / 2), [Step.REGISTER]) == f"< {least:.2g}"
    assert gas_noise.told(noisy(-1.0), [Step.REGISTER]).startswith("<") and not gas_noise.heard(noisy(-1.0))
    assert gas_noise.told(noisy(1.0), [Step.PAYMENT]) == "0"


def test_what_is_lost_in_noise_is_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Panel] = []
    monkeypatch.setattr(gas_report, "panels", lambda path, title, made: drawn.extend(made))
    some = results(shapes(quick=False))
    for each in some.values():
        each["ways"]["grouped"]["ms"]["empty_ms"] = [1.0, 99.0] * 4
    made = by_order(sections(some, tmp_path))
    times = {curve.label: curve for curve in drawn[2].curves}
    assert times["grouped"].x == [] and len(times["verified"].x) == len(times["on chain"].x) == 4
    assert "| Register, grouped | < " in made[100] and "Noise can be larger" not in made[150]
    some["gas-r8-n4-d5701"]["ways"]["verified"]["ms"]["session"] = 0.5
    made = by_order(sections(some, tmp_path))
    assert "a session verified took 2.90 ms less at R = 8 than at R = 6, with more gas" in made[150]


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gas_report, "panels", lambda path, title, drawn: path.write_bytes(b""))


def test_a_picture_without_a_point(tmp_path: Path) -> None:
    panels(tmp_path / "none.png", "none", [Panel("none", "x", "y", [Curve("none", [], [], 0)])])
    assert (tmp_path / "none.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.usefixtures("no_pictures")
def test_without_results_every_place_says_so(tmp_path: Path) -> None:
    made = by_order(sections({}, tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == PLOTS
    assert all(NOT_RUN in made[order] for order in (20, 100, 110, 120, 130, 140))


@pytest.mark.usefixtures("no_pictures")
def test_the_quick_run_has_its_own_sizes(tmp_path: Path) -> None:
    some = results(shapes(quick=True))
    assert of_dimensions(some)[0].rounds == 2 and of_dimensions({})[0].rounds == USUAL.rounds
    made = by_order(sections(some, tmp_path))
    assert "| 250 |" in made[130] and "parameters on, and less below" in made[130]


def test_words() -> None:
    assert word(Points([1, 2], [1, 2])) == NOT_RUN
    assert word(Points([1, 2, 3], [5, 5.1, 5])).startswith("constant")
    assert word(Points([1, 2, 3], [5, 6, 7])).startswith("linear")
    assert word(Points([1, 2, 3], [1, 8, 27])) == "power 3.00"
