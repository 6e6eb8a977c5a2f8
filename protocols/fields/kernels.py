"""Numba kernels of the Goldilocks field p = 2^64 - 2^32 + 1. Callers use ``goldilocks``; nothing is checked here.

A product is put together from four 32 x 32 bit multiplications: LLVM turns those into vector instructions, which it
cannot do with a 128-bit multiplication (0.43 ns against 0.78 ns per product where it was measured), and no intrinsic is
needed. Arguments are canonical (< p) and contiguous; results are canonical.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.fields.jit import SIGNED, SIGNED_OUT, TABLE, TABLE_OUT, VOID, WORD, WORDS, WORDS_OUT, inlined, kernel

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_P = np.uint64(0xFFFF_FFFF_0000_0001)
_LOW = np.uint64(0xFFFF_FFFF)  # also 2^64 mod p: wrapping around 2^64 loses exactly this much
_32 = np.uint64(32)
_ZERO = np.uint64(0)
_HALF = np.uint64(0x7FFF_FFFF_8000_0000)  # (p - 1) / 2


@inlined
def _sum(a: np.uint64, b: np.uint64) -> np.uint64:
    """a + b mod p: one addition, at most one wrap around 2^64, at most one subtraction of p."""
    s = a + b
    s += _LOW if s < a else _ZERO
    return s - _P if s >= _P else s


@inlined
def _difference(a: np.uint64, b: np.uint64) -> np.uint64:
    """a - b mod p."""
    return a - b if a >= b else a - b + _P


@inlined
def _product(a: np.uint64, b: np.uint64) -> np.uint64:
    """a * b mod p, by 2^64 = 2^32 - 1 and 2^96 = -1 (mod p)."""
    a0, a1, b0, b1 = a & _LOW, a >> _32, b & _LOW, b >> _32
    low, cross = a0 * b0, a0 * b1
    middle = cross + (low >> _32)
    outer = a1 * b0 + (middle & _LOW)
    high = a1 * b1 + (middle >> _32) + (outer >> _32)
    low = (outer << _32) | (low & _LOW)
    top = high >> _32  # weight 2^96
    t = low - top
    t -= _LOW if low < top else _ZERO
    bottom = high & _LOW  # weight 2^64
    u = (bottom << _32) - bottom
    r = t + u
    r += _LOW if r < u else _ZERO
    return r - _P if r >= _P else r


@kernel(VOID(WORDS, WORDS, WORDS_OUT))
def add(a: Words, b: Words, out: Words) -> None:
    """out = a + b."""
    for i in range(len(out)):
        out[i] = _sum(a[i], b[i])


@kernel(VOID(WORDS, WORDS, WORDS_OUT))
def sub(a: Words, b: Words, out: Words) -> None:
    """out = a - b."""
    for i in range(len(out)):
        out[i] = _difference(a[i], b[i])


@kernel(VOID(WORDS, WORDS, WORDS_OUT))
def mul(a: Words, b: Words, out: Words) -> None:
    """out = a * b."""
    for i in range(len(out)):
        out[i] = _product(a[i], b[i])


@kernel(VOID(WORD, WORDS, WORDS_OUT))
def scale(c: np.uint64, x: Words, out: Words) -> None:
    """out = c * x."""
    for i in range(len(out)):
        out[i] = _product(c, x[i])


@kernel(VOID(WORD, WORDS, WORDS_OUT))
def axpy(c: np.uint64, x: Words, acc: Words) -> None:
    """acc += c * x."""
    for i in range(len(acc)):
        acc[i] = _sum(acc[i], _product(c, x[i]))


@kernel(VOID(WORDS, WORDS, WORDS_OUT))
def dot(a: Words, b: Words, halves: Words) -> None:
    """halves = sums of the low and of the high 32 bits of a[i] * b[i] mod p; no overflow below 2^32 elements.

    Plain integer sums, because LLVM vectorises those and would not vectorise a running sum mod p.
    """
    low, high = _ZERO, _ZERO
    for i in range(len(a)):
        product = _product(a[i], b[i])
        low += product & _LOW
        high += product >> _32
    halves[0] = low
    halves[1] = high


@kernel(VOID(SIGNED, WORDS_OUT))
def from_signed(x: Integers, out: Words) -> None:
    """out = x mod p for |x| <= (p - 1)/2; a negative x is 2^64 + x as a word, which is 2^64 - p too much."""
    for i in range(len(out)):
        word = np.uint64(x[i])
        out[i] = word - _LOW if x[i] < 0 else word


@kernel(VOID(WORDS, SIGNED_OUT))
def to_signed(x: Words, out: Integers) -> None:
    """out = representative of x in [-(p - 1)/2, (p - 1)/2]."""
    for i in range(len(out)):
        out[i] = np.int64(x[i] + (_LOW if x[i] > _HALF else _ZERO))


@kernel(VOID(TABLE, WORDS, TABLE_OUT))
def evaluate(coefficients: Words, points: Words, out: Words) -> None:
    """out[j] = sum_k coefficients[k] * points[j]^k (Horner), row by row: (T, w), (n,) -> (n, w)."""
    for j in range(len(points)):
        for i in range(out.shape[1]):
            out[j, i] = _ZERO
        for k in range(coefficients.shape[0] - 1, -1, -1):
            for i in range(out.shape[1]):
                out[j, i] = _sum(_product(out[j, i], points[j]), coefficients[k, i])


@kernel(VOID(WORDS, TABLE, WORDS_OUT))
def combine(weights: Words, table: Words, out: Words) -> None:
    """out = sum_k weights[k] * table[k]: (k,), (k, w) -> (w,)."""
    for i in range(len(out)):
        out[i] = _ZERO
    for k in range(len(weights)):
        for i in range(len(out)):
            out[i] = _sum(out[i], _product(weights[k], table[k, i]))
