"""Polynomials over Fr: transforms between coefficients and values, evaluation, exact division.

A polynomial is a vector of coefficients, lowest first. H is the group of the n-th roots of unity 1, w, w^2, ..,
w = 5^((R-1)/n), as in the vectors of the proofs; Z_H = X^n - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from protocols.bn254 import fr
from protocols.bn254 import fr_kernels as kernels
from protocols.bn254.field import R
from protocols.bn254.fr import Vector

TWO_ADICITY = 28
GENERATOR = 5

_CACHED_ROWS = 1 << 12  # what one thread transforms without leaving the second-level cache
_PARALLEL_FROM = 1 << 13  # below, threads cost more than they save


def root_of_unity(n: int) -> int:
    """w of order n, a power of two up to 2^28 (ValueError)."""
    if n < 1 or n & (n - 1) or n > 1 << TWO_ADICITY:
        raise ValueError(f"there is no root of unity for {n} points; a power of two up to 2^{TWO_ADICITY} is needed")
    return pow(GENERATOR, (R - 1) // n, R)


@lru_cache(maxsize=4)
def _roots(n: int) -> list[Vector]:
    """For every step of a transform of n values, the powers that it needs, side by side: (n/2, 4), (n/4, 4), .."""
    tables = [fr.powers(root_of_unity(n), n // 2)]
    while len(tables[-1]) > 1:
        tables.append(np.ascontiguousarray(tables[-1][::2]))
    return tables if n > 1 else []


@lru_cache(maxsize=4)
def reversal(n: int) -> npt.NDArray[np.int64]:
    """(n,): the numbers 0 .. n - 1 with their bits in reverse."""
    order = np.zeros(1, dtype=np.int64)
    while len(order) < n:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


def each(work: Callable[[int], None], items: Iterable[int], threads: int) -> None:
    """work(item) for all items, by so many threads; they return when all is done, and raise what one raised."""
    if threads == 1:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, items))


def _transform(x: Vector, threads: int) -> None:
    """Values of x in bit-reversed order, in place: large steps through the whole table, then block by block."""
    n = len(x)
    tables, threads = _roots(n), threads if n >= _PARALLEL_FROM else 1
    large = [t for t in tables if 2 * len(t) > _CACHED_ROWS]
    for roots in large:
        bounds = [n // 2 * k // threads for k in range(threads + 1)]
        each(lambda k, r=roots, b=bounds: kernels.butterflies(x, r, b[k], b[k + 1]), range(threads), threads)  # type: ignore[misc]
    rows = min(n, _CACHED_ROWS)

    def block(number: int) -> None:
        for roots in tables[len(large) :]:
            kernels.butterflies(x, roots, number * rows // 2, (number + 1) * rows // 2)

    each(block, range(n // rows), threads)


def _padded(x: Vector, n: int) -> Vector:
    if len(x) > n:
        raise ValueError(f"{len(x)} coefficients for {n} values")
    out = fr.zeros(n)
    out[: len(x)] = x
    return out


def values(coefficients: Vector, n: int, coset: int = 1, threads: int = 1) -> Vector:
    """(n, 4): values at coset * w^i. At most n coefficients, n a power of two (ValueError)."""
    root_of_unity(n)
    x = _padded(coefficients, n)
    if coset != 1:
        kernels.mul(x, fr.powers(coset, n), x)
    _transform(x, threads)
    return x.take(reversal(n), axis=0)


def interpolate(at_roots: Vector, coset: int = 1, threads: int = 1) -> Vector:
    """The inverse of ``values``: len(at_roots) coefficients from as many values at coset * w^i."""
    n = len(at_roots)
    root_of_unity(n)
    x = np.array(at_roots, order="C")
    _transform(x, threads)
    x = x.take(reversal(n)[-np.arange(n)], axis=0)  # the transform of a transform is x[-i], times n
    if coset == 1:
        return fr.scale(pow(n, -1, R), x)
    return fr.mul(x, fr.powers(pow(coset, -1, R), n, pow(n, -1, R)))


def evaluate(coefficients: Vector, z: int) -> int:
    """The value at z; 0 for no coefficients."""
    out = fr.zeros(1)
    kernels.horner(np.ascontiguousarray(coefficients), fr.single(z), out)
    return fr.integers(out)[0]


def divide_by_linear(coefficients: Vector, z: int) -> tuple[Vector, int]:
    """Quotient by X - z and remainder, the value at z. ValueError for no coefficients."""
    if not len(coefficients):
        raise ValueError("no coefficients")
    out = np.empty_like(coefficients, order="C")
    kernels.divide_linear(np.ascontiguousarray(coefficients), fr.single(z), out)
    return out[1:], fr.integers(out[:1])[0]


def divide_by_vanishing(coefficients: Vector, n: int) -> tuple[Vector, Vector]:
    """Quotient and remainder, n coefficients, by Z_H = X^n - 1."""
    out = _padded(coefficients, max(n, len(coefficients)))
    kernels.fold(out, n)
    return out[n:], out[:n]


def times_vanishing(coefficients: Vector, n: int) -> Vector:
    """The product with Z_H = X^n - 1."""
    out = fr.zeros(len(coefficients) + n)
    out[n:] = coefficients
    kernels.sub(
        np.ascontiguousarray(out[: len(coefficients)]), np.ascontiguousarray(coefficients), out[: len(coefficients)]
    )
    return out


def add(a: Vector, b: Vector) -> Vector:
    """a + b, of the longer one's length."""
    n = max(len(a), len(b))
    return fr.add(_padded(a, n), _padded(b, n))


def scale_argument(coefficients: Vector, c: int) -> Vector:
    """p(c X)."""
    return fr.mul(coefficients, fr.powers(c, len(coefficients)))


def blinded(at_roots: Vector, blinders: Vector) -> Vector:
    """``poly`` of the proofs: interpolation of the values plus Z_H times the polynomial with these coefficients."""
    return add(interpolate(at_roots), times_vanishing(blinders, len(at_roots)))
