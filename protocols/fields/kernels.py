"""Numba kernels of the Goldilocks field p = 2^64 - 2^32 + 1. Callers use ``goldilocks``; nothing is checked here.

Arguments are canonical (< p) and contiguous; results are canonical.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.fields.jit import SIGNED, SIGNED_OUT, TABLE, TABLE_OUT, VOID, WORD, WORDS, WORDS_OUT, kernel
from protocols.fields.word import word_difference, word_product, word_sum

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_LOW = np.uint64(0xFFFF_FFFF)  # also 2^64 mod p: wrapping around 2^64 loses exactly this much
_32 = np.uint64(32)
_ZERO = np.uint64(0)
_HALF = np.uint64(0x7FFF_FFFF_8000_0000)  # (p - 1) / 2


@kernel(VOID(WORDS, WORDS, WORDS_OUT))
def add(a: Words, b: Words, out: Words) -> None:
    """out = a + b."""
    for i in range(len(out)):
        out[i] = word_sum(a[i], b[i])


@kernel(VOID(WORDS, WORDS, WORDS_OUT))
def sub(a: Words, b: Words, out: Words) -> None:
    """out = a - b."""
    for i in range(len(out)):
        out[i] = word_difference(a[i], b[i])


@kernel(VOID(WORDS, WORDS, WORDS_OUT))
def mul(a: Words, b: Words, out: Words) -> None:
    """out = a * b."""
    for i in range(len(out)):
        out[i] = word_product(a[i], b[i])


@kernel(VOID(WORD, WORDS, WORDS_OUT))
def scale(c: np.uint64, x: Words, out: Words) -> None:
    """out = c * x."""
    for i in range(len(out)):
        out[i] = word_product(c, x[i])


@kernel(VOID(WORD, WORDS, WORDS_OUT))
def axpy(c: np.uint64, x: Words, acc: Words) -> None:
    """acc += c * x."""
    for i in range(len(acc)):
        acc[i] = word_sum(acc[i], word_product(c, x[i]))


@kernel(VOID(WORDS, WORDS, WORDS_OUT))
def dot(a: Words, b: Words, halves: Words) -> None:
    """halves = sums of the low and of the high 32 bits of a[i] * b[i] mod p; no overflow below 2^32 elements.

    Plain integer sums, because LLVM vectorises those and would not vectorise a running sum mod p.
    """
    low, high = _ZERO, _ZERO
    for i in range(len(a)):
        product = word_product(a[i], b[i])
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
                out[j, i] = word_sum(word_product(out[j, i], points[j]), coefficients[k, i])


@kernel(VOID(WORDS, TABLE, WORDS_OUT))
def combine(weights: Words, table: Words, out: Words) -> None:
    """out = sum_k weights[k] * table[k]: (k,), (k, w) -> (w,)."""
    for i in range(len(out)):
        out[i] = _ZERO
    for k in range(len(weights)):
        for i in range(len(out)):
            out[i] = word_sum(out[i], word_product(weights[k], table[k, i]))
