"""The published rule: integers, slow, never 0, and in the hand of nobody who is in the minority."""

from __future__ import annotations

import ast
import inspect
from math import isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.gram.distances import distances
from protocols.selection import tuning
from protocols.selection.tuning import UNIT, Outcome, lower_median, next_rate, next_terms, score_share, spread

LARGE = 1 << 60
B = 100 << 16
FLOOR = 64  # 2^(16 - 10)


def of_norms(*lengths: int, most: int = LARGE) -> Outcome:
    return Outcome(len(lengths), len(lengths), most, norms=tuple(length**2 for length in lengths))


def of_scores(*shares: float) -> Outcome:
    """Scores as shares of B^2."""
    return Outcome(len(shares), len(shares), LARGE, scores=tuple(int(share * B * B) for share in shares))


def of_groups(means: list[list[int]], sizes: list[int]) -> Outcome:
    """Groups with these means (integers), exactly as the provers compute it: from the sums."""
    sums = [[size * x for x in mean] for mean, size in zip(means, sizes, strict=True)]
    gram = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in sums] for a in sums]
    apart = tuple(map(tuple, distances(gram, sizes)))
    return Outcome(sum(sizes), sum(sizes), LARGE, distances=apart, sizes=tuple(sizes))


outcomes = st.one_of(
    st.lists(st.integers(0, 2 * B), min_size=1, max_size=20).map(lambda lengths: of_norms(*lengths)),
    st.lists(st.floats(-1, 1), min_size=1, max_size=20).map(lambda shares: of_scores(*shares)),
    st.lists(st.tuples(st.integers(-B, B), st.integers(1, 9)), min_size=1, max_size=12).map(
        lambda groups: of_groups([[x] for x, _ in groups], [n for _, n in groups])
    ),
    st.integers(0, 9).map(lambda accepted: Outcome(9, accepted, LARGE)),
)


# -- each statistic -------------------------------------------------------------------------------------------------


def test_norms_give_three_halves_of_their_lower_median() -> None:
    lengths = [B // 2, B * 3 // 4, B // 2 + 2, 1]
    assert next_terms(B, UNIT, 16, of_norms(*lengths))[0] == (B // 2) * 3 // 2


def test_a_norm_above_the_bound_counts_as_the_bound() -> None:
    """Under a rule on distances norms are opened, not proved to be small; honest ones are clipped."""
    assert next_terms(B, UNIT, 16, of_norms(*[9 * B] * 5))[0] == B * 5 // 4


def test_groups_of_any_sizes_give_the_spread_of_single_updates() -> None:
    """Means at +-sigma/sqrt(n) in directions of their own: each pair is at its expected distance."""
    sizes = [2, 3, 4, 6]
    means = [[0] * 4 for _ in sizes]
    for r, n in enumerate(sizes):
        means[r][r] = isqrt(10**12 // n)
    outcome = of_groups(means, sizes)
    assert abs(spread(outcome.distances, outcome.sizes) - 10**6) <= 2
    assert abs(next_terms(1_400_000, UNIT, 16, outcome)[0] - 1_500_000) <= 3


def test_scores_steer_the_bound_from_three_quarters_to_five() -> None:
    known = {1.0: 5 / 4, 0.5: 5 / 4, 0.25: 1.0, 0.0: 3 / 4, -1.0: 3 / 4, 0.125: 7 / 8}
    for share, factor in known.items():
        assert next_terms(B, UNIT, 16, of_scores(*[share] * 5))[0] == pytest.approx(B * factor, abs=200)
    assert score_share([B * B, 0, 0, B * B], B) == 0


def test_nothing_public_or_nothing_accepted_leaves_the_bound() -> None:
    assert next_terms(B, UNIT, 16, Outcome(5, 5, LARGE)) == (B, UNIT)
    one_group = of_groups([[7]], [5])
    assert one_group.kind == "nothing"
    assert next_terms(B, UNIT, 16, one_group) == (B, UNIT)
    assert next_terms(B, 7, 16, Outcome(5, 0, LARGE, norms=(1,) * 5)) == (B, 7)


def test_the_rate_goes_to_one_unless_most_are_refused() -> None:
    assert next_rate(UNIT, 8, 16) == UNIT
    assert next_rate(UNIT, 4, 16) == UNIT - UNIT // 8
    assert next_rate(2 * UNIT, 16, 16) == 2 * UNIT - UNIT // 4
    assert next_rate(16 * UNIT, 16, 16) == 2 * UNIT
    assert next_rate(1, 16, 16) == UNIT // 4
    rate = UNIT
    for _ in range(50):
        rate = next_rate(rate, 1, 100)
    assert rate == UNIT // 4
    for _ in range(20):
        rate = next_rate(rate, 100, 100)
    assert rate > UNIT * 99 // 100


# -- whatever happens -----------------------------------------------------------------------------------------------


@given(outcomes, st.integers(1, 1 << 40), st.integers(1, 16 * UNIT), st.integers(0, 40))
def test_terms_are_integers_within_bounds_and_the_same_for_everybody(
    outcome: Outcome, bound: int, rate: int, frac_bits: int
) -> None:
    following, faster = next_terms(bound, rate, frac_bits, outcome)
    assert (following, faster) == next_terms(bound, rate, frac_bits, outcome)
    assert type(following) is type(faster) is int
    floor = max(tuning.LEAST_BOUND, 1 << max(0, frac_bits - 10))
    assert min(bound, bound // 2 or 1) <= following <= max(bound * 5 // 4, floor)
    if outcome.accepted:
        assert UNIT // 4 <= faster <= 2 * UNIT
        assert following == bound or following >= floor
    else:
        assert (following, faster) == (bound, rate)


def test_there_is_no_float_in_it() -> None:
    """One rounding apart, and honest people would call each other liars."""
    for node in ast.walk(ast.parse(inspect.getsource(tuning))):
        assert not isinstance(node, ast.Div)
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not (isinstance(node, ast.Name) and node.id in ("float", "round"))


@given(st.lists(st.integers(0, B), min_size=1, max_size=12), st.data())
def test_longer_updates_never_give_a_smaller_bound(lengths: list[int], data: st.DataObject) -> None:
    more = [length + data.draw(st.integers(0, B)) for length in lengths]
    assert next_terms(B, UNIT, 16, of_norms(*lengths))[0] <= next_terms(B, UNIT, 16, of_norms(*more))[0]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.floats(0, 1))
def test_better_scores_never_give_a_smaller_bound(shares: list[float], extra: float) -> None:
    assert next_terms(B, UNIT, 16, of_scores(*shares))[0] <= next_terms(
        B, UNIT, 16, of_scores(*[share + extra for share in shares])
    )[0]  # fmt: skip


@pytest.mark.parametrize("most", [1, 20, B // 3, B])
def test_it_never_exceeds_what_the_session_could_prove(most: int) -> None:
    assert next_terms(B, UNIT, 16, of_norms(*[B] * 5, most=most))[0] == most


# -- attackers ------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, B), min_size=1, max_size=12), st.data())
def test_a_minority_cannot_move_norms_out_of_the_honest_range(honest: list[int], data: st.DataObject) -> None:
    bad = data.draw(st.lists(st.integers(0, 9 * B), max_size=len(honest) - 1))
    assert min(honest) <= lower_median([*honest, *bad]) <= max(honest)
    low, high = (next_terms(B, UNIT, 16, of_norms(pick(honest)))[0] for pick in (min, max))
    assert low <= next_terms(B, UNIT, 16, of_norms(*honest, *bad))[0] <= high


@given(st.lists(st.integers(-B, B), min_size=2, max_size=8), st.data())
def test_a_minority_of_groups_cannot_move_the_spread(honest: list[int], data: st.DataObject) -> None:
    """Between the least and the largest distance of two honest groups, wherever the others are."""
    count = len(honest)
    bad = data.draw(st.lists(st.integers(-(2**40), 2**40), max_size=count - 2))
    outcome = of_groups([[x] for x in [*honest, *bad]], [3] * (count + len(bad)))
    apart = [abs(a - b) for i, a in enumerate(honest) for b in honest[:i]]
    sigma = spread(outcome.distances, outcome.sizes)
    assert isqrt(min(apart) ** 2 * 3 // 2) <= sigma <= isqrt(max(apart) ** 2 * 3 // 2)


def test_four_identities_of_sixteen_cannot_pump_the_bound() -> None:
    """One update at the bound under four names made the owner's rule with factor 1.5 grow without end (``bound``)."""
    bound = B
    for session in range(20):
        honest = [B // (session + 2)] * 12
        bound, _ = next_terms(bound, UNIT, 16, of_norms(*honest, *[bound] * 4))
    assert bound == (B // 21) * 3 // 2
    bound = B
    for _ in range(20):
        shares = [0.1] * 12 + [1.0] * 4
        bound, _ = next_terms(bound, UNIT, 16, Outcome(16, 16, LARGE, scores=tuple(int(s * bound**2) for s in shares)))
    assert bound < B // 10


def test_one_liar_in_every_group_of_three_cannot_pump_it() -> None:
    """Liars at the bound in directions of their own, all others at 0: the spread is B/sqrt(3), 3/2 of it below B."""
    bound = B
    for _ in range(10):
        means = [[bound // 3 if r == s else 0 for s in range(5)] for r in range(5)]
        following, _ = next_terms(bound, UNIT, 16, of_groups(means, [3] * 5))
        assert following < bound
        bound = following


@pytest.mark.parametrize(("size", "growth"), [(3, 1.2247), (4, 1.0607), (5, 0.9487)])
def test_liars_in_every_group_half_against_half_pump_small_groups_only(size: int, growth: float) -> None:
    """What docs/tuning.md admits; the cap of 5/4 holds all the same."""
    sizes = [size] * 4
    means = [[B // size * side] for side in (1, -1, 1, -1)]
    assert next_terms(B, UNIT, 16, of_groups(means, sizes))[0] == pytest.approx(growth * B, rel=1e-3)


def test_even_a_majority_moves_it_slowly() -> None:
    bound = B
    for _ in range(10):
        bound, _ = next_terms(bound, UNIT, 16, of_norms(*[bound] * 16))
    assert bound <= B * 10  # 1.25^10 = 9.3
    for _ in range(100):
        bound, _ = next_terms(bound, UNIT, 16, of_norms(*[0] * 16))
    assert bound == FLOOR


# -- nonsense -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bound", "rate", "bits"), [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_terms_that_cannot_be_are_refused(bound: int, rate: int, bits: int) -> None:
    with pytest.raises(ValueError, match="no terms"):
        next_terms(bound, rate, bits, of_norms(1))


@pytest.mark.parametrize(
    "fields",
    [
        {"accepted": 6}, {"accepted": -1}, {"largest": 0}, {"sizes": (1, 2)}, {"distances": ((0,),)},
        {"distances": ((0, 1), (1, 0)), "sizes": (3, 0)}, {"distances": ((0, -1), (-1, 0)), "sizes": (3, 3)},
    ],
)  # fmt: skip
def test_outcomes_that_cannot_be_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"outcome|distances|size"):
        Outcome(**{"valid": 5, "accepted": 5, "largest": 9, **fields})  # type: ignore[arg-type]
