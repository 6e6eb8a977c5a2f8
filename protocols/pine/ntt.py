"""Polynomials over Goldilocks by their values at roots of unity: transforms, weights, batched by columns."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.pine import kernels

Table = npt.NDArray[np.uint64]
"""(n, w) canonical elements, C-contiguous: w polynomials, one per column."""

TWO_ADICITY = 32
_GENERATOR = pow(7, (P - 1) >> TWO_ADICITY, P)


def root_of_unity(n: int) -> int:
    """The primitive n-th root that the draft uses, n a power of two up to 2^32. ValueError otherwise."""
    if n < 1 or n & (n - 1) or n > 1 << TWO_ADICITY:
        raise ValueError(f"there is no root of unity for {n} points; a power of two up to 2^32 is needed")
    return pow(_GENERATOR, (1 << TWO_ADICITY) // n, P)


def powers(base: int, count: int) -> Vector:
    """(count,) base^1, base^2, ..."""
    out = gl.zeros(count)
    kernels.powers(np.uint64(base % P), out)
    return out


def powers_from_zero(base: int, count: int) -> Vector:
    """(count,) 1, base, base^2, ..."""
    return np.concatenate([gl.vector([1]), powers(base, count)])[:count]


@lru_cache(maxsize=64)
def _roots(n: int, inverse: bool) -> Vector:
    root = root_of_unity(n)
    return powers_from_zero(gl.inv(root) if inverse else root, n // 2)


@lru_cache(maxsize=64)
def _reversal(n: int) -> npt.NDArray[np.int64]:
    order = np.zeros(1, dtype=np.int64)
    while len(order) < n:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


@lru_cache(maxsize=64)
def _shift(n: int) -> Vector:
    """What turns n times the coefficients, bit-reversed, into those of f(s X), s the primitive 2n-th root."""
    return gl.scale(powers_from_zero(root_of_unity(2 * n), n)[_reversal(n)], gl.inv(n))


def _table(values: Table) -> Table:
    if values.dtype != np.uint64 or values.ndim != 2:
        raise ValueError(f"not a table of uint64: {values.dtype}, {values.ndim} dimensions")
    root_of_unity(len(values))
    return values


def evaluate_all(coefficients: Table) -> Table:
    """(n, w) coefficients, lowest first -> (n, w) values at root^0 .. root^(n-1). n: a power of two (ValueError)."""
    table = np.ascontiguousarray(_table(coefficients)[_reversal(len(coefficients))])
    kernels.to_values(_roots(len(table), False), table)
    return table


def interpolate_all(values: Table) -> Table:
    """Inverse of ``evaluate_all``."""
    table = np.array(_table(values), order="C")
    kernels.to_coefficients(_roots(len(table), True), table)
    table = np.ascontiguousarray(table[_reversal(len(table))])
    kernels.scale_rows(np.full(len(table), gl.inv(len(table)), dtype=np.uint64), table)
    return table


def move_between(table: Table) -> None:
    """In place: values at the n-th roots become values of the same polynomials at the 2n-th roots s^(2k+1) between."""
    n = len(_table(table))
    kernels.to_coefficients(_roots(n, True), table)
    kernels.scale_rows(_shift(n), table)
    kernels.to_values(_roots(n, False), table)


@lru_cache(maxsize=256)
def _lagrange(n: int, at: int) -> Vector:
    root, top = root_of_unity(n), pow(at, n, P) - 1
    if top % P == 0:
        raise ValueError(f"the query point is one of the {n} roots of unity")
    nodes = [pow(root, k, P) for k in range(n)]
    scaled = top * gl.inv(n)
    weights = gl.vector(scaled * x % P * pow(at - x, -1, P) % P for x in nodes)
    weights.flags.writeable = False
    return weights


def lagrange(n: int, at: int) -> Vector:
    """(n,) weights w with f(at) = sum_k w[k] f(root^k) for degree < n (barycentric form). Remembered; read-only.

    ValueError if ``at`` is itself one of the n roots, as a query point must never be.
    """
    return _lagrange(n, at % P)


@lru_cache(maxsize=64)
def value_sum_weights(n: int, first: int, last: int, length: int) -> Vector:
    """(length,) weights w: for coefficients c of that length <c, w> = sum of f(root^k), first <= k < last, root^n = 1.

    With them a verifier adds up gadget outputs without a transform.
    """
    indicator = np.zeros((n, 1), dtype=np.uint64)
    indicator[first:last] = 1
    period = evaluate_all(indicator)[:, 0]
    weights = np.tile(period, -(-length // n))[:length]
    weights.flags.writeable = False
    return weights
