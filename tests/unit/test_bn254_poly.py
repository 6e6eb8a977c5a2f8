"""Transforms and divisions of polynomials over Fr against sums of powers."""

from __future__ import annotations

import random

import numpy as np
import pytest

from protocols.bn254 import fr, poly
from protocols.bn254.field import R
from tests.unit.bn254_kit import value


def coefficients(seed: bytes, n: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(R) for _ in range(n)]


@pytest.mark.parametrize("n", [1, 2, 4, 8, 64])
@pytest.mark.parametrize("coset", [1, 7])
def test_transforms_against_the_definition(n: int, coset: int, seed: bytes) -> None:
    p, w = coefficients(seed, n), poly.root_of_unity(n)
    at_roots = poly.values(fr.vector(p), n, coset)
    assert fr.integers(at_roots) == [value(p, coset * pow(w, i, R)) for i in range(n)]
    assert fr.integers(poly.interpolate(at_roots, coset)) == p


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_large_transforms_cross_blocks(threads: int, seed: bytes) -> None:
    n = 1 << 14
    p, w = fr.powers(coefficients(seed, 1)[0], n), poly.root_of_unity(n)
    at_roots = poly.values(p, n, threads=threads)
    assert poly.interpolate(at_roots, threads=threads).tolist() == p.tolist()
    for i in (0, 1, 5000, n - 1):
        assert fr.integers(at_roots[i : i + 1]) == [poly.evaluate(p, pow(w, i, R))]


def test_fewer_coefficients_than_values(seed: bytes) -> None:
    p = coefficients(seed, 3)
    assert fr.integers(poly.values(fr.vector(p), 8)) == [value(p, pow(poly.root_of_unity(8), i, R)) for i in range(8)]
    assert not poly.values(fr.zeros(0), 4).any()
    with pytest.raises(ValueError, match="9 coefficients for 8 values"):
        poly.values(fr.vector(range(9)), 8)


@pytest.mark.parametrize("n", [0, 3, 1 << 29, -4])
def test_only_powers_of_two(n: int) -> None:
    with pytest.raises(ValueError, match="no root of unity"):
        poly.root_of_unity(n)


def test_roots_have_their_order() -> None:
    for k in range(29):
        w = poly.root_of_unity(1 << k)
        assert pow(w, 1 << k, R) == 1
        assert k == 0 or pow(w, 1 << k - 1, R) == R - 1
    assert poly.root_of_unity(8) == 0x2B337DE1C8C14F22EC9B9E2F96AFEF3652627366F8170A0A948DAD4AC1BD5E80


def test_division_by_a_linear_factor(seed: bytes) -> None:
    p, z = coefficients(seed, 9), coefficients(seed + b"z", 1)[0]
    quotient, remainder = poly.divide_by_linear(fr.vector(p), z)
    q = fr.integers(quotient)
    assert remainder == value(p, z) == poly.evaluate(fr.vector(p), z)
    assert len(q) == 8
    for x in (0, 1, 12345):
        assert (value(q, x) * (x - z) + remainder) % R == value(p, x)
    assert poly.divide_by_linear(fr.vector([5]), z)[1] == 5
    with pytest.raises(ValueError, match="no coefficients"):
        poly.divide_by_linear(fr.zeros(0), z)
    assert poly.evaluate(fr.zeros(0), z) == 0


@pytest.mark.parametrize("length", [1, 4, 5, 8, 9, 23])
def test_division_by_the_vanishing_polynomial(length: int, seed: bytes) -> None:
    n, p = 4, coefficients(seed, length)
    quotient, remainder = poly.divide_by_vanishing(fr.vector(p), n)
    q, rest = fr.integers(quotient), fr.integers(remainder)
    assert (len(q), len(rest)) == (max(0, length - n), n)
    for x in (0, 1, 98765):
        assert (value(q, x) * (pow(x, n, R) - 1) + value(rest, x)) % R == value(p, x)
    back = poly.add(poly.times_vanishing(quotient, n), remainder)
    assert fr.integers(back)[:length] == p


def test_the_product_with_the_vanishing_polynomial_longer_than_it(seed: bytes) -> None:
    p = coefficients(seed, 7)
    product = fr.integers(poly.times_vanishing(fr.vector(p), 4))
    assert all(value(product, x) == value(p, x) * (x**4 - 1) % R for x in (2, 3, 10**20))
    quotient, remainder = poly.divide_by_vanishing(fr.vector(product), 4)
    assert fr.integers(quotient) == p
    assert not remainder.any()


def test_blinders_do_not_show_on_the_roots(seed: bytes) -> None:
    y, c = fr.vector(coefficients(seed, 8)), fr.vector(coefficients(seed + b"c", 3))
    p = poly.blinded(y, c)
    assert len(p) == 11
    w = poly.root_of_unity(8)
    assert [poly.evaluate(p, pow(w, i, R)) for i in range(8)] == fr.integers(y)
    z = 424242
    hidden = value(fr.integers(c), z) * (pow(z, 8, R) - 1) % R
    assert poly.evaluate(p, z) == (poly.evaluate(poly.interpolate(y), z) + hidden) % R


def test_a_scaled_argument(seed: bytes) -> None:
    p = coefficients(seed, 5)
    assert poly.evaluate(poly.scale_argument(fr.vector(p), 77), 3) == value(p, 3 * 77)


def test_an_error_in_a_thread_is_raised() -> None:
    def fail(item: int) -> None:
        raise KeyError(item)

    for threads in (1, 2):
        with pytest.raises(KeyError):
            poly.each(fail, range(3), threads)


def test_inputs_stay_as_they_are() -> None:
    p = fr.vector(range(8))
    before = p.copy()
    poly.values(p, 8, 3)
    poly.interpolate(p)
    poly.divide_by_vanishing(p, 4)
    assert np.array_equal(p, before)
