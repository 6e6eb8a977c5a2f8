"""Sharing of vectors and of 32-byte secrets: what rebuilds, what is refused, what is deterministic, what is hidden."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields import oracle
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand
from protocols.sharing import shamir

SEED = b"\x07" * 32
POINTS = [1, 2, 3, 4, 5]


@pytest.fixture
def secret() -> Vector:
    return expand(b"\x01" * 32, 50)


def test_lagrange_weights_interpolate() -> None:
    polynomial = [3, 1, 4, 1]
    points = [2, 9, P - 1, 5]
    for at in (0, 1, 9, 77):
        weights = shamir.lagrange(points, at)
        value = sum(w * oracle.evaluate(polynomial, x) for w, x in zip(weights, points, strict=True)) % P
        assert value == oracle.evaluate(polynomial, at)
    assert shamir.lagrange([2, 9, 5], 9) == [0, 1, 0]


def test_lagrange_result_is_the_callers_own() -> None:
    shamir.lagrange([1, 2])[0] = 99
    assert shamir.lagrange([1, 2]) == [2, P - 1]


@pytest.mark.parametrize("points", [[1, 1], [1, P], [1, -1]])
def test_lagrange_refuses(points: list[int]) -> None:
    with pytest.raises(ValueError, match="point"):
        shamir.lagrange(points)


@pytest.mark.parametrize("degree", range(5))
def test_any_degree_plus_one_shares_rebuild(secret: Vector, degree: int) -> None:
    shares = shamir.share(secret, degree, POINTS, SEED)
    for chosen in combinations(range(5), degree + 1):
        rebuilt = shamir.combine([POINTS[i] for i in chosen], [shares[i] for i in chosen])
        assert rebuilt.tolist() == secret.tolist()


@pytest.mark.parametrize("degree", range(5))
def test_deal_is_a_sharing_with_seeds(secret: Vector, degree: int) -> None:
    pieces = shamir.deal(secret, degree, POINTS, SEED)
    assert [isinstance(piece, bytes) for piece in pieces] == [i < degree for i in range(5)]
    shares = [shamir.open_piece(piece, len(secret)) for piece in pieces]
    for chosen in combinations(range(5), degree + 1):
        rebuilt = shamir.combine([POINTS[i] for i in chosen], [shares[i] for i in chosen])
        assert rebuilt.tolist() == secret.tolist()


def test_shares_lie_on_a_polynomial_of_exactly_the_degree(secret: Vector) -> None:
    """Too few shares give something else in every coordinate: the top coefficient is there."""
    for shares in (
        shamir.share(secret, 3, POINTS, SEED),
        [shamir.open_piece(piece, 50) for piece in shamir.deal(secret, 3, POINTS, SEED)],
    ):
        assert (shamir.combine(POINTS[:3], shares[:3]) != secret).all()


def test_combine_at_another_point(secret: Vector) -> None:
    shares = shamir.share(secret, 2, POINTS, SEED)
    assert shamir.combine([1, 2, 5], [shares[0], shares[1], shares[4]], at=4).tolist() == shares[3].tolist()


def test_sharing_is_linear_and_deterministic(secret: Vector) -> None:
    other = expand(b"\x02" * 32, 50)
    a, b = shamir.share(secret, 1, POINTS, SEED), shamir.share(other, 1, POINTS, b"\x08" * 32)
    sums = [gl.add(x, y) for x, y in zip(a, b, strict=True)]
    assert shamir.combine([2, 4], [sums[1], sums[3]]).tolist() == gl.add(secret, other).tolist()
    again = shamir.share(secret, 1, POINTS, SEED)
    assert all((x == y).all() for x, y in zip(a, again, strict=True))
    changed = shamir.share(secret, 1, POINTS, b"\x09" * 32)
    assert all((x != y).all() for x, y in zip(a, changed, strict=True))


@pytest.mark.parametrize("maker", [shamir.share, shamir.deal])
def test_one_share_says_nothing(maker: object) -> None:
    """Degree 1, fixed seed range: the low bit of a share is as often 0 for one secret as for another."""
    assert callable(maker)
    counts = []
    for value in (0, P - 1):
        bits = 0
        for i in range(200):
            piece = maker(gl.vector([value]), 1, [1, 2], i.to_bytes(32, "big"))[1]
            bits += int(piece[0]) & 1
        counts.append(bits)
    assert all(70 < c < 130 for c in counts)


@pytest.mark.parametrize(("degree", "points"), [(-1, [1]), (2, [1, 2]), (1, [0, 1]), (1, [3, 3]), (1, [1, P]), (0, [])])
def test_share_refuses(degree: int, points: list[int]) -> None:
    for maker in (shamir.share, shamir.deal):
        with pytest.raises(ValueError, match="point"):
            maker(gl.zeros(1), degree, points, SEED)


def test_open_piece() -> None:
    assert shamir.open_piece(SEED, 9).tolist() == expand(SEED, 9).tolist()
    v = gl.zeros(9)
    assert shamir.open_piece(v, 9) is v
    for piece in (b"", bytes(31), gl.zeros(8), np.zeros((3, 3), dtype=np.uint64)):
        with pytest.raises(ValueError, match="has"):
            shamir.open_piece(piece, 9)
    with pytest.raises(ValueError, match="has"):
        shamir.open_piece(np.zeros(9, dtype=np.int64), 9)  # type: ignore[arg-type]


def test_combine_refuses() -> None:
    with pytest.raises(ValueError, match="shares for"):
        shamir.combine([1, 2], [gl.zeros(1)])


@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (1, 4), (2, 3), (3, 4), (7, 7), (51, 100)])
def test_secrets(threshold: int, count: int) -> None:
    secret = bytes(range(224, 256))
    shares = shamir.share_secret(secret, threshold, count, SEED)
    assert [len(s) for s in shares] == [40] * count
    last = list(range(count - threshold + 1, count + 1))
    assert shamir.rebuild_secret(last, [shares[x - 1] for x in last]) == secret
    everybody = list(range(count, 0, -1))
    assert shamir.rebuild_secret(everybody, [shares[x - 1] for x in everybody]) == secret


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32, bytes(31) + b"\x01", b"\x80" + bytes(31)])
def test_extreme_secrets(secret: bytes) -> None:
    shares = shamir.share_secret(secret, 2, 3, SEED)
    assert shamir.rebuild_secret([3, 1], [shares[2], shares[0]]) == secret


def test_secret_shares_are_a_polynomial_at_the_points() -> None:
    """Share i holds five little-endian elements: the values at i of polynomials through the five limbs."""
    shares = [gl.from_bytes(s).tolist() for s in shamir.share_secret(bytes(range(32)), 3, 4, SEED)]
    for limb in range(5):
        values = [row[limb] for row in shares]
        expected = int.from_bytes(bytes(range(32))[7 * limb : 7 * limb + 7], "little")
        assert oracle.interpolate([1, 2, 4], [values[0], values[1], values[3]], 0) == expected
        assert oracle.interpolate([1, 2, 3], values[:3], 4) == values[3]


def test_a_wrong_or_missing_secret_share_is_noticed() -> None:
    shares = shamir.share_secret(bytes(range(32)), 3, 4, SEED)
    wrong = gl.to_bytes(expand(b"\x05" * 32, 5))
    with pytest.raises(ValueError, match="do not combine"):
        shamir.rebuild_secret([1, 2, 3], [shares[0], wrong, shares[2]])
    with pytest.raises(ValueError, match="do not combine"):
        shamir.rebuild_secret([1, 2], shares[:2])
    with pytest.raises(ValueError, match="do not combine"):
        shamir.rebuild_secret([1, 2, 4], shares[:3])


@pytest.mark.parametrize(
    ("points", "shares"),
    [
        ([], []),
        ([1], []),
        ([1], [bytes(39)]),
        ([1], [b"\xff" * 40]),
        ([0], [bytes(40)]),
        ([1, 1], [bytes(40), bytes(40)]),
    ],
)
def test_malformed_secret_shares(points: list[int], shares: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"point|bytes|not in"):
        shamir.rebuild_secret(points, shares)


@pytest.mark.parametrize(("secret", "threshold", "count"), [(bytes(31), 2, 3), (bytes(32), 0, 3), (bytes(32), 4, 3)])
def test_share_secret_refuses(secret: bytes, threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match=r"32 bytes|degree"):
        shamir.share_secret(secret, threshold, count, SEED)
