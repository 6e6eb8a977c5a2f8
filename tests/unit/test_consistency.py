"""The consistency check: verdicts at the bounds, weights, and the whole way from a bad dealer to a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields import oracle
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand
from protocols.sharing.consistency import Status, Verdict, check, combine_share, weights
from protocols.sharing.shamir import share

SEED = b"\x21" * 32
BEACON = b"\x22" * 32


def openings(n: int, degree: int, wrong: tuple[int, ...] = ()) -> dict[int, int]:
    polynomial = [7, 5, 3, 2][: degree + 1]
    return {x: (oracle.evaluate(polynomial, x) + 100 * x * (x in wrong)) % P for x in range(1, n + 1)}


@pytest.mark.parametrize(
    ("n", "t", "wrong", "status"),
    [
        (5, 1, (), Status.CONSISTENT),
        (5, 1, (4,), Status.OUTLIERS),
        (5, 1, (1, 4), Status.INCONSISTENT),
        (4, 1, (4,), Status.OUTLIERS),
        (4, 1, (1, 2), Status.INCONSISTENT),
        (9, 2, (2, 9), Status.OUTLIERS),
        (7, 2, (1, 7), Status.OUTLIERS),
        (7, 2, (1, 2, 7), Status.INCONSISTENT),
        (13, 3, (1, 2, 13), Status.OUTLIERS),
        (3, 0, (), Status.CONSISTENT),
        (3, 1, (), Status.CONSISTENT),
        (3, 1, (2,), Status.INCONSISTENT),
        (5, 2, (), Status.CONSISTENT),
        (5, 2, (5,), Status.INCONSISTENT),
        (6, 2, (5,), Status.OUTLIERS),
        (6, 2, (1, 5), Status.INCONSISTENT),
    ],
)
def test_verdicts(n: int, t: int, wrong: tuple[int, ...], status: Status) -> None:
    expected = wrong if status is Status.OUTLIERS else ()
    assert check(openings(n, t, wrong), t) == Verdict(status, expected)


def test_more_than_t_outliers_are_inconsistent_though_decodable() -> None:
    """n = 9, t = 1 could decode three errors; more than t wrong shares are the dealer's fault all the same."""
    assert check(openings(9, 1, (3,)), 1) == Verdict(Status.OUTLIERS, (3,))
    assert check(openings(9, 1, (3, 4)), 1) == Verdict(Status.INCONSISTENT)
    assert check(openings(5, 0, (3,)), 0) == Verdict(Status.INCONSISTENT)


def test_order_of_arrival_does_not_matter() -> None:
    late = dict(reversed(openings(9, 2, (5, 2)).items()))
    assert check(late, 2) == Verdict(Status.OUTLIERS, (2, 5))


def test_a_missing_opening_is_no_outlier() -> None:
    values = openings(5, 1, (2,))
    del values[5]
    assert check(values, 1) == Verdict(Status.OUTLIERS, (2,))


@pytest.mark.parametrize(("count", "degree"), [(0, 0), (2, 1), (4, 2), (4, -1)])
def test_too_few_openings_are_not_judged(count: int, degree: int) -> None:
    with pytest.raises(ValueError, match="needed"):
        check({x: 1 for x in range(1, count + 1)}, degree)


def test_openings_are_elements_at_points() -> None:
    for bad in ({1: 0, 2: 0, 3: 0, 4: P}, {1: 0, 2: 0, 3: 0, 4: -1}, {0: 0, 1: 0, 2: 0, 3: 0}):
        with pytest.raises(ValueError, match=r"not in|distinct"):
            check(bad, 1)


def test_weights_depend_on_everything() -> None:
    w = weights(BEACON, b"a", 10)
    assert weights(BEACON, b"a", 12)[:10].tolist() == w.tolist()
    others = [weights(BEACON, b"b", 10), weights(SEED, b"a", 10), weights(BEACON + b"a", b"", 10)]
    assert all((w != o).all() for o in others)


def test_combination_is_an_inner_product_plus_the_pad() -> None:
    vector, w = gl.vector([2, 3, P - 1, 10]), gl.vector([5, 7, 1])
    assert combine_share(vector, w) == 10 + 21 - 1 + 10
    assert combine_share(gl.vector([4]), gl.zeros(0)) == 4
    with pytest.raises(ValueError, match="pad included"):
        combine_share(vector, gl.zeros(4))


def opened(shares: list[Vector]) -> dict[int, int]:
    w = weights(BEACON, b"do", len(shares[0]) - 1)
    return {x: combine_share(s, w) for x, s in enumerate(shares, 1)}


def test_a_dealers_shares_all_the_way() -> None:
    shares = share(expand(SEED, 101), 1, range(1, 6), SEED)
    assert check(opened(shares), 1).status is Status.CONSISTENT
    for place in (0, 57, 100):
        one = [s.copy() for s in shares]
        one[3][place] = (int(one[3][place]) + 1) % P
        assert check(opened(one), 1) == Verdict(Status.OUTLIERS, (4,))
    steep = share(expand(SEED, 101), 3, range(1, 6), SEED)  # a degree that is too high in every coordinate
    assert check(opened(steep), 1).status is Status.INCONSISTENT


def test_errors_in_different_coordinates_do_not_cancel() -> None:
    shares = share(expand(SEED, 20), 1, range(1, 6), SEED)
    one, other = np.uint64(1), np.uint64(P - 1)
    shares[0] = gl.add(shares[0], np.array([one] + [0] * 18 + [other], dtype=np.uint64))
    assert check(opened(shares), 1) == Verdict(Status.OUTLIERS, (1,))


def test_the_pad_hides_the_combination() -> None:
    """Same update, other pads: the opened value is shifted by exactly the difference of the pads."""
    update, w = expand(SEED, 10), weights(BEACON, b"do", 10)
    a, b = (combine_share(np.append(update, np.uint64(pad)), w) for pad in (3, P - 4))
    assert (a - b) % P == 7
