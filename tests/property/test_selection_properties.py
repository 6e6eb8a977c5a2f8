"""The rules against a second, naive reading of the same words, and against what they must never do."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.gram.distances import from_upper
from protocols.selection.rules import BPS, M_KRUM, MULTI_KRUM, NONE, OUTLIER, select
from protocols.sessions.limits import check_params
from protocols.sessions.params import Mode, Rule
from tests.simulation.session import small_params

values = st.one_of(st.integers(0, 3), st.integers(0, 2**140))
Case = tuple[list[list[int]], int, int, int, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    passed = draw(st.integers(1, 16))
    created = draw(st.integers(passed, 16))
    count = passed * (passed - 1) // 2
    flat = draw(st.lists(values, min_size=count, max_size=count))
    return from_upper(passed, flat), created, passed, draw(st.integers(0, BPS - 1)), draw(st.integers(0, 17))


def naive_score(d: list[list[int]], r: int, among: list[int], count: int) -> int:
    others = [d[r][s] for s in among if s != r]
    total = 0
    for _ in range(min(count, len(others))):
        least = min(others)
        others.remove(least)
        total += least
    return total


def naive(rule: int, d: list[list[int]], created: int, passed: int, mu_bps: int, m: int) -> list[int] | None:
    everybody = list(range(passed))
    if rule == NONE:
        return everybody
    f = mu_bps * created // BPS - created + passed
    f = 0 if f < 0 else f
    if passed < f + 3:
        return None
    if rule == M_KRUM:
        kept: list[int] = []
        while len(kept) < m and len(kept) < passed - f - 2:
            rest = [r for r in everybody if r not in kept]
            ranked = [(naive_score(d, r, rest, max(1, len(rest) - f - 2)), r) for r in rest]
            kept.append(min(ranked)[1])
        return sorted(kept) or None
    score = [naive_score(d, r, everybody, passed - f - 2) for r in everybody]
    best_first = sorted(everybody, key=lambda r: (score[r], r))
    if rule == MULTI_KRUM:
        return sorted(best_first[: passed - f])
    median = score[best_first[(passed - 1) // 2]]
    keep = list(best_first)
    for _ in range(f):
        if 4 * score[keep[-1]] > 9 * median:
            keep.pop()
    return sorted(keep)


@settings(max_examples=150)
@given(st.sampled_from([NONE, OUTLIER, MULTI_KRUM, M_KRUM]), cases())
def test_same_as_the_naive_reading(rule: int, case: Case) -> None:
    expected = naive(rule, *case)
    assert select(rule, *case) == (None if expected is None else tuple(expected))


@given(st.sampled_from([OUTLIER, MULTI_KRUM, M_KRUM]), cases())
def test_never_empty_and_never_too_many(rule: int, case: Case) -> None:
    _, created, passed, mu_bps, m = case
    kept = select(rule, *case)
    if kept is None:
        return
    f = max(0, mu_bps * created // BPS - (created - passed))
    assert kept
    assert list(kept) == sorted(set(kept))
    assert kept[-1] < passed
    if rule == OUTLIER:
        assert len(kept) >= passed - f
    elif rule == MULTI_KRUM:
        assert len(kept) == passed - f
    else:
        assert len(kept) == min(m, passed - f - 2)


@given(st.sampled_from([NONE, OUTLIER, MULTI_KRUM, M_KRUM]), cases())
def test_what_can_be_created_has_an_output_when_all_pass(rule: int, case: Case) -> None:
    """In both modes: groups that passed, or as many data owners."""
    matrix, _, passed, mu_bps, m = case
    for shape in ({"group_size": 3}, {"mode": Mode.VERIFIED, "group_size": 1, "public_sums": False}):
        try:
            check_params(small_params(groups=passed, rule=Rule(rule), mu_bps=mu_bps, m_krum=m, **shape))
        except ValueError:
            continue
        assert select(rule, matrix, passed, passed, mu_bps, m) is not None


@given(st.sampled_from([OUTLIER, MULTI_KRUM, M_KRUM]), cases(), st.integers(1, 2**60))
def test_scale_does_not_matter(rule: int, case: Case, factor: int) -> None:
    """Distances carry the factor L^2: the outcome must not depend on it."""
    matrix, *rest = case
    scaled = [[factor * d for d in row] for row in matrix]
    assert select(rule, scaled, *rest) == select(rule, matrix, *rest)
