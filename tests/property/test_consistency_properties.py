"""Verdicts by definition: the smallest number of shares to change, found by trying all polynomials."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from protocols.fields import oracle
from protocols.fields.goldilocks import P
from protocols.sharing.consistency import Status, Verdict, check

few = st.sampled_from([0, 1, 2, 5, P - 1])


def by_definition(openings: dict[int, int], degree: int) -> Verdict:
    points = sorted(openings)
    for nodes in combinations(points, degree + 1):
        values = [openings[x] for x in nodes]
        wrong = tuple(x for x in points if oracle.interpolate(nodes, values, x) != openings[x])
        if len(wrong) <= degree and len(points) - len(wrong) > 2 * degree:
            return Verdict(Status.OUTLIERS, wrong) if wrong else Verdict(Status.CONSISTENT)
    return Verdict(Status.INCONSISTENT)


@given(st.sampled_from([(3, 1), (4, 1), (5, 1), (5, 2), (6, 2), (7, 2), (8, 2)]), st.data())
def test_any_openings(committee: tuple[int, int], data: st.DataObject) -> None:
    n, t = committee
    line = data.draw(st.tuples(few, few))
    values = {x: (line[0] + line[1] * x) % P for x in range(1, n + 1)}
    changed = data.draw(st.dictionaries(st.integers(1, n), few, max_size=4))
    assert check(values | changed, t) == by_definition(values | changed, t)
