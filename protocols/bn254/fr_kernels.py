"""Kernels over Fr. Callers use ``fr`` and ``poly``; nothing is checked here.

Tables are (n, 4) words, elements in Montgomery form and less than R, outputs may be the inputs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.bn254.field import (
    PLAIN_ONE,
    R_CUBE,
    R_ONE,
    R_SQUARE,
    R_WORDS,
    ZERO,
    R,
    Words,
    add_r,
    inverse_r,
    is_zero,
    load,
    mul_r,
    store,
    sub_r,
)
from protocols.fields.jit import SIGNED, SIGNED_OUT, SIZE, TABLE, TABLE_OUT, VOID, kernel
from protocols.fields.wide import less, words

_HALF = words((R + 1) // 2)


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def add(a: Words, b: Words, out: Words) -> None:
    """out = a + b."""
    for i in range(len(out)):
        store(out, i, add_r(load(a, i), load(b, i)))


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def sub(a: Words, b: Words, out: Words) -> None:
    """out = a - b."""
    for i in range(len(out)):
        store(out, i, sub_r(load(a, i), load(b, i)))


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def mul(a: Words, b: Words, out: Words) -> None:
    """out = a * b."""
    for i in range(len(out)):
        store(out, i, mul_r(load(a, i), load(b, i)))


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def scale(c: Words, x: Words, out: Words) -> None:
    """out = c[0] * x."""
    factor = load(c, 0)
    for i in range(len(out)):
        store(out, i, mul_r(factor, load(x, i)))


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def axpy(c: Words, x: Words, acc: Words) -> None:
    """acc += c[0] * x."""
    factor = load(c, 0)
    for i in range(len(acc)):
        store(acc, i, add_r(load(acc, i), mul_r(factor, load(x, i))))


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def dot(a: Words, b: Words, out: Words) -> None:
    """out[0] = sum a[i] * b[i]."""
    total = ZERO
    for i in range(len(a)):
        total = add_r(total, mul_r(load(a, i), load(b, i)))
    store(out, 0, total)


@kernel(VOID(TABLE, TABLE_OUT))
def prefix_sums(x: Words, out: Words) -> None:
    """out[i] = x[0] + .. + x[i]."""
    total = ZERO
    for i in range(len(out)):
        total = add_r(total, load(x, i))
        store(out, i, total)


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def powers(base: Words, first: Words, out: Words) -> None:
    """out[i] = first[0] * base[0]^i, as four interleaved chains: a product takes longer than it keeps busy."""
    step = load(base, 0)
    value = load(first, 0)
    for i in range(min(4, len(out))):
        store(out, i, value)
        value = mul_r(value, step)
    step = mul_r(step, step)
    step = mul_r(step, step)
    for i in range(4, len(out)):
        store(out, i, mul_r(load(out, i - 4), step))


@kernel(VOID(TABLE, TABLE_OUT, TABLE_OUT))
def invert(x: Words, products: Words, out: Words) -> None:
    """out = 1/x with one inversion (Montgomery's trick); zeros stay zero. products: room for as many rows."""
    total = R_ONE
    for i in range(len(x)):
        store(products, i, total)
        value = load(x, i)
        if not is_zero(value):
            total = mul_r(total, value)
    inverse = inverse_r(total)
    for i in range(len(x) - 1, -1, -1):
        value = load(x, i)
        if is_zero(value):
            store(out, i, ZERO)
        else:
            store(out, i, mul_r(inverse, load(products, i)))
            inverse = mul_r(inverse, value)


@kernel(VOID(TABLE, TABLE_OUT))
def to_montgomery(x: Words, out: Words) -> None:
    """out = x mod R in Montgomery form, for any 256-bit x."""
    for i in range(len(out)):
        store(out, i, mul_r(load(x, i), R_SQUARE))


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def to_montgomery_wide(low: Words, high: Words, out: Words) -> None:
    """out = low + 2^256 high mod R in Montgomery form, for any 256-bit low and high."""
    for i in range(len(out)):
        store(out, i, add_r(mul_r(load(low, i), R_SQUARE), mul_r(load(high, i), R_CUBE)))


@kernel(VOID(TABLE, TABLE_OUT))
def from_montgomery(x: Words, out: Words) -> None:
    """out = the integers that x stands for."""
    for i in range(len(out)):
        store(out, i, mul_r(load(x, i), PLAIN_ONE))


@kernel(SIZE(TABLE))
def first_large(x: Words) -> int:
    """The first row that is R or more, len(x) if there is none."""
    for i in range(len(x)):
        if not less(load(x, i), R_WORDS):
            return i
    return len(x)


@kernel(VOID(SIGNED, TABLE_OUT))
def from_signed(x: npt.NDArray[np.int64], out: Words) -> None:
    """out = x in Montgomery form."""
    for i in range(len(out)):
        size = np.uint64(-x[i]) if x[i] < 0 else np.uint64(x[i])
        value = mul_r((size, ZERO[0], ZERO[0], ZERO[0]), R_SQUARE)
        store(out, i, sub_r(ZERO, value) if x[i] < 0 else value)


@kernel(SIZE(TABLE, SIGNED_OUT))
def to_signed(x: Words, out: npt.NDArray[np.int64]) -> int:
    """out = the integers of least absolute value; returns the first row that does not fit 63 bits, or len(x)."""
    for i in range(len(x)):
        value = mul_r(load(x, i), PLAIN_ONE)
        positive = less(value, _HALF)
        if not positive:
            value = sub_r(ZERO, value)
        if value[1] | value[2] | value[3] | (value[0] >> np.uint64(63)):
            return i
        out[i] = np.int64(value[0]) if positive else -np.int64(value[0])
    return len(x)


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def horner(coefficients: Words, point: Words, out: Words) -> None:
    """out[0] = sum coefficients[i] * point[0]^i."""
    z = load(point, 0)
    total = ZERO
    for i in range(len(coefficients) - 1, -1, -1):
        total = add_r(mul_r(total, z), load(coefficients, i))
    store(out, 0, total)


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def divide_linear(coefficients: Words, point: Words, out: Words) -> None:
    """out[0] = value at z = point[0], out[1:] = quotient by X - z, both by Ruffini's rule."""
    z = load(point, 0)
    total = ZERO
    for i in range(len(coefficients) - 1, -1, -1):
        total = add_r(mul_r(total, z), load(coefficients, i))
        store(out, i, total)


@kernel(VOID(TABLE_OUT, SIZE))
def fold(x: Words, n: int) -> None:
    """x[i] += x[i + n] from the top: then x[n:] is the quotient by X^n - 1 and x[:n] the remainder."""
    for i in range(len(x) - n - 1, -1, -1):
        store(x, i, add_r(load(x, i), load(x, i + n)))


@kernel(VOID(TABLE_OUT, TABLE, SIZE, SIZE))
def butterflies(x: Words, roots: Words, start: int, stop: int) -> None:
    """One step of a transform from order to bit-reversed order (Gentleman-Sande 1966).

    Rows i and i + h, h = len(roots), of every block of 2 h rows are a pair; pairs are numbered through the whole table,
    and those from ``start`` to before ``stop`` are done. roots: the powers of the root of order 2 h.
    """
    half = len(roots)
    for k in range(start, stop):
        offset = k & (half - 1)
        i = 2 * k - offset
        a, b = load(x, i), load(x, i + half)
        store(x, i, add_r(a, b))
        store(x, i + half, mul_r(sub_r(a, b), load(roots, offset)))
