"""Fully linear proofs with one gadget of degree two (draft-irtf-cfrg-vdaf-11, section 7.3), circuit by circuit.

Wire j of the gadget is the polynomial that takes its seed at root^0 and the input of call k at root^k. The gadget
polynomial is the gadget of the wires. Here the inputs of all calls are one table (calls, width); a gadget is the sum of
the products of two tables' rows, or of squares of one table's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from protocols.fields import goldilocks as gl
from protocols.fields import kernels as field_kernels
from protocols.fields.goldilocks import P, Vector
from protocols.pine import kernels, ntt
from protocols.pine.params import Sizes

_BLOCK = 1 << 14  # points of wires worked on at once: they stay in the second-level cache


def require(name: str, vector: npt.NDArray[np.uint64], length: int) -> Vector:
    """The vector, contiguous. ValueError, naming it, unless it is (length,) uint64."""
    if vector.dtype != np.uint64 or vector.shape != (length,):
        raise ValueError(f"{name}: {length} elements were expected, not {vector.dtype} of shape {vector.shape}")
    return np.ascontiguousarray(vector)


class Wires:
    """Inputs of all calls of a gadget, row by row: flat (m,), cut into rows of ``width``, the last padded with zeros.

    Nothing is copied but a few columns at a time.
    """

    def __init__(self, flat: Vector, width: int) -> None:
        self.width = width
        self._full = flat[: len(flat) // width * width].reshape(-1, width)
        self._rest = flat[len(flat) // width * width :]

    def columns(self, seeds: Vector, points: int) -> Iterator[npt.NDArray[np.uint64]]:
        """Blocks of columns as tables (points, w): the seed, then the inputs, then zeros."""
        columns = max(1, _BLOCK // points)
        for start in range(0, self.width, columns):
            stop = min(start + columns, self.width)
            table = np.zeros((points, stop - start), dtype=np.uint64)
            table[0] = seeds[start:stop]
            table[1 : len(self._full) + 1] = self._full[:, start:stop]
            rest = self._rest[start:stop]
            if len(rest):
                table[len(self._full) + 1, : len(rest)] = rest
            yield table

    def at(self, seeds: Vector, weights: Vector) -> Vector:
        """(width,) the wire polynomials at the point that the Lagrange weights belong to."""
        rows = len(self._full)
        out = gl.scale(seeds, int(weights[0]))
        if rows:
            sums = np.empty(self.width, dtype=np.uint64)
            field_kernels.combine(np.ascontiguousarray(weights[1 : rows + 1]), self._full, sums)
            gl.add_into(out, sums)
        if len(self._rest):
            gl.axpy(out[: len(self._rest)], int(weights[rows + 1]), self._rest)
        return out


def gadget_polynomial(
    sizes: Sizes, left: Iterator[npt.NDArray[np.uint64]], right: Iterator[npt.NDArray[np.uint64]] | None
) -> Vector:
    """(2 P - 1,) coefficients of sum_j left_j right_j (or left_j^2), from ``Wires.columns`` of each."""
    values = np.zeros((2, sizes.points), dtype=np.uint64)  # at the roots, and between them
    for a in left:
        b = next(right) if right is not None else a
        kernels.add_row_products(a, b, values[0])
        ntt.move_between(a)
        if right is not None:
            ntt.move_between(b)
        kernels.add_row_products(a, b, values[1])
    return ntt.interpolate_all(np.ascontiguousarray(values.T.reshape(-1, 1)))[: sizes.coefficients, 0].copy()


class Query:
    """What a verifier needs of one query point t for one circuit; made once, used for every data owner.

    ValueError if t^P = 1: there the wire polynomials would show the inputs themselves.
    """

    def __init__(self, sizes: Sizes, point: int) -> None:
        self.sizes = sizes
        self.weights = ntt.lagrange(sizes.points, point)
        self._powers = ntt.powers_from_zero(point, sizes.coefficients)

    def gadget(self, coefficients: Vector) -> int:
        """The gadget polynomial at t."""
        return gl.dot(coefficients, self._powers)

    def outputs(self, coefficients: Vector, first: int, last: int) -> int:
        """Sum of the gadget's outputs of the calls first .. last - 1, counted from 1."""
        return gl.dot(coefficients, _output_weights(self.sizes, first, last))


@lru_cache(maxsize=64)
def _output_weights(sizes: Sizes, first: int, last: int) -> Vector:
    return ntt.value_sum_weights(sizes.points, first, last, sizes.coefficients)


def gadget_holds(verifier: Vector, products: int) -> bool:
    """The decision on one verifier message: circuit output zero, and ``products`` is the gadget polynomial's value."""
    return int(verifier[0]) == 0 and products % P == int(verifier[-1])
