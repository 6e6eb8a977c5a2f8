"""Gas and time of the reproduction: steps, terms, sums, fits, cells."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import loader
from omninode.chain.transaction import Receipt
from omninode.reproduce import gas_paper as paper
from omninode.reproduce.cells import Options
from omninode.reproduce.gas_cells import cells, shapes
from omninode.reproduce.gas_fit import Polyline, exponent, line
from omninode.reproduce.gas_result import gas_of, time_of
from omninode.reproduce.gas_shapes import USUAL, Shape, by_dimension, by_group_size, by_rounds
from omninode.reproduce.gas_steps import STATES, Step, Way, step_of
from omninode.reproduce.gas_terms import grouped, most_picks, terms_of, verified
from omninode.reproduce.stage.blocks import Gas, Sent
from protocols.onchain.limits import MOST_PARAMETERS
from protocols.onchain.params import State
from protocols.sessions.limits import check_params
from protocols.sessions.params import Bitmap, Phase, Rule

OWNER, DATA_OWNER, PROVER = (bytes([k]) * 20 for k in (1, 2, 3))


def functions(name: str) -> set[str]:
    """What a transaction can call."""
    abi = loader.load(name).abi
    return {entry["name"] for entry in abi if entry["type"] == "function" and "view" not in entry["stateMutability"]}


@pytest.mark.parametrize("way", [Way.GROUPED, Way.VERIFIED])
def test_every_function_of_the_market_belongs_to_a_step(way: Way) -> None:
    pure = {"select"}
    for call in functions("DataMarket") - pure - {"poke", "postBitmap"}:
        assert step_of(way, call) in Step
    assert {step_of(way, "postBitmap", (kind, 1)) for kind in Bitmap} == {Step.KEYS, Step.AGGREGATE, Step.OUTLIER}
    assert all(step_of(way, "poke", (), phase) in Step for phase in Phase if phase != Phase.NONE)


def test_every_function_of_the_baseline_belongs_to_a_step() -> None:
    by_the_factory = {"open"}
    calls = functions("SecModelUpdate") - by_the_factory | functions("SecModelUpdates") - {"quote"}
    for call in calls - {"poke"}:
        assert step_of(Way.ONCHAIN, call) in Step
    assert len(STATES) == len(State)
    assert step_of(Way.ONCHAIN, "poke", (), State.MODEL_AGGREGATE) == Step.AGGREGATE


@pytest.mark.parametrize("way", Way)
def test_what_is_in_no_table_is_said(way: Way) -> None:
    with pytest.raises(ValueError, match=r"sweep of a session .* belongs to no step"):
        step_of(way, "sweep")


def test_all_terms_may_be_created() -> None:
    for shape in shapes(quick=False) + shapes(quick=True):
        for way in (Way.GROUPED, Way.VERIFIED):
            check_params(terms_of(way, shape.rounds, shape.group_size, shape.dimension))
    with pytest.raises(ValueError, match="its own"):
        terms_of(Way.ONCHAIN, 2, 2, 250)


def test_the_rule_is_m_krum_where_it_can_be() -> None:
    assert [most_picks(rounds) for rounds in paper.ROUNDS] == [0, 1, 3, 4]
    assert [grouped(rounds, 4, 5701).rule for rounds in paper.ROUNDS] == [Rule.NONE, *[Rule.M_KRUM] * 3]
    assert grouped(4, 2, 5701).rule == Rule.NONE  # would accept two data owners
    assert verified(8, 4, 5701).groups == 32


def gas(*sent: Sent, used: int = 100, block_ms: float = 3.0) -> Gas:
    """All in block 0."""
    made = Gas(milliseconds={0: block_ms + 1.0}, empty_ms={0: 1.0})
    for number, each in enumerate(sent):
        made.add(each, Receipt(b"", 1, used * (number + 1), 1, ok=number != 1), 0)
    return made


def test_what_a_session_cost() -> None:
    made = gas(
        Sent("createSession", (), OWNER, 10, "0x1"), Sent("register", (), DATA_OWNER, 20, "0x2"),
        Sent("postBitmap", (1, 3), PROVER, 30, "0x3"),
    )  # fmt: skip
    found = gas_of(Way.GROUPED, made, OWNER, [DATA_OWNER])
    assert found["session"] == 600 == sum(found["by_step"].values()) == sum(found["payers"].values())
    assert found["payers"] == {"owner": 100, "data_owners": 200, "provers": 300}
    assert (found["data_owner"], found["calldata"], found["transactions"], found["reverted"]) == (200, 60, 3, 1)
    assert found["by_call"]["register"] == {"calls": 1, "gas": 200, "least": 200, "most": 200}
    spent = time_of(Way.GROUPED, made)
    assert spent["by_step"][Step.AGGREGATE] == pytest.approx(1.5) and spent["session"] == pytest.approx(3.0)


def test_an_empty_block_is_the_median_of_those_around() -> None:
    made = Gas(milliseconds=dict.fromkeys(range(7), 10.0), empty_ms={k: 1.0 + k for k in range(6)} | {6: 99.0})
    for block in range(7):
        made.add(Sent("claim", (), OWNER, 4, "0x1"), Receipt(b"", 1, 5, 1, ok=True), block)
    assert made.times() == [8.0, 7.5, 7.0, 6.0, 5.0, 4.5, 4.0]


def test_gas_that_belongs_nowhere_is_no_result() -> None:
    with pytest.raises(ValueError, match="no step"):
        gas_of(Way.VERIFIED, gas(Sent("sweep", (), OWNER, 1, "0x1")), OWNER, [DATA_OWNER])
    made = gas(Sent("register", (), DATA_OWNER, 20, "0x2"))
    made.milliseconds.clear()
    with pytest.raises(KeyError):
        time_of(Way.GROUPED, made)


@given(base=st.floats(1, 1e6), slope=st.floats(0.01, 1e5))
@settings(max_examples=30)
def test_a_line_is_found(base: float, slope: float) -> None:
    x = [2.0, 4.0, 6.0, 8.0]
    found = line(x, [base + slope * at for at in x])
    assert found.worst < 1e-6
    assert found.base + 100 * found.slope == pytest.approx(base + 100 * slope, rel=1e-4)


@given(
    steps=st.lists(st.tuples(st.floats(0.1, 100), st.floats(0.1, 1e6)), min_size=2, max_size=6), x=st.floats(0.01, 900)
)
@settings(max_examples=50)
def test_a_polyline_goes_through_its_points_and_back(steps: list[tuple[float, float]], x: float) -> None:
    xs, ys = (tuple(accumulate(column)) for column in zip(*steps, strict=True))
    through = Polyline(xs, ys)
    assert [through.at(each) for each in xs] == pytest.approx(list(ys))
    assert through.reaches(through.at(x)) == pytest.approx(x, rel=1e-5, abs=1e-4)


def test_beyond_its_ends_a_polyline_goes_straight_on() -> None:
    through = Polyline((10, 20, 40), (100, 110, 150))
    assert (through.at(0), through.at(30), through.at(50)) == (90, 130, 170)
    assert (through.reaches(95), through.reaches(170)) == (5, 50)
    assert through.reaches(80) is None and Polyline((1, 2), (5, 5)).reaches(6) is None


@pytest.mark.parametrize("points", [((1,), (1,)), ((2, 1), (1, 2)), ((1, 1), (1, 2)), ((1, 2, 3), (1, 2))])
def test_no_polyline_without_two_points_in_order(points: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="two points"):
        Polyline(*points)


@pytest.mark.parametrize("fit", [line, exponent])
def test_no_fit_through_one_point(fit: Callable[[list[float], list[float]], object]) -> None:
    with pytest.raises(ValueError, match="two points"):
        fit([1], [1])


@given(power=st.floats(-1, 3))
@settings(max_examples=20)
def test_a_power_is_found(power: float) -> None:
    assert exponent([2, 4, 6, 8], [7 * at**power for at in (2, 4, 6, 8)]) == pytest.approx(power, abs=1e-9)


def test_cells() -> None:
    full, quick = (cells(Options(Path(), "", quick, (0,))) for quick in (False, True))
    assert len({cell.name for cell in full}) == len(full) == len(shapes(quick=False))
    assert {shape.name for shape in (*by_rounds(), *by_group_size(), *by_dimension())} == {c.name for c in full}
    for cell in full + quick:
        assert cell.group == "gas" and cell.alone
        assert (str(Way.ONCHAIN) in cell.arguments["ways"]) == (cell.arguments["dimension"] <= MOST_PARAMETERS)
    assert sum(cell.cost for cell in quick) < 90 and sum(cell.cost for cell in full) < 20 * 60
    assert Shape(8, 4, 5701) == USUAL and USUAL.data_owners == 32


def test_the_papers_table_adds_up() -> None:
    sums = [sum(column) for column in zip(*paper.BY_ROUNDS_MS.values(), strict=True)]
    assert sums[:3] == pytest.approx(paper.TOTAL_BY_ROUNDS_MS[:3], abs=0.011)
    assert sums[3] == pytest.approx(129.97)  # printed: 130.37
    assert paper.TOTAL_BY_GROUP_SIZE_MS[1] == paper.TOTAL_BY_ROUNDS_MS[2]  # N = 4, R = 6
