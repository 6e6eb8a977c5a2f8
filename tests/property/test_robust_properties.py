"""Any error pattern within the bound is corrected, at any point; beyond it: Undecodable, or another codeword."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from protocols.fields import goldilocks as gl
from protocols.fields import oracle
from protocols.fields.goldilocks import P
from protocols.sharing.robust import Undecodable, decode, decode_values

committees = st.sampled_from([(4, 1), (5, 1), (7, 1), (9, 2), (13, 3), (3, 0)])


@st.composite
def damaged(draw: st.DrawFn) -> tuple[int, list[int], list[list[int]], list[list[int]], set[int]]:
    """(degree, points, polynomials, shares with errors, wrong points): as many per coordinate as can be corrected."""
    n, t = draw(committees)
    points = draw(st.permutations(range(1, n + 1)))[: draw(st.integers(t + 1, n))]
    length = draw(st.integers(1, 6))
    polynomials = [draw(st.lists(st.integers(0, P - 1), min_size=t + 1, max_size=t + 1)) for _ in range(length)]
    shares = [[oracle.evaluate(f, x) for f in polynomials] for x in points]
    wrong: set[int] = set()
    for j in range(length):
        places = draw(st.permutations(range(len(points))))[: draw(st.integers(0, (len(points) - t - 1) // 2))]
        for i in places:
            shares[i][j] = (shares[i][j] + draw(st.integers(1, P - 1))) % P
            wrong.add(points[i])
    return t, points, polynomials, shares, wrong


@given(damaged(), st.integers(0, 14))
def test_corrects_and_names(case: tuple[int, list[int], list[list[int]], list[list[int]], set[int]], at: int) -> None:
    degree, points, polynomials, shares, wrong = case
    decoded = decode(points, [gl.vector(row) for row in shares], degree, at)
    assert decoded.values.tolist() == [oracle.evaluate(f, at) for f in polynomials]
    assert decoded.error_points == tuple(sorted(wrong))


@given(st.lists(st.sampled_from([0, 1, 2, P - 1]), min_size=2, max_size=7), st.integers(0, 2))
def test_any_word_as_exhaustive_search_says(word: list[int], degree: int) -> None:
    points = list(range(1, len(word) + 1))
    bound = (len(word) - degree - 1) // 2
    found = set()
    if len(word) > degree:
        for nodes in combinations(range(len(word)), degree + 1):
            chosen = [points[i] for i in nodes]
            values = [oracle.interpolate(chosen, [word[i] for i in nodes], x) for x in (0, *points)]
            wrong = tuple(x for x, a, b in zip(points, values[1:], word, strict=True) if a != b)
            if len(wrong) <= bound:
                found.add((values[0], wrong))
    try:
        (value,), wrong = decode_values(points, [[w] for w in word], degree)
        assert found == {(value, wrong)}
    except Undecodable:
        assert not found
