"""Points of the first group and their sums of multiples, against the schoolbook and another implementation."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from protocols.bn254 import fr, g1, msm
from protocols.bn254.field import Q, R
from protocols.bn254.g1 import GENERATOR, INFINITY, InvalidPoint, Point
from protocols.bn254.msm import msm as multiply_and_add
from tests.unit.bn254_kit import add, combination, load, multiply, number, point


def the(points: g1.Points) -> Point:
    (only,) = g1.to_integers(points)
    return only


def some(seed: bytes, n: int) -> g1.Points:
    """n random points."""
    rng = random.Random(seed)
    return g1.multiply_fixed(g1.generator(), fr.vector(rng.randrange(R) for _ in range(n)))


def test_multiples_of_another_implementation(vectors: Path) -> None:
    data = load(vectors, "g1")
    assert (number(data["base_field_modulus"]), number(data["scalar_field_modulus"])) == (Q, R)
    assert point(data["g1_generator"]) == GENERATOR
    cases = data["scalar_mul"] + data["scalar_mul_unreduced"]
    points, scalars = g1.from_integers(point(c["point"]) for c in cases), fr.vector(number(c["scalar"]) for c in cases)
    expected = [point(c["result"]) for c in cases]
    assert g1.to_integers(g1.multiply(points, scalars)) == expected
    for i, result in enumerate(expected):
        assert the(multiply_and_add(points[i : i + 1], scalars[i : i + 1])) == result
        assert the(g1.multiply_fixed(points[i : i + 1], scalars[i : i + 1])) == result


def test_sums_of_another_implementation(vectors: Path) -> None:
    data = load(vectors, "g1")
    a, b = (g1.from_integers(point(c[side]) for c in data["add"]) for side in ("a", "b"))
    assert g1.to_integers(g1.add(a, b)) == [point(c["result"]) for c in data["add"]]
    assert g1.to_integers(g1.add(b, a)) == [point(c["result"]) for c in data["add"]]


@pytest.mark.parametrize("threads", [1, 2])
def test_sums_of_multiples_of_another_implementation(threads: int, vectors: Path) -> None:
    cases = load(vectors, "g1")["msm"]
    for case in cases:
        points = g1.from_integers(point(p) for p in case["points"])
        scalars = fr.vector(number(s) for s in case["scalars"])
        assert the(multiply_and_add(points, scalars, threads)) == point(case["result"]), case["name"]
    assert len(cases) == 19


def test_which_points_are_on_the_curve(vectors: Path) -> None:
    cases = load(vectors, "g1")["curve_membership"]
    assert {c["on_curve"] for c in cases} == {True, False}
    for case in cases:
        if point(case["point"]) == INFINITY:  # not on the curve, but how infinity is written
            assert not g1.from_integers([INFINITY]).any()
        elif case["on_curve"]:
            assert g1.to_integers(g1.from_integers([point(case["point"])])) == [point(case["point"])]
        else:
            with pytest.raises(InvalidPoint):
                g1.from_integers([GENERATOR, point(case["point"])])


def test_bytes_are_those_of_the_precompiles(seed: bytes) -> None:
    points = np.concatenate([some(seed, 3), g1.infinities(1)])
    data = g1.to_bytes(points)
    assert data == b"".join(c.to_bytes(32, "big") for p in g1.to_integers(points) for c in p)
    assert data[192:] == bytes(64)
    assert np.array_equal(g1.from_bytes(data), points)
    assert np.array_equal(g1.from_bytes(memoryview(data)), points)
    assert len(g1.from_bytes(b"")) == 0


@pytest.mark.parametrize(
    "bad", [(1, 3), (0, 1), (1, 0), (1 + Q, 2), (1, 2 + Q), (Q, Q), (Q, 0), (2**256 - 1, 2), (1, Q - 3)]
)
def test_what_is_no_point_is_refused(bad: Point) -> None:
    data = b"".join(c.to_bytes(32, "big") for c in (*GENERATOR, *bad))
    with pytest.raises(InvalidPoint, match="point 1") as refused:
        g1.from_bytes(data)
    assert refused.value.index == 1


def test_wrong_arguments_are_refused(seed: bytes) -> None:
    points = some(seed, 3)
    with pytest.raises(ValueError, match="65 bytes"):
        g1.from_bytes(bytes(65))
    with pytest.raises(ValueError, match="3 and 2 points"):
        g1.add(points, points[:2])
    with pytest.raises(ValueError, match="2 scalars for 3"):
        g1.multiply(points, fr.vector([1, 2]))
    with pytest.raises(ValueError, match="2 scalars for 3"):
        multiply_and_add(points, fr.vector([1, 2]))
    with pytest.raises(ValueError, match="not points"):
        g1.neg(points[:, :4])


def test_additions_of_every_kind(seed: bytes) -> None:
    p, q = g1.to_integers(some(seed, 2))
    minus = (p[0], Q - p[1])
    pairs = [(p, q), (p, p), (p, minus), (INFINITY, p), (p, INFINITY), (INFINITY, INFINITY), (minus, q), (q, q)]
    a, b = (g1.from_integers(side) for side in zip(*pairs, strict=True))
    assert g1.to_integers(g1.add(a, b)) == [add(x, y) for x, y in pairs]
    assert the(g1.neg(g1.from_integers([p]))) == minus
    assert the(g1.neg(g1.infinities(1))) == INFINITY


def test_sums_across_blocks(seed: bytes) -> None:
    points = some(seed, 7)
    many = np.tile(points, (g1.BLOCK // 7 + 2, 1))
    doubled = g1.add(many, many)
    assert np.array_equal(doubled[:7], g1.multiply(points, fr.vector([2])))
    assert np.array_equal(doubled, np.tile(doubled[:7], (g1.BLOCK // 7 + 2, 1)))
    assert np.array_equal(g1.total(many), g1.multiply(g1.total(points), fr.vector([g1.BLOCK // 7 + 2])))
    assert the(g1.total(g1.infinities(0))) == INFINITY


def test_one_point_with_many_scalars_and_the_reverse() -> None:
    multiples = g1.multiply(g1.generator(), fr.vector([0, 1, 2, R - 1]))
    assert g1.to_integers(multiples) == [multiply(GENERATOR, k) for k in (0, 1, 2, R - 1)]
    assert np.array_equal(multiples, g1.multiply_fixed(g1.generator(), fr.vector([0, 1, 2, R - 1])))
    assert np.array_equal(g1.multiply(multiples, fr.vector([3])), g1.multiply(multiples, fr.vector([3] * 4)))
    assert len(g1.multiply(g1.infinities(0), fr.vector([3]))) == 0


@pytest.mark.parametrize("n", [40, 700, 3000])
@pytest.mark.parametrize("bits", [1, 8, 16, 40, 253, 254])
def test_scalars_of_every_length(n: int, bits: int, seed: bytes) -> None:
    """Points are known multiples of the generator, so the sum is known too."""
    rng = random.Random(seed)
    exponents = fr.vector(rng.randrange(R) for _ in range(n))
    points = g1.multiply_fixed(g1.generator(), exponents)
    size = min(2**bits, R)
    scalars = fr.vector(rng.randrange(size) * rng.choice((1, -1)) for _ in range(n))
    expected = multiply(GENERATOR, fr.inner(exponents, scalars))
    assert the(multiply_and_add(points, scalars, 1 + n % 3)) == expected


def test_few_long_scalars_among_short_ones(seed: bytes) -> None:
    rng = random.Random(seed)
    n = 2000
    exponents, long = fr.vector(range(1, n + 1)), {3: R - 5 - 2**200, 1000: rng.randrange(R), 1999: (R - 1) // 2}
    scalars = fr.vector(long.get(i, i % 50 - 20) for i in range(n))
    points = g1.multiply_fixed(g1.generator(), exponents)
    assert the(multiply_and_add(points, scalars, 2)) == multiply(GENERATOR, fr.inner(exponents, scalars))


@pytest.mark.parametrize("scalar", [1, -1, 2**15, -(2**15), 2**16 - 1, (R - 1) // 2, (R + 1) // 2])
def test_one_bucket_full_of_equal_opposite_and_infinite_points(scalar: int, seed: bytes) -> None:
    p = some(seed, 1)
    for count, opposites, infinite in ((33, 0, 0), (16, 16, 5), (7, 3, 1), (1, 2, 0), (0, 0, 4), (1, 1, 0)):
        rows = [p] * count + [g1.neg(p)] * opposites + [g1.infinities(1)] * infinite
        random.Random(seed).shuffle(rows)
        points = np.concatenate(rows)
        expected = multiply(the(p), scalar * (count - opposites))
        assert the(multiply_and_add(points, fr.vector([scalar] * len(points)))) == expected


def test_a_window_in_chunks(seed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(msm, "_CHUNK", 16)
    exponents = fr.vector(range(100))
    points = g1.multiply_fixed(g1.generator(), exponents)
    scalars = fr.vector(i % 7 for i in range(100))
    for threads in (2, 3, 8):
        assert the(multiply_and_add(points, scalars, threads)) == multiply(GENERATOR, fr.inner(exponents, scalars))


def test_small_sums_against_the_schoolbook(seed: bytes) -> None:
    rng = random.Random(seed)
    points = some(seed, 5)
    scalars = [rng.randrange(R) for _ in range(5)]
    assert the(multiply_and_add(points, fr.vector(scalars))) == combination(g1.to_integers(points), scalars)
    assert the(multiply_and_add(points[:0], fr.zeros(0))) == INFINITY
    assert the(multiply_and_add(points, fr.zeros(5))) == INFINITY
