"""Kernels over points of G1. Callers use ``g1`` and ``msm``; nothing is checked here.

Affine points are rows (n, 8) of words: x and y in Montgomery form, infinity all zero. Sums in progress are four rows
each of (4 n, 4): X, Y, ZZ, ZZZ (see ``curve``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.bn254.curve import TRIVIAL, add_affine, add_mixed, add_sums, double, kind_of, load_sum, put, x_of, y_of
from protocols.bn254.field import (
    PLAIN_ONE,
    Q_ONE,
    Q_SQUARE,
    Q_WORDS,
    ZERO,
    Words,
    add_q,
    inverse_q,
    is_zero,
    load,
    mul_q,
    store,
    sub_q,
)
from protocols.fields.jit import SIGNED, SIZE, TABLE, TABLE_OUT, VOID, kernel
from protocols.fields.wide import less

Integers = npt.NDArray[np.int64]


@kernel(VOID(TABLE, TABLE_OUT))
def to_montgomery(x: Words, out: Words) -> None:
    """out = x in Montgomery form."""
    for i in range(len(out)):
        store(out, i, mul_q(load(x, i), Q_SQUARE))


@kernel(VOID(TABLE, TABLE_OUT))
def from_montgomery(x: Words, out: Words) -> None:
    """out = the integers that x stands for."""
    for i in range(len(out)):
        store(out, i, mul_q(load(x, i), PLAIN_ONE))


@kernel(SIZE(TABLE))
def first_large(x: Words) -> int:
    """The first row that is Q or more, len(x) if there is none."""
    for i in range(len(x)):
        if not less(load(x, i), Q_WORDS):
            return i
    return len(x)


@kernel(SIZE(TABLE))
def first_off_curve(points: Words) -> int:
    """The first row that is neither infinity nor on the curve, len(points) if there is none."""
    three = add_q(add_q(Q_ONE, Q_ONE), Q_ONE)
    for i in range(len(points)):
        x, y = x_of(points, i), y_of(points, i)
        right = add_q(mul_q(mul_q(x, x), x), three)
        if not is_zero(sub_q(mul_q(y, y), right)) and not (is_zero(x) and is_zero(y)):
            return i
    return len(points)


@kernel(VOID(TABLE, TABLE_OUT))
def negate(points: Words, out: Words) -> None:
    """out = -points."""
    for i in range(len(out)):
        put(out, i, (x_of(points, i), sub_q(ZERO, y_of(points, i))))


@kernel(VOID(TABLE, SIGNED, TABLE, TABLE_OUT, TABLE_OUT))
def add_chosen(table: Words, chosen: Integers, points: Words, products: Words, out: Words) -> None:
    """out[i] = points[i] + table[chosen[i]], all with one inversion. products: room for len(points) rows of 4."""
    total = Q_ONE
    for i in range(len(out)):
        j = chosen[i]
        store(products, i, total)
        kind, number = kind_of(x_of(points, i), y_of(points, i), x_of(table, j), y_of(table, j))
        if kind != TRIVIAL:
            total = mul_q(total, number)
    inverse = inverse_q(total)
    for i in range(len(out) - 1, -1, -1):
        j = chosen[i]
        x1, y1, x2, y2 = x_of(points, i), y_of(points, i), x_of(table, j), y_of(table, j)
        kind, number = kind_of(x1, y1, x2, y2)
        put(out, i, add_affine(kind, x1, y1, x2, y2, mul_q(inverse, load(products, i))))
        if kind != TRIVIAL:
            inverse = mul_q(inverse, number)


@kernel(VOID(TABLE, TABLE, TABLE_OUT, TABLE_OUT))
def multiply(points: Words, scalars: Words, multiples: Words, out: Words) -> None:
    """out[i] = scalars[i] * points[i] in progress, four bits at a time. scalars: integers, not in Montgomery form.

    multiples: room for 16 sums in progress.
    """
    for i in range(len(points)):
        x, y = x_of(points, i), y_of(points, i)
        value = (ZERO, ZERO, ZERO, ZERO)
        for j in range(16):
            for k in range(4):
                store(multiples, 4 * j + k, value[k])
            value = add_mixed(value, x, y)
        value = (ZERO, ZERO, ZERO, ZERO)
        for shift in range(252, -4, -4):
            if not is_zero(value[2]):
                for _ in range(4):
                    value = double(value)
            digit = int(np.int64((scalars[i, shift >> 6] >> np.uint64(shift & 63)) & np.uint64(15)))
            value = add_sums(value, load_sum(multiples, digit))
        for k in range(4):
            store(out, 4 * i + k, value[k])


@kernel(VOID(TABLE, TABLE_OUT, TABLE_OUT))
def to_affine(sums: Words, products: Words, out: Words) -> None:
    """out = sums in progress as affine points, with one inversion. products: room for as many rows of 4."""
    total = Q_ONE
    for i in range(len(out)):
        store(products, i, total)
        zzz = load(sums, 4 * i + 3)
        if not is_zero(zzz):
            total = mul_q(total, zzz)
    inverse = inverse_q(total)
    for i in range(len(out) - 1, -1, -1):
        x, y, zz, zzz = load_sum(sums, i)
        if is_zero(zzz):
            put(out, i, (ZERO, ZERO))
        else:
            own = mul_q(inverse, load(products, i))
            z = mul_q(zz, own)  # 1/Z
            put(out, i, (mul_q(x, mul_q(z, z)), mul_q(y, own)))
            inverse = mul_q(inverse, zzz)


@kernel(VOID(TABLE_OUT, SIZE))
def horner(sums: Words, width: int) -> None:
    """sums[0] = sum_w 2^(w width) sums[w], of sums in progress."""
    value = (ZERO, ZERO, ZERO, ZERO)
    for w in range(len(sums) // 4 - 1, -1, -1):
        for _ in range(width):
            value = double(value)
        value = add_sums(value, load_sum(sums, w))
    for k in range(4):
        store(sums, k, value[k])


@kernel(VOID(TABLE_OUT))
def add_up(sums: Words) -> None:
    """sums[0] = the sum of all, in progress."""
    value = (ZERO, ZERO, ZERO, ZERO)
    for i in range(len(sums) // 4):
        value = add_sums(value, load_sum(sums, i))
    for k in range(4):
        store(sums, k, value[k])
