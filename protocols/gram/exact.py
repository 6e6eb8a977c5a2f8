"""Inner products mod p, exactly, at the speed of floating-point matrix multiplication.

An element stands for a signed number below 2^63; it is cut into three signed limbs of 22 bits, |limb| <= 2^21. A
product of limbs is at most 2^42, so sums of 2^11 of them are exact in a float64 (53 bits) whatever the order of
addition. Blocks of 2^11 coordinates are multiplied by BLAS, converted to integers and added up; 2^9 such sums fit a
signed 64-bit word before they are reduced mod p.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.jit import FLOAT_CUBE_OUT, SIZE, VOID, WORDS, kernel

LIMBS = 3
"""Limbs per element."""
LIMB_BITS = 22
"""Bits per limb; the number is sum_i limb_i * 2^(22 i)."""

_COLUMNS = 1 << 11  # 2^11 products of 2^42 are 2^53
_BLOCKS = 1 << 9  # 2^9 sums of 2^53 are 2^62
_STEP = np.int64(1 << LIMB_BITS)
_MIDDLE = np.int64(1 << (LIMB_BITS - 1))
_BITS = np.int64(LIMB_BITS)
_HALF = np.uint64(gl.HALF)
_WRAP = np.uint64(2**64 - P)


@kernel(VOID(WORDS, FLOAT_CUBE_OUT, SIZE))
def _split(vector: Vector, out: npt.NDArray[np.float64], row: int) -> None:
    """out[i, row, j] = limb i of vector[j], each in [-2^21, 2^21]. out: (3, R, at least len(vector))."""
    for j in range(len(vector)):
        word = vector[j]
        word += _WRAP if word > _HALF else np.uint64(0)
        number = np.int64(word)
        low = ((number + _MIDDLE) & (_STEP - np.int64(1))) - _MIDDLE
        number = (number - low) >> _BITS
        middle = ((number + _MIDDLE) & (_STEP - np.int64(1))) - _MIDDLE
        out[0, row, j] = low
        out[1, row, j] = middle
        out[2, row, j] = (number - middle) >> _BITS


@cache
def _blas() -> Any:
    return import_module("threadpoolctl").ThreadpoolController()


class _Limbs:
    """The limbs of one block of several vectors, in a buffer that is used again: (3, R, 2^11)."""

    def __init__(self, vectors: Sequence[Vector]) -> None:
        self._vectors = [np.ascontiguousarray(v) for v in vectors]
        self._buffer = np.empty((LIMBS, len(vectors), _COLUMNS))

    def load(self, start: int) -> npt.NDArray[np.float64]:
        """(3R, width) limbs of the coordinates from ``start`` on, limb by limb."""
        width = min(_COLUMNS, len(self._vectors[0]) - start)
        for r, vector in enumerate(self._vectors):
            _split(vector[start : start + width], self._buffer, r)
        return self._buffer.reshape(-1, _COLUMNS)[:, :width]


def _check(vectors: Sequence[Vector], length: int) -> None:
    for v in vectors:
        if v.dtype != np.uint64 or v.shape != (length,):
            raise ValueError(f"a vector of {length} uint64 was expected, not {v.dtype} of shape {v.shape}")


def _reduced(sums: npt.NDArray[np.int64], rows: int, columns: int) -> Vector:
    """sum over limb pairs of 2^(22 (i + j)) * sums[i, :, j, :] mod p, flattened (rows * columns,)."""
    blocks = sums.reshape(LIMBS, rows, LIMBS, columns)
    total = gl.zeros(rows * columns)
    for i in range(LIMBS):
        for j in range(LIMBS):
            gl.axpy(total, 1 << LIMB_BITS * (i + j), gl.from_signed(blocks[i, :, j, :].reshape(-1)))
    return total


def _multiply(a: _Limbs, b: _Limbs, shape: tuple[int, int], length: int) -> npt.NDArray[np.uint64]:
    # One thread: more would meet at a barrier after every small block, on a busy machine for thirty times as long.
    with _blas().limit(limits=1, user_api="blas"):
        return _sum_of_blocks(a, b, shape, length)


def _sum_of_blocks(a: _Limbs, b: _Limbs, shape: tuple[int, int], length: int) -> npt.NDArray[np.uint64]:
    total = gl.zeros(shape[0] * shape[1])
    stride = _COLUMNS * _BLOCKS
    for outer in range(0, length, stride):
        sums = np.zeros((LIMBS * shape[0], LIMBS * shape[1]), dtype=np.int64)
        for start in range(outer, min(outer + stride, length), _COLUMNS):
            left = a.load(start)
            right = left if a is b else b.load(start)  # NumPy multiplies a matrix by its own transpose at half the cost
            sums += (left @ right.T).astype(np.int64)
        gl.add_into(total, _reduced(sums, *shape))
    return total.reshape(shape)


def gram(vectors: Sequence[Vector]) -> npt.NDArray[np.uint64]:
    """(R, R) inner products mod p of R vectors of shape (d,), canonical, symmetric. ValueError for unequal shapes."""
    if not vectors:
        return np.zeros((0, 0), dtype=np.uint64)
    _check(vectors, len(vectors[0]))
    limbs = _Limbs(vectors)
    return _multiply(limbs, limbs, (len(vectors), len(vectors)), len(vectors[0]))


def products(a: Sequence[Vector], b: Sequence[Vector]) -> npt.NDArray[np.uint64]:
    """(len(a), len(b)) inner products mod p of every vector of ``a`` with every vector of ``b``, canonical."""
    if not a or not b:
        return np.zeros((len(a), len(b)), dtype=np.uint64)
    _check([*a, *b], len(a[0]))
    return _multiply(_Limbs(a), _Limbs(b), (len(a), len(b)), len(a[0]))
