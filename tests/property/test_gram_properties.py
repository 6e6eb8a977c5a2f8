"""Gram matrices, projections and distances equal their definitions on any numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protocols.fields import goldilocks as gl
from protocols.fields import oracle
from protocols.fields.goldilocks import HALF, P
from protocols.gram.distances import distances, from_upper, groups_of, upper
from protocols.gram.exact import gram, products
from protocols.gram.projections import project

elements = st.one_of(st.sampled_from([0, 1, HALF, HALF + 1, P - 1, 2**21, 2**43, P - 2**43]), st.integers(0, P - 1))


@st.composite
def batches(draw: st.DrawFn) -> list[list[int]]:
    length = draw(st.integers(0, 12))
    return draw(st.lists(st.lists(elements, min_size=length, max_size=length), min_size=1, max_size=5))


@given(batches(), st.integers(1, 400))
def test_gram_is_the_table_of_inner_products(rows: list[list[int]], repeat: int) -> None:
    vectors = [gl.vector(row * repeat) for row in rows]
    table = [[repeat * oracle.dot(a, b) % P for b in rows] for a in rows]
    assert gram(vectors).tolist() == table
    assert products(vectors[:2], vectors).tolist() == table[:2]


@given(st.lists(st.tuples(elements, st.integers(-1, 1), st.integers(-1, 1)), max_size=50))
def test_projections(columns: list[tuple[int, int, int]]) -> None:
    z = np.array([[c[i] for c in columns] for i in (1, 2)], dtype=np.int8).reshape(2, len(columns))
    expected = [sum(c[0] * c[i] for c in columns) % P for i in (1, 2)]
    assert project(gl.vector(c[0] for c in columns), z).tolist() == expected


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=6))
def test_distances_are_a_metric_squared(groups: list[tuple[int, int, int]]) -> None:
    table = [[a[1] * b[1] + a[2] * b[2] for b in groups] for a in groups]
    d = distances(table, [g[0] for g in groups])
    for r, a in enumerate(groups):
        for s, b in enumerate(groups):
            assert d[r][s] == d[s][r] >= 0
            same_mean = a[1] * b[0] == b[1] * a[0] and a[2] * b[0] == b[2] * a[0]
            assert (d[r][s] == 0) == same_mean
    assert from_upper(len(groups), upper(d)) == d
    assert groups_of(upper(d)) == len(groups)
