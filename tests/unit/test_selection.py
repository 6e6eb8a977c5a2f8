"""The selection rules by example: worked cases, every tie, every bound at which there is no output."""

from __future__ import annotations

import pytest

from protocols.gram.distances import from_upper
from protocols.selection.rules import M_KRUM, MULTI_KRUM, NONE, OUTLIER, guarantees, select

KRUMS = (OUTLIER, MULTI_KRUM, M_KRUM)


def on_a_line(*places: int) -> list[list[int]]:
    """Squared distances of points on a line."""
    return [[(a - b) ** 2 for b in places] for a in places]


def run(rule: int, matrix: list[list[int]], mu_bps: int = 2500, created: int | None = None, m: int = 1) -> object:
    return select(rule, matrix, len(matrix) if created is None else created, len(matrix), mu_bps, m)


def test_numbers_are_those_of_the_session_parameters() -> None:
    from protocols.sessions.params import Rule

    assert tuple(rule for rule in Rule if rule != Rule.TRUST) == (NONE, OUTLIER, MULTI_KRUM, M_KRUM)


@pytest.mark.parametrize("count", [1, 2, 16, 40])
def test_none_keeps_all(count: int) -> None:
    assert run(NONE, on_a_line(*range(count))) == tuple(range(count))


@pytest.mark.parametrize("rule", [NONE, *KRUMS])
def test_no_group_no_output(rule: int) -> None:
    assert select(rule, [], 4, 0, 2500, 1) is None


def test_outlier_drops_the_odd_one() -> None:
    assert run(OUTLIER, on_a_line(0, 1, 2, 100)) == (0, 1, 2)
    assert run(OUTLIER, on_a_line(100, 0, 1, 2)) == (1, 2, 3)


def test_outlier_drops_nobody_when_nobody_is_odd() -> None:
    assert run(OUTLIER, on_a_line(0, 1, 2, 3)) == (0, 1, 2, 3)
    assert run(OUTLIER, on_a_line(5, 5, 5, 5)) == (0, 1, 2, 3)


def test_outlier_compares_with_nine_quarters_strictly() -> None:
    """f = 1, R' = 4: a score is the distance to the nearest; the lower median is 4, so 9 stays and 10 goes."""
    for last, kept in ((9, (0, 1, 2, 3)), (10, (0, 1, 2))):
        assert run(OUTLIER, from_upper(4, [4, 50, last, 4, last, last])) == kept


def test_outlier_takes_the_lower_median() -> None:
    """Scores 1, 1, 40, 40: measured against 1, not against 40 or their mean; at most f = 1 is dropped."""
    matrix = from_upper(4, [1, 90, 90, 90, 90, 40])
    assert run(OUTLIER, matrix) == (0, 1, 2)


def test_outlier_with_median_zero() -> None:
    """Everything above zero is a candidate, the farthest goes first."""
    assert run(OUTLIER, from_upper(5, [0, 0, 3, 9, 0, 3, 9, 3, 9, 9]), mu_bps=2000) == (0, 1, 2, 3)


def test_outlier_drops_at_most_f_highest_first() -> None:
    matrix = on_a_line(0, 0, 0, 0, 0, 50, 70, 91)
    assert run(OUTLIER, matrix, mu_bps=1250) == (0, 1, 2, 3, 4, 5, 6)
    assert run(OUTLIER, matrix, mu_bps=2500) == (0, 1, 2, 3, 4, 5)
    assert run(OUTLIER, matrix, mu_bps=3750) == (0, 1, 2, 3, 4)


def test_outlier_ties_drop_the_higher_index() -> None:
    matrix = from_upper(5, [1, 1, 90, 90, 1, 90, 90, 90, 90, 90])
    assert run(OUTLIER, matrix, mu_bps=2000) == (0, 1, 2, 3)


def test_outlier_with_f_zero_drops_nobody() -> None:
    assert run(OUTLIER, on_a_line(0, 1, 2, 10**9), mu_bps=2499) == (0, 1, 2, 3)


def test_multi_krum_keeps_the_closest() -> None:
    assert run(MULTI_KRUM, on_a_line(0, 1, 2, 100)) == (0, 1, 2)
    assert run(MULTI_KRUM, on_a_line(100, 0, 1, 2, 3, 50, 2, 1)) == (1, 2, 3, 4, 6, 7)


def test_multi_krum_always_drops_f_and_ties_drop_the_higher_index() -> None:
    assert run(MULTI_KRUM, on_a_line(5, 5, 5, 5)) == (0, 1, 2)
    assert run(MULTI_KRUM, on_a_line(5, 5, 5, 5), mu_bps=0) == (0, 1, 2, 3)


def test_m_krum_moves_one_at_a_time() -> None:
    """Points 0, 10, 13, 14, 30 and f = 0, three neighbours: the scores 465, 125, 179, 213, 945 put 10 first."""
    matrix = on_a_line(0, 10, 13, 14, 30)
    assert run(M_KRUM, matrix, mu_bps=0, m=1) == (1,)
    # T = 0, 13, 14, 30, two neighbours each: 365, 170, 197, 545
    assert run(M_KRUM, matrix, mu_bps=0, m=2) == (1, 2)
    # T = 0, 14, 30, one neighbour each: 196, 196, 256; the tie goes to the lower index
    assert run(M_KRUM, matrix, mu_bps=0, m=3) == (0, 1, 2)


def test_m_krum_is_cut_to_what_can_be_kept() -> None:
    matrix = on_a_line(0, 1, 2, 3, 100)
    assert run(M_KRUM, matrix, mu_bps=2000, m=2) == run(M_KRUM, matrix, mu_bps=2000, m=99)
    assert run(M_KRUM, matrix, mu_bps=2000, m=0) is None


@pytest.mark.parametrize("rule", KRUMS)
@pytest.mark.parametrize(("created", "mu_bps", "least"), [(4, 2500, 4), (4, 2499, 3), (8, 2500, 5), (8, 5000, 7)])
def test_too_few_groups(rule: int, created: int, mu_bps: int, least: int) -> None:
    """f shrinks with the groups that failed, f + 3 must be left: what is left is never fewer than three."""
    f = mu_bps * created // 10_000
    for passed in range(1, created + 1):
        still = max(0, f - (created - passed))
        outcome = select(rule, on_a_line(*range(passed)), created, passed, mu_bps, 1)
        assert (outcome is None) == (passed < still + 3), passed
    assert select(rule, on_a_line(*range(least)), created, least, mu_bps, 1) is not None or created - least < f


@pytest.mark.parametrize("rule", KRUMS)
def test_failed_groups_count_against_mu(rule: int) -> None:
    """R = 4, mu = 1/4: with one group refused f is 0, so the three left are all kept (m-Krum keeps one)."""
    kept = select(rule, on_a_line(0, 1, 100), 4, 3, 2500, 3)
    assert kept == ((0,) if rule == M_KRUM else (0, 1, 2))


def test_mu_is_rounded_down() -> None:
    """floor(0.3 * 4) = 1, floor(0.2499 * 4) = 0."""
    matrix = on_a_line(0, 1, 2, 100)
    assert run(MULTI_KRUM, matrix, mu_bps=3000) == (0, 1, 2)
    assert run(MULTI_KRUM, matrix, mu_bps=2499) == (0, 1, 2, 3)


def test_huge_distances() -> None:
    big = 1 << 200
    matrix = [[d * big + (d > 0) for d in row] for row in on_a_line(0, 1, 2, 100)]
    assert run(OUTLIER, matrix) == (0, 1, 2)


@pytest.mark.parametrize(
    ("rule", "created", "passed", "mu_bps", "m"), [(4, 3, 3, 0, 1), (-1, 3, 3, 0, 1), (1, 2, 3, 0, 1), (1, 3, 3, -1, 1)]
)
def test_wrong_arguments(rule: int, created: int, passed: int, mu_bps: int, m: int) -> None:
    with pytest.raises(ValueError, match="rule"):
        select(rule, on_a_line(1, 2, 3), created, passed, mu_bps, m)


def test_wrong_shapes() -> None:
    for matrix in (on_a_line(1, 2), [[0, 1, 2], [1, 0], [2, 1, 0]]):
        with pytest.raises(ValueError, match="3 groups"):
            select(OUTLIER, matrix, 3, 3, 0, 1)
    with pytest.raises(ValueError, match="rule"):
        select(M_KRUM, on_a_line(1, 2, 3), 3, 3, 0, -1)


@pytest.mark.parametrize(
    ("rule", "created", "mu_bps", "m", "holds", "says"),
    [
        (NONE, 8, 0, 0, False, "no selection"),
        (OUTLIER, 5, 2500, 0, True, "f = 1, R = 5"),
        (OUTLIER, 4, 2500, 0, False, "f = 1 of R = 4 groups"),
        (MULTI_KRUM, 8, 2500, 0, True, "2f + 2 < R holds"),
        (MULTI_KRUM, 6, 3400, 0, False, "does not hold"),
        (M_KRUM, 8, 2500, 1, True, "m = 1"),
        (M_KRUM, 8, 2500, 2, False, "the right side is 2"),
        (M_KRUM, 9, 2500, 2, True, "m = 2"),  # 2 < 2.5
        (M_KRUM, 9, 2500, 3, False, "the right side is 2.5"),
        (M_KRUM, 4, 2500, 1, False, "2f + 2 < R"),
    ],
)
def test_guarantees(rule: int, created: int, mu_bps: int, m: int, holds: bool, says: str) -> None:
    answer, sentence = guarantees(rule, created, mu_bps, m)
    assert answer is holds
    assert says in sentence


def test_guarantees_of_data_owners() -> None:
    """Mode verified: R is what there may be of them."""
    assert guarantees(OUTLIER, 64, 2500, 0, "data owners") == (True, "2f + 2 < R holds: f = 16, R = 64")
    assert "f = 32 of R = 64 data owners" in guarantees(OUTLIER, 64, 5000, 0, "data owners")[1]
    with pytest.raises(ValueError, match="rule 4 is none of distances"):
        guarantees(4, 12, 2500, 0)
