"""Exact Gram matrices, random projections with their bounds, and integer distances."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt, lcm

import numpy as np
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields import oracle
from protocols.fields.goldilocks import HALF, P, Vector
from protocols.fields.prg import expand, ternary
from protocols.gram import exact, projections
from protocols.gram.distances import distances, from_upper, groups_of, upper
from protocols.sharing.robust import decode
from protocols.sharing.shamir import share

EDGES = [0, 1, P - 1, HALF, HALF + 1, 2**21, 2**21 - 1, 2**22, 2**43, 2**44 - 1, 2**32, P - 2**21, P - 2**43, P - 2**62]


def random_vectors(count: int, length: int, label: bytes = b"") -> list[Vector]:
    return [expand(bytes([i]) * 32, length, label) for i in range(count)]


def expected(a: list[Vector], b: list[Vector]) -> list[list[int]]:
    return [[oracle.dot(x.tolist(), y.tolist()) for y in b] for x in a]


@pytest.mark.parametrize("length", [0, 1, 2, 2047, 2048, 2049, 5000])
def test_gram_of_random_vectors(length: int) -> None:
    vectors = random_vectors(3, length)
    got = exact.gram(vectors)
    assert got.dtype == np.uint64
    assert got.tolist() == expected(vectors, vectors)


@pytest.mark.parametrize("value", EDGES)
def test_gram_of_equal_extreme_coordinates(value: int) -> None:
    """All limb products of a block have one sign and their largest size: the sums that come closest to 2^53."""
    v = gl.vector([value] * 4096)
    assert exact.gram([v]).tolist() == [[4096 * value * value % P]]


def test_gram_of_extreme_mixtures() -> None:
    a = gl.vector(EDGES * 300)
    b = gl.vector(EDGES[::-1] * 300)
    assert exact.gram([a, b]).tolist() == expected([a, b], [a, b])


def test_limbs_rebuild_the_number_and_stay_small() -> None:
    v = gl.vector([*EDGES, *range(2**21 - 3, 2**21 + 3), *range(P - 2**43 - 3, P - 2**43 + 3)])
    buffer = np.zeros((exact.LIMBS, 3, len(v) + 2))
    exact._split(v, buffer, 1)
    assert not buffer[:, [0, 2]].any()
    assert not buffer[:, :, len(v) :].any()
    limbs = buffer[:, 1]
    assert np.abs(limbs).max() <= 2**21
    rebuilt = [sum(int(limbs[i, j]) << 22 * i for i in range(exact.LIMBS)) for j in range(len(v))]
    assert rebuilt == gl.to_signed(v).tolist()


def test_sums_are_reduced_before_they_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reduction that real vectors need after 2^20 coordinates, here after two blocks."""
    monkeypatch.setattr(exact, "_BLOCKS", 2)
    vectors = random_vectors(2, 5 * 2048 + 7)
    assert exact.gram(vectors).tolist() == expected(vectors, vectors)


def test_products() -> None:
    a, b = random_vectors(2, 3000), random_vectors(4, 3000, b"b")
    assert exact.products(a, b).tolist() == expected(a, b)
    assert exact.products(a, a).tolist() == exact.gram(a).tolist()
    assert exact.products([], b).shape == (0, 4)
    assert exact.products(a, []).shape == (2, 0)
    assert exact.gram([]).shape == (0, 0)


def test_read_only_and_strided_vectors() -> None:
    wide = expand(b"\x09" * 32, 4000)
    wide.flags.writeable = False
    assert exact.gram([wide[::2], wide[1::2]]).tolist() == expected([wide[::2], wide[1::2]], [wide[::2], wide[1::2]])


def test_gram_refuses() -> None:
    for bad in (gl.zeros(3), np.zeros(2, dtype=np.int64), np.zeros((1, 2), dtype=np.uint64)):
        with pytest.raises(ValueError, match="of 2 uint64"):
            exact.gram([gl.zeros(2), bad])  # type: ignore[list-item]
        with pytest.raises(ValueError, match="of 2 uint64"):
            exact.products([gl.zeros(2)], [bad])  # type: ignore[list-item]


def test_gram_of_shares_opens_to_the_gram_of_sums() -> None:
    """What provers do: inner products of shares are shares, of twice the degree, of the inner products."""
    secrets = random_vectors(3, 500, b"secret")
    shared = [share(s, 1, range(1, 6), bytes([i]) * 32) for i, s in enumerate(secrets)]
    local = [exact.gram([shared[r][p] for r in range(3)]).reshape(-1) for p in range(5)]
    local[2] = expand(b"\x77" * 32, 9)
    decoded = decode(range(1, 6), local, 2)
    assert decoded.values.reshape(3, 3).tolist() == exact.gram(secrets).tolist()
    assert decoded.error_points == (3,)


@pytest.mark.parametrize("length", [0, 1, 100, 8192, 8193, 20000])
def test_project(length: int) -> None:
    v, z = expand(b"\x03" * 32, length), ternary(b"\x04" * 32, 5, length)
    assert projections.project(v, z).tolist() == [
        sum(int(s) * int(x) for s, x in zip(row, v.tolist(), strict=True)) % P for row in z
    ]


@pytest.mark.parametrize("sign", [-1, 1])
def test_project_extremes(sign: int) -> None:
    v = gl.vector([P - 1] * 9000)
    z = np.full((2, 9000), sign, dtype=np.int8)
    assert projections.project(v, z).tolist() == [sign * 9000 * (P - 1) % P] * 2


def test_projections_are_linear_in_shares() -> None:
    secret, z = expand(b"\x05" * 32, 300), ternary(b"\x06" * 32, 8, 300)
    opened = decode(range(1, 6), [projections.project(s, z) for s in share(secret, 1, range(1, 6), bytes(32))], 1)
    assert opened.values.tolist() == projections.project(secret, z).tolist()


def test_project_refuses() -> None:
    z = np.zeros((2, 3), dtype=np.int8)
    for vector, matrix in (
        (gl.zeros(4), z),
        (np.zeros(3, dtype=np.int64), z),
        (gl.zeros(3), z.astype(np.int64)),
        (gl.zeros(3), z[0]),
    ):
        with pytest.raises(ValueError, match="does not go with"):
            projections.project(vector, matrix)  # type: ignore[arg-type]
    long = np.lib.stride_tricks.as_strided(gl.zeros(1), (1 << 24,), (0,))
    with pytest.raises(ValueError, match="too many"):
        projections.project(long, np.empty((0, 1 << 24), dtype=np.int8))


def test_wrap_bound_is_exact() -> None:
    assert (projections.WRAP_ALPHA_NUM, projections.WRAP_ALPHA_DEN, projections.PROJECTIONS) == (87, 10, 64)
    for sign in (1, -1):
        assert projections.within_wrap_bound(sign * 8700, 10, 100)
        assert not projections.within_wrap_bound(sign * 8701, 10, 100)
    assert projections.within_wrap_bound(26, 3, 1)  # 26.1
    assert not projections.within_wrap_bound(27, 3, 1)


def test_norm_bound_is_exact() -> None:
    assert projections.within_norm_bound(900, 3, 10)
    assert projections.within_norm_bound(0, 3, 10)
    assert not projections.within_norm_bound(901, 3, 10)
    assert not projections.within_norm_bound(-1, 3, 10)


def lifted_checks(v: Vector, bound: int) -> tuple[bool, bool]:
    """(norm bound holds, all projections hold) for one member."""
    values = gl.to_signed(projections.project(v, ternary(b"\x08" * 32, projections.PROJECTIONS, len(v)))).tolist()
    norm = gl.lift(gl.dot(v, v))
    return (
        projections.within_norm_bound(norm, 1, bound),
        all(projections.within_wrap_bound(x, 1, bound) for x in values),
    )


def test_honest_vectors_pass_both_tests(rng: np.random.Generator) -> None:
    for _ in range(5):
        raw = rng.normal(size=5000)
        v = gl.from_signed((raw / np.linalg.norm(raw) * 2**20).astype(np.int64))
        assert lifted_checks(v, 2**20) == (True, True)
    spike = gl.zeros(5000)
    spike[17] = 2**20
    assert lifted_checks(spike, 2**20) == (True, True)


def wrapping(values: list[int]) -> Vector:
    """The integers, padded so that the squared norm is exactly p (greedily, by the largest square that still fits)."""
    rest = P - sum(x * x for x in values)
    out = [*values]
    while rest:
        out.append(isqrt(rest))
        rest -= out[-1] ** 2
    return gl.from_signed(np.array([*out, *[0] * (5000 - len(out))], dtype=np.int64))


@pytest.mark.parametrize("values", [[], [2**30] * 10, [60_000_000 + i for i in range(4900)]])
def test_vectors_whose_norm_wraps_are_caught_by_the_projections(values: list[int]) -> None:
    """Norm 0 mod p, true norm sqrt(p), concentrated or spread out: the norm bound is blind, the projections are not."""
    v = wrapping(values)
    assert sum(int(x) ** 2 for x in gl.to_signed(v)) == P
    assert lifted_checks(v, 2**20) == (True, False)


def test_fits() -> None:
    assert projections.fits(5090, 5, 2**20)
    assert projections.fits((1 << 24) - 1, 1, 1)
    largest = projections.WIDEST_WINDOW * 10 // 87
    assert projections.fits(10**6, 1, largest)
    assert not projections.fits(10**6, 1, largest + 1)
    assert not projections.fits(10**6, 2, largest // 2 + 1)
    for dimension, members, bound in ((0, 1, 1), (1 << 24, 1, 1), (10, 0, 1), (10, 1, 0), (-1, 1, 1)):
        assert not projections.fits(dimension, members, bound)


def test_distances_are_scaled_squared_distances_of_means() -> None:
    sums = [[3, -1, 4], [1, 5, -9], [2, 6, 5], [0, 0, 0]]
    sizes = [2, 3, 4, 1]
    gram = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in sums] for a in sums]
    got = distances(gram, sizes)
    scale = lcm(*sizes) ** 2
    for r in range(4):
        for s in range(4):
            means = [(Fraction(x, sizes[r]), Fraction(y, sizes[s])) for x, y in zip(sums[r], sums[s], strict=True)]
            assert got[r][s] == scale * sum((x - y) ** 2 for x, y in means)


def test_triangle_order() -> None:
    matrix = [[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]]
    assert upper(matrix) == [1, 2, 3, 4, 5, 6]
    assert from_upper(4, [1, 2, 3, 4, 5, 6]) == matrix
    assert [groups_of([0] * (r * (r - 1) // 2)) for r in range(1, 17)] == list(range(1, 17))
    assert from_upper(0, []) == []
    assert from_upper(1, []) == [[0]]


def test_distances_refuse() -> None:
    for gram, sizes in (([[1]], [1, 1]), ([[1, 2]], [1]), ([[1]], [0])):
        with pytest.raises(ValueError, match="sizes"):
            distances(gram, sizes)
    for count, flat in ((3, [1, 2]), (-1, [1])):
        with pytest.raises(ValueError, match="upper triangle"):
            from_upper(count, flat)
    with pytest.raises(ValueError, match="pairs"):
        groups_of([1, 2])
