"""docs/proofs.md and the code of certificate zk say the same: layouts, sizes, names of checks, error terms."""

from __future__ import annotations

import math
import re

import pytest

from omninode.learning.precision import largest_bound, rows
from omninode.srs.files import powers_for
from protocols.bn254.field import R
from protocols.zk.errors import Check
from protocols.zk.opening import steps_of
from protocols.zk.params import MOST_RECORDS, NB_G, NB_M, NB_S, Statement, choose
from protocols.zk.record import EVALUATIONS, EVALUATIONS_NORMS, record_bytes
from protocols.zk.statement import VALUE_BYTES, evaluation_count, value_count
from tests.unit.test_docs import page
from tests.unit.test_docs import rows as table_rows

PAGE = page("proofs.md")
ROWS = table_rows(PAGE)


def row(start: str) -> list[str]:
    return next(cells for cells in ROWS if cells[0].startswith(start))


@pytest.mark.parametrize(("column", "norms", "scalars"), [(1, False, EVALUATIONS), (3, True, EVALUATIONS_NORMS)])
def test_parts_of_a_record_follow_one_another(column: int, norms: bool, scalars: int) -> None:
    first = next(i for i, cells in enumerate(ROWS) if cells[0] == "address")
    at = 0
    for cells in ROWS[first : first + 10]:
        length, place = cells[column], cells[column + 1]
        if length == "-":
            continue
        assert int(place) == at, cells
        times, _, size = length.split(":")[0].rpartition(" x ")
        at += sum(int(part) for part in size.split(",")) * int(times or 1)
    assert at == record_bytes(norms)
    assert f"{scalars} x 32" in row("values at z (and")[column]


@pytest.mark.parametrize(("column", "statement"), [(1, Statement.GRAM), (3, Statement.SCORE)])
def test_parts_of_a_proof(column: int, statement: Statement) -> None:
    size = 32 * (8 + evaluation_count(statement))
    assert f"`{statement.name}`: {size} bytes" in PAGE
    values = next(cells for cells in ROWS if cells[0] == "values")
    assert values[column].startswith(f"{evaluation_count(statement)} x 32")
    assert int(row("W, W2")[2]) == record_bytes(False) - 128 and f"| 64, 64 | {size - 128} |" in PAGE


@pytest.mark.parametrize(("column", "statement"), [(1, Statement.GRAM), (2, Statement.SCORE), (3, Statement.NONE)])
def test_bytes_of_the_largest_batch(column: int, statement: Statement) -> None:
    records = MOST_RECORDS + (statement is Statement.SCORE)
    proof = 0 if statement is Statement.NONE else 32 * (8 + evaluation_count(statement))
    values = VALUE_BYTES * value_count(statement, MOST_RECORDS)
    total = record_bytes(statement is not Statement.GRAM) * records + values + proof
    assert row(f"in all, K = {MOST_RECORDS}")[column] == f"{total:,}"


def test_checks_are_named_in_their_order() -> None:
    named = [cells[0].strip("`") for cells in ROWS if re.match(r"`Bad", cells[1] if len(cells) > 1 else "")]
    assert set(named) == {str(check) for check in Check}
    order = [named.index(name) for name in ("shape", "order", "scalar", "range-identity", "norm", "statement-identity")]
    assert order == sorted(order) and named[-2:] == ["point", "pairing"]


def test_openings_are_those_of_the_code() -> None:
    steps = {f"`zk-{step.name}`": step for step in steps_of(Statement.SCORE, 3, 1)}
    found = {cells[0]: cells[2] for cells in ROWS if cells[0] in steps}
    assert found == {name: "2t" if step.degree == 2 else "t" for name, step in steps.items()}


def test_blinders() -> None:
    start = next(i for i, cells in enumerate(ROWS) if cells[0] == "polynomial")
    assert [int(re.match(r"\d", cells[2])[0]) for cells in ROWS[start + 1 : start + 5]] == [NB_M, NB_S, NB_G, NB_S]  # type: ignore[index]


@pytest.mark.parametrize("log_size", [13, 17, 20])
def test_sizes_of_strings(log_size: int) -> None:
    size = 1 << log_size
    cells = next(cells for cells in ROWS if cells[0] == f"up to {size:,}; 2^{log_size - 1}")
    assert cells[1:3] == [f"2^{log_size}", f"{powers_for(size):,}"] and cells[4] == str(log_size + 1)
    assert rows(size) == size and largest_bound(size) == (1 << log_size - 1) - 1
    assert choose(size, largest_bound(size)).size == size


def test_error_terms() -> None:
    sizes = [1 << 13, 1 << 17, 1 << 20]
    terms = {
        "alpha": [3 * n for n in sizes],
        "z, record": [5 * n + 13 for n in sizes],
        "z, committee": [4 * n + 14 for n in sizes],
    }
    for name, numbers in terms.items():
        assert row(name)[3:6] == [f"2^{math.log2(k / R):.1f}" for k in numbers]
    for tries in (60, 80, 100):
        worst = [tries + math.log2(1.14 * (5 * n + 13) / R) for n in sizes]
        assert row(f"2^{tries}")[1:] == [f"2^{w:.0f}" for w in worst]
