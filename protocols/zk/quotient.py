"""The quotient of a data owner's identity by Z_H, from values on a coset of 2N points.

The identity has degree up to 3N + 7 and its quotient 2N + 7. Values on 2N points give the quotient modulo X^2N - k^2N,
k the coset's shift; its top eight coefficients are those of the identity, which come from the top coefficients of the
factors. So transforms of 4N are not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from protocols.bn254 import fr, poly
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.zk.key import Key

_TOP = 8  # coefficients of the quotient beyond 2N
_SMALLEST = 64  # points of a coset, at least: below, degrees in N and constants mix
_COSET = poly.GENERATOR  # has a large order, hence is in no group of roots of unity


@dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """Coefficients of the committed polynomials of one record; e and nn are None without norms."""

    g: Vector
    m: Vector
    s: Vector
    e: Vector | None = None
    nn: Vector | None = None


@dataclass(frozen=True, slots=True)
class Norm:
    """The challenge that merges the identities of the norm, and the bound B^2."""

    delta: int
    bound_squared: int


def quotient(key: Key, columns: Columns, alpha: int, norm: Norm | None) -> Vector:
    """(2N + 8, 4): (numerator)/Z_H, if Z_H divides it; if not, anything: the caller checks the identity at z."""
    n = key.params.size
    points = max(2 * n, _SMALLEST)

    def at(coefficients: Vector) -> Vector:
        return poly.values(coefficients, points, _COSET, key.threads)

    numerator = _numerator(key, columns, alpha, norm, at)
    period = points // n
    vanishing = fr.shift(fr.powers(poly.root_of_unity(period), period, pow(_COSET, n, R)), -1)
    numerator = fr.mul(numerator, np.tile(fr.inverse(vanishing), (n, 1)))
    low = poly.interpolate(numerator, _COSET, key.threads)
    if points >= 2 * n + _TOP:
        return np.ascontiguousarray(low[: 2 * n + _TOP])
    top = _top(key, columns, alpha)
    low[:_TOP] = fr.sub(low[:_TOP], fr.scale(pow(_COSET, points, R), top))
    return np.concatenate([low, top])


def _numerator(key: Key, columns: Columns, alpha: int, norm: Norm | None, at: Callable[[Vector], Vector]) -> Vector:
    """Values of (s(wX) - s)(alpha + g)(alpha + T) - (alpha + T) + m (alpha + g), and of the identities of the norm."""
    n = key.params.size
    table = fr.shift(at(key.t_poly), alpha)
    out = fr.mul(_step(at(columns.s), n), table)
    fr.add_into(out, at(columns.m))
    g = at(columns.g)
    out = fr.mul(out, fr.shift(g, alpha))
    out = fr.sub(out, table)
    del table
    if norm is None or columns.e is None or columns.nn is None or key.bits_poly is None:
        return out
    e = at(columns.e)
    fr.add_scaled(out, pow(norm.delta, 2, R), fr.sub(fr.mul(e, e), e))
    g = fr.add(fr.mul(g, g), fr.mul(at(key.bits_poly), e))
    del e
    fr.add_scaled(out, -norm.delta % R, g)
    fr.add_scaled(out, norm.delta, _step(at(columns.nn), n))
    return fr.shift(out, norm.delta * norm.bound_squared * pow(n, -1, R) % R)


def _step(values: Vector, n: int) -> Vector:
    """p(wX) - p(X) on the coset: w is the root of the coset's points to the power of how many there are per row."""
    return fr.sub(np.roll(values, -(len(values) // n), axis=0), values)


def _top(key: Key, columns: Columns, alpha: int) -> Vector:
    """(8, 4): coefficients 2N .. 2N + 7 of the quotient, which are those of the numerator at 3N .. 3N + 7."""
    w = key.omega
    s = _last(columns.s)
    degree = len(columns.s) - 1
    ds = [(pow(w, degree - i, R) - 1) * c % R for i, c in enumerate(s)]
    product = _product(_product(ds, _last(columns.g)), _last(key.t_poly))  # degree (N+3) + (N+5) + (N-1) = 3N + 7
    return fr.vector(reversed(product))


def _last(coefficients: Vector) -> list[int]:
    """The eight highest coefficients, highest first."""
    return fr.integers(coefficients[: -_TOP - 1 : -1])


def _product(a: list[int], b: list[int]) -> list[int]:
    """The eight highest coefficients of a product."""
    return [sum(a[j] * b[i - j] for j in range(i + 1)) % R for i in range(_TOP)]
