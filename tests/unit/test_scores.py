"""Scores, copies and payouts by example: every boundary of the integer rules, and what is refused."""

from __future__ import annotations

import pytest

from protocols.selection.scores import INT128, MAX_REWARD, copies, equal_pay, payouts, related, trust, weights


def gram(*vectors: tuple[int, ...]) -> list[list[int]]:
    """All inner products."""
    return [[sum(a * b for a, b in zip(x, y, strict=True)) for y in vectors] for x in vectors]


def test_trust_keeps_what_points_along_the_reference() -> None:
    assert trust({4: 1, 0: -5, 2: 0, 1: INT128 - 1, 3: -INT128}) == [1, 4]
    assert trust({}) == []


@pytest.mark.parametrize("phi", [INT128, -INT128 - 1])
def test_scores_fit_int128(phi: int) -> None:
    with pytest.raises(ValueError, match="int128"):
        trust({0: phi})
    with pytest.raises(ValueError, match="int128"):
        weights([phi], [1], 10)


def test_the_relation_is_strict_at_a_cosine_of_nine_tenths() -> None:
    assert not related(9, 10, 10)  # exactly 0.9
    assert related(-91, 100, 100)  # the square: opposite copies are copies
    assert not related(0, 0, 0)
    assert not related(0, 0, 10**30)
    big = 10**37
    assert not related(9 * big, 10 * big, 10 * big)
    assert related(9 * big + 1, 10 * big, 10 * big)


def test_copies_count_components_not_neighbours() -> None:
    """0 and 2 are too far apart, but 1 is near both."""
    chain = gram((10, 0), (10, 4), (10, 8), (0, 7))
    assert related(chain[0][1], chain[0][0], chain[1][1])
    assert not related(chain[0][2], chain[0][0], chain[2][2])
    assert copies(chain, [0, 1, 2, 3]) == {0: 3, 1: 3, 2: 3, 3: 1}


def test_copies_are_counted_among_the_accepted_only() -> None:
    chain = gram((10, 0), (10, 4), (10, 8))
    assert copies(chain, [2, 0]) == {0: 1, 2: 1}
    assert copies(chain, [1]) == {1: 1}
    assert copies(chain, []) == {}


def test_zero_vectors_are_nobodys_copies() -> None:
    assert copies(gram((0, 0), (0, 0), (1, 0)), [0, 1, 2]) == {0: 1, 1: 1, 2: 1}


def test_two_components_stay_apart() -> None:
    assert copies(gram((9, 0), (0, 5), (18, 1), (1, 50)), range(4)) == {0: 2, 1: 2, 2: 2, 3: 2}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("matrix", "accepted"),
    [
        ([[1, 2]], [0]),
        ([[1, 2], [3, 1]], [0, 1]),
        ([[1]], [1]),
        ([[1]], [-1]),
        ([[1, 0], [0, 1]], [0, 0]),
    ],
)
def test_copies_refuses_what_is_no_gram_matrix(matrix: list[list[int]], accepted: list[int]) -> None:
    with pytest.raises(ValueError, match="were expected"):
        copies(matrix, accepted)


def test_weights_floor_after_the_cap() -> None:
    assert weights([7, -3, 0, 100, 100], [2, 1, 1, 1, 3], 50) == [3, 0, 0, 50, 16]


@pytest.mark.parametrize(("counts", "cap"), [([1], 0), ([1], -1), ([1], INT128), ([0], 5), ([1, 1], 5)])
def test_weights_refuses(counts: list[int], cap: int) -> None:
    with pytest.raises(ValueError, match="cap above 0"):
        weights([1], counts, cap)


def test_payouts_floor_and_leave_the_rest() -> None:
    assert payouts(100, [1, 1, 1]) == [33, 33, 33]
    assert payouts(100, [3, 0, 1]) == [75, 0, 25]
    assert payouts(0, [3]) == [0]


def test_no_positive_weight_no_output() -> None:
    assert payouts(100, [0, 0]) is None
    assert payouts(100, []) is None


def test_the_largest_numbers_fit_256_bits() -> None:
    assert payouts(MAX_REWARD - 1, [INT128 - 1]) == [MAX_REWARD - 1]
    assert (MAX_REWARD - 1) * (INT128 - 1) < 1 << 256
    for reward, weight in ((MAX_REWARD, 1), (-1, 1), (1, -1), (1, INT128)):
        with pytest.raises(ValueError, match="integers"):
            payouts(reward, [weight])


def test_equal_pay_is_by_who_was_drawn() -> None:
    assert equal_pay(100, 3) == 33
    assert equal_pay(2, 3) == 0
    for reward, drawn in ((100, 0), (-1, 3), (MAX_REWARD, 3)):
        with pytest.raises(ValueError, match="cannot be split"):
            equal_pay(reward, drawn)
