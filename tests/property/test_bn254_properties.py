"""Laws of the field, of transforms and of sums of multiples of points, on arguments that Hypothesis chooses."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.bn254 import fr, g1, poly
from protocols.bn254.field import R
from protocols.bn254.msm import msm

elements = st.one_of(st.integers(0, R - 1), st.sampled_from([0, 1, R - 1, (R - 1) // 2, (R + 1) // 2, 2**128, 2**16]))
small = st.integers(-3, 3)


@given(st.lists(st.tuples(elements, elements), min_size=1, max_size=9), elements)
def test_arithmetic_is_that_of_integers(pairs: list[tuple[int, int]], c: int) -> None:
    xs, ys = (list(column) for column in zip(*pairs, strict=True))
    a, b = fr.vector(xs), fr.vector(ys)
    assert fr.integers(fr.sub(fr.mul(fr.add(a, b), a), fr.scale(c, b))) == [((x + y) * x - c * y) % R for x, y in pairs]
    assert fr.inner(a, b) == sum(x * y for x, y in pairs) % R
    assert np.array_equal(fr.from_bytes(fr.to_bytes(a)), a)


@given(st.lists(elements, max_size=16), st.lists(elements, max_size=16))
def test_products_of_polynomials_by_their_values(p: list[int], q: list[int]) -> None:
    a, b = fr.vector(p), fr.vector(q)
    product = poly.interpolate(fr.mul(poly.values(a, 32, 5), poly.values(b, 32, 5)), 5)
    assert poly.evaluate(product, 99) == poly.evaluate(a, 99) * poly.evaluate(b, 99) % R


@settings(max_examples=20)
@given(st.lists(st.tuples(small, st.one_of(elements, small)), max_size=40), st.integers(1, 2))
def test_sums_of_multiples_with_many_equal_opposite_and_infinite_points(
    pairs: list[tuple[int, int]], threads: int
) -> None:
    exponents, scalars = fr.vector(e for e, _ in pairs), fr.vector(s for _, s in pairs)
    points = g1.multiply_fixed(g1.generator(), exponents)
    expected = g1.multiply_fixed(g1.generator(), fr.single(fr.inner(exponents, scalars)))
    assert np.array_equal(msm(points, scalars, threads), expected)


@given(elements, elements)
@settings(max_examples=10)
def test_the_group_has_the_scalars_order(a: int, b: int) -> None:
    p = g1.multiply_fixed(g1.generator(), fr.vector([a, b, a + b, a * b]))
    assert np.array_equal(g1.add(p[:1], p[1:2]), p[2:3])
    assert np.array_equal(g1.multiply(p[:1], fr.vector([b])), p[3:])
    assert np.array_equal(g1.add(p, g1.neg(p)), g1.infinities(4))
