"""The running sum that proves an inner product: S(wX) - S(X) = A B - c on H, and A = 0 on the padding.

H is a cycle, so the sum of A B over the rows is N c, without a condition at the first row. Everything here is linear in
shares but for products of two, so provers compute it on shares; see PROOFS 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.bn254 import fr, poly
from protocols.bn254.fr import Vector
from protocols.zk.key import Key, padded


@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """A committed polynomial low + Z_H tail.  rows: (N, 4) values on H.  low: (N, 4) coefficients.  tail: blinders."""

    rows: Vector
    low: Vector
    tail: Vector

    @property
    def coefficients(self) -> Vector:
        """Of the polynomial."""
        return poly.add(self.low, poly.times_vanishing(self.tail, len(self.low)))


def vector_column(key: Key, vector: Vector) -> Column:
    """The column of d coordinates, zeros and six blinders."""
    rows = padded(vector[: key.params.dimension], key.params.size)
    return Column(rows, poly.interpolate(rows, threads=key.threads), vector[key.params.dimension :])


def running_sum(key: Key, a: Column, b: Column, c: int, tail: Vector) -> Column:
    """S: 0 in the first row, and from row to row A B - c more."""
    sums = fr.prefix_sums(fr.shift(fr.mul(a.rows, b.rows), -c))
    rows = np.concatenate([fr.zeros(1), sums[:-1]])
    return Column(rows, poly.interpolate(rows, threads=key.threads), tail)


def quotient(key: Key, a: Column, b: Column, s: Column, beta: int) -> Vector:
    """(N + 11, 4): (S(wX) - S(X) - A B + c + beta P A) / Z_H; the remainder is dropped.

    A D, D = B - beta P, is taken apart at Z_H: only the product of two polynomials of degree N - 1 needs a transform,
    of 2N points, and of S only the blinders are left.
    """
    n = key.params.size
    d = b.low.copy()
    fr.add_scaled(d, -beta, key.p_poly)
    high = _high_half(a.low, d, n, key.threads)
    both = _times_short(a.tail, fr.integers(b.tail))
    for part in (
        _times_short(a.low, fr.integers(b.tail)),
        _times_short(d, fr.integers(a.tail)),
        poly.times_vanishing(both, n),
    ):
        high = poly.add(high, part)
    steps = fr.sub(poly.scale_argument(s.tail, key.omega), s.tail)
    return poly.add(steps, fr.neg(high))


def _high_half(a: Vector, b: Vector, n: int, threads: int) -> Vector:
    """(n, 4): the coefficients of a b from n on, which are its quotient by Z_H."""
    values = poly.values(a, 2 * n, threads=threads)
    values = fr.mul(values, poly.values(b, 2 * n, threads=threads))
    return np.ascontiguousarray(poly.interpolate(values, threads=threads)[n:])


def _times_short(a: Vector, factors: list[int]) -> Vector:
    """The product with a polynomial of few coefficients."""
    out = fr.zeros(len(a) + len(factors) - 1)
    for i, factor in enumerate(factors):
        fr.add_scaled(out[i : i + len(a)], factor, a)
    return out
