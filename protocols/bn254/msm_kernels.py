"""Kernels of multi-scalar multiplication by buckets (Pippenger 1976), one window of digits at a time.

A scalar is written as its absolute value (at most (R - 1)/2) plus 2^(c-1) in every window but the highest, with its
sign in bit 255: so a digit is c bits less 2^(c-1), without carries between the windows, and lies between -2^(c-1) and
2^(c-1). Points with the same digit up to sign are in one bucket. The points of all buckets are added up in rounds of
pairs: a round needs one inversion per block, and a sum 6 products (batched affine addition).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.bn254.curve import TRIVIAL, add_affine, add_mixed, add_sums, kind_of, put, x_of, y_of
from protocols.bn254.field import PLAIN_ONE, Q_ONE, ZERO, Words, inverse_q, load, mul_q, mul_r, store, sub_q, sub_r
from protocols.fields.jit import SIGNED, SIGNED_OUT, SIZE, TABLE, TABLE_OUT, VOID, called, kernel
from protocols.fields.wide import Number, add_wide, less

Integers = npt.NDArray[np.int64]

_SIGN = np.uint64(1 << 63)
_1, _63 = np.uint64(1), np.uint64(63)


@called
def _length(x: Number) -> int:
    """The number of bits of x."""
    bits = 0
    for k in range(4):
        rest = x[k]
        if rest:
            bits = 64 * k
            for step in (32, 16, 8, 4, 2, 1):
                if rest >> np.uint64(step):
                    rest >>= np.uint64(step)
                    bits += step
            bits += 1
    return bits


@kernel(VOID(TABLE, TABLE_OUT, SIGNED_OUT))
def absolute(scalars: Words, out: Words, lengths: Integers) -> None:
    """out = absolute values of elements of Fr, integers, with the sign in bit 255; lengths = their numbers of bits."""
    for i in range(len(out)):
        value = mul_r(load(scalars, i), PLAIN_ONE)
        opposite = sub_r(ZERO, value)
        if less(opposite, value):
            store(out, i, (opposite[0], opposite[1], opposite[2], opposite[3] | _SIGN))
            lengths[i] = _length(opposite)
        else:
            store(out, i, value)
            lengths[i] = _length(value)


@kernel(VOID(TABLE_OUT, TABLE))
def add_offset(values: Words, offset: Words) -> None:
    """values[i] += offset[0]; the signs stay."""
    x = load(offset, 0)
    for i in range(len(values)):
        store(values, i, add_wide(load(values, i), x))


@called
def _digit(x: Number, shift: int, width: int, top: int) -> int:
    """The signed digit of ``width`` bits from bit ``shift`` on; top: it is the highest."""
    k, bit = shift >> 6, np.uint64(shift & 63)
    raw = x[k] >> bit
    if k < 3:
        raw |= (x[k + 1] << _1) << (_63 - bit)
    digit = int(np.int64(raw & ((_1 << np.uint64(width)) - _1)))
    if not top:
        digit -= 1 << (width - 1)
    return digit


@kernel(VOID(TABLE, TABLE, SIZE, SIZE, SIZE, SIGNED_OUT, TABLE_OUT))
def collect(
    points: Words, scalars: Words, shift: int, width: int, top: int, counts: Integers, sorted_points: Words
) -> None:
    """sorted_points = the points, negated where the digit is negative, ordered by digit; digit 0 is left out.

    counts, zero at first: (2^(width-1) + 1,); counts[k] becomes the number of points with digit k or -k, counts[0] 0.
    """
    for i in range(len(scalars)):
        x = load(scalars, i)
        digit = _digit((x[0], x[1], x[2], x[3] & ~_SIGN), shift, width, top)
        counts[abs(digit)] += 1
    counts[0] = 0
    place = 0
    for k in range(1, len(counts)):
        place, counts[k] = place + counts[k], place
    for i in range(len(scalars)):
        x = load(scalars, i)
        digit = _digit((x[0], x[1], x[2], x[3] & ~_SIGN), shift, width, top)
        if digit != 0:
            place = counts[abs(digit)]
            counts[abs(digit)] = place + 1
            y = y_of(points, i)
            if (digit < 0) != (x[3] >= _SIGN):
                y = sub_q(ZERO, y)
            put(sorted_points, place, (x_of(points, i), y))
    before = 0
    for k in range(1, len(counts)):
        before, counts[k] = counts[k], counts[k] - before


@kernel(VOID(TABLE_OUT, SIGNED_OUT, SIGNED_OUT, TABLE_OUT, TABLE_OUT))
def add_buckets(points: Words, counts: Integers, pairs: Integers, numbers: Words, products: Words) -> None:
    """Add up the points of every bucket; the sums end at the beginning of ``points``, counts become 0 or 1.

    counts[k] points of bucket k, bucket after bucket. pairs, numbers, products: room for one block.
    """
    largest = 2
    while largest > 1:
        largest = 0
        bucket, inside, first, written = 0, 0, 0, 0
        while bucket < len(counts):
            m = 0
            while m < len(pairs) and bucket < len(counts):
                count = counts[bucket]
                if inside < count:
                    pairs[m] = 4 * (first + inside) + (3 if inside + 1 == count else 0)
                    inside += 2
                    m += 1
                else:
                    first += count
                    counts[bucket] = (count + 1) >> 1
                    largest = max(largest, counts[bucket])
                    bucket, inside = bucket + 1, 0
            total = Q_ONE
            for k in range(m - 1, -1, -1):  # backwards, so that the sums can be written forwards over what was read
                i = pairs[k] >> 2
                if pairs[k] & 3 == 0:
                    kind, number = kind_of(x_of(points, i), y_of(points, i), x_of(points, i + 1), y_of(points, i + 1))
                    pairs[k] += kind
                    if kind != TRIVIAL:
                        store(products, k, total)
                        store(numbers, k, number)
                        total = mul_q(total, number)
            inverse = inverse_q(total)
            for k in range(m):
                i, kind = pairs[k] >> 2, pairs[k] & 3
                if kind == 3:
                    put(points, written, (x_of(points, i), y_of(points, i)))
                else:
                    own = mul_q(inverse, load(products, k))
                    x1, y1, x2, y2 = x_of(points, i), y_of(points, i), x_of(points, i + 1), y_of(points, i + 1)
                    put(points, written, add_affine(kind, x1, y1, x2, y2, own))
                    if kind != TRIVIAL:
                        inverse = mul_q(inverse, load(numbers, k))
                written += 1


@kernel(VOID(TABLE, SIGNED, TABLE_OUT))
def weigh_buckets(points: Words, counts: Integers, out: Words) -> None:
    """out[0] = sum k * bucket k, in progress, where bucket k is infinity if counts[k] = 0, else the next point."""
    place = 0
    for k in range(len(counts)):
        place += counts[k]
    running = (ZERO, ZERO, ZERO, ZERO)
    total = running
    for k in range(len(counts) - 1, 0, -1):
        if counts[k]:
            place -= 1
            running = add_mixed(running, x_of(points, place), y_of(points, place))
        total = add_sums(total, running)
    for k in range(4):
        store(out, k, total[k])
