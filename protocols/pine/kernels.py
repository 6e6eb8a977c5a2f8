"""Numba kernels of PINE over p = 2^64 - 2^32 + 1. Callers use ``ntt`` and ``encode``; nothing is checked here.

Arguments are canonical and contiguous, tables have one polynomial per column; results are canonical.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.fields.jit import TABLE, TABLE_OUT, VOID, WORD, WORDS, WORDS_OUT, Kind, kernel
from protocols.fields.word import word_difference, word_product, word_sum

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

BYTES = Kind("uint8", 2)

_P = np.uint64(0xFFFF_FFFF_0000_0001)
_LOW = np.uint64(0xFFFF_FFFF)
_32 = np.uint64(32)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@kernel(VOID(WORDS, TABLE_OUT))
def to_coefficients(roots: Words, table: Words) -> None:
    """Columns of n values, in place, become n times the coefficients, in bit-reversed order (decimation in frequency).

    roots: (n/2,) powers of the inverse of the primitive n-th root.
    """
    half = len(roots)
    while half:
        step = len(roots) // half
        for start in range(0, table.shape[0], 2 * half):
            for j in range(half):
                upper, lower, root = start + j, start + j + half, roots[j * step]
                for i in range(table.shape[1]):
                    u, v = table[upper, i], table[lower, i]
                    table[upper, i] = word_sum(u, v)
                    table[lower, i] = word_product(word_difference(u, v), root)
        half >>= 1


@kernel(VOID(WORDS, TABLE_OUT))
def to_values(roots: Words, table: Words) -> None:
    """Columns of n coefficients in bit-reversed order, in place, become values at root^k (decimation in time).

    roots: (n/2,) powers of the primitive n-th root.
    """
    half = 1
    while half <= len(roots):
        step = len(roots) // half
        for start in range(0, table.shape[0], 2 * half):
            for j in range(half):
                upper, lower, root = start + j, start + j + half, roots[j * step]
                for i in range(table.shape[1]):
                    u, v = table[upper, i], word_product(table[lower, i], root)
                    table[upper, i] = word_sum(u, v)
                    table[lower, i] = word_difference(u, v)
        half <<= 1


@kernel(VOID(WORDS, TABLE_OUT))
def scale_rows(factors: Words, table: Words) -> None:
    """table[k] *= factors[k]."""
    for k in range(table.shape[0]):
        for i in range(table.shape[1]):
            table[k, i] = word_product(table[k, i], factors[k])


@kernel(VOID(TABLE, TABLE, WORDS_OUT))
def add_row_products(a: Words, b: Words, out: Words) -> None:
    """out[k] += <a[k], b[k]>; a row has fewer than 2^32 entries (see ``fields.kernels.dot``)."""
    for k in range(len(out)):
        low, high = _ZERO, _ZERO
        for i in range(a.shape[1]):
            product = word_product(a[k, i], b[k, i])
            low += product & _LOW
            high += product >> _32
        out[k] = word_sum(out[k], word_sum(low % _P, word_product(high % _P, _LOW + _ONE)))


@kernel(VOID(WORD, WORDS_OUT))
def powers(base: np.uint64, out: Words) -> None:
    """out[i] = base^(i + 1)."""
    value = _ONE
    for i in range(len(out)):
        value = word_product(value, base)
        out[i] = value


@kernel(VOID(BYTES, WORDS, TABLE_OUT))
def wrap_dots(streams: Bytes, x: Words, out: Words) -> None:
    """out[c] = sum of z x mod 2^64 and sum of z (x >> 32), z two bits each, low bits first: 00 -1, 01 and 10 0, 11 +1.

    streams: (c, len(x)/4). Both sums are exact mod 2^64, the second as a signed number below 2^24 coordinates:
    together they determine the sum (see ``encode``). z = b0 + b1 - 1, so two masked additions and one subtraction.
    """
    for c in range(streams.shape[0]):
        total, high = _ZERO, _ZERO
        for q in range(streams.shape[1]):
            byte = np.uint64(streams[c, q])
            for k in range(4):
                word = x[4 * q + k]
                top = word >> _32
                first = _ZERO - ((byte >> np.uint64(2 * k)) & _ONE)
                second = _ZERO - ((byte >> np.uint64(2 * k + 1)) & _ONE)
                total += (word & first) + (word & second) - word
                high += (top & first) + (top & second) - top
        out[c, 0] = total
        out[c, 1] = high
