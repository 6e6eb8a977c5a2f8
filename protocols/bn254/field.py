"""The two prime fields of BN254 for kernels: Fr, the scalars, and Fq, the coordinates. Numbers are in Montgomery form.

r and q as in EIP-196; 2^253 < r < q < 2^254.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.fields.jit import called, copied, inlined
from protocols.fields.wide import Number, add_mod, apart, mul_montgomery, sub_mod, words

R: int = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""The number of points of the curve; scalars are integers mod R."""

Q: int = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""Coordinates of points are integers mod Q."""

MONTGOMERY: int = 2**256

Words = npt.NDArray[np.uint64]

R_WORDS, Q_WORDS = words(R), words(Q)
R_ONE, Q_ONE = words(MONTGOMERY % R), words(MONTGOMERY % Q)
R_SQUARE, Q_SQUARE = words(MONTGOMERY**2 % R), words(MONTGOMERY**2 % Q)
R_CUBE = words(MONTGOMERY**3 % R)
ZERO = words(0)
PLAIN_ONE = words(1)
_R_HELP, _Q_HELP = np.uint64(-pow(R, -1, 2**64) % 2**64), np.uint64(-pow(Q, -1, 2**64) % 2**64)
_R_MINUS_2, _Q_MINUS_2 = words(R - 2), words(Q - 2)
_1, _63 = np.uint64(1), np.uint64(63)


@inlined
def load(table: Words, i: int) -> Number:
    """Row i of (n, 4)."""
    return (table[i, 0], table[i, 1], table[i, 2], table[i, 3])


@inlined
def store(table: Words, i: int, x: Number) -> None:
    """Row i of (n, 4) becomes x."""
    table[i, 0], table[i, 1], table[i, 2], table[i, 3] = x[0], x[1], x[2], x[3]


@copied
def is_zero(x: Number) -> bool:
    """x = 0."""
    return bool((x[0] | x[1] | x[2] | x[3]) == 0)


@copied
def add_r(a: Number, b: Number) -> Number:
    """a + b in Fr."""
    return add_mod(a, b, R_WORDS)


@copied
def sub_r(a: Number, b: Number) -> Number:
    """a - b in Fr."""
    return sub_mod(a, b, R_WORDS)


@copied
def mul_r(a: Number, b: Number) -> Number:
    """a * b in Fr; a may be any 256-bit number."""
    return mul_montgomery(a, b, R_WORDS, _R_HELP)


@copied
def add_q(a: Number, b: Number) -> Number:
    """a + b in Fq."""
    return add_mod(a, b, Q_WORDS)


@copied
def sub_q(a: Number, b: Number) -> Number:
    """a - b in Fq."""
    return sub_mod(a, b, Q_WORDS)


@copied
def mul_q(a: Number, b: Number) -> Number:
    """a * b in Fq; a may be any 256-bit number."""
    return mul_montgomery(a, b, Q_WORDS, _Q_HELP)


@called
def product_q(a: Number, b: Number) -> Number:
    """``mul_q``, for formulas with so many products that they are better called than copied."""
    apart()
    return mul_montgomery(a, b, Q_WORDS, _Q_HELP)


@called
def inverse_r(x: Number) -> Number:
    """1/x in Fr by Fermat; 0 for 0."""
    out = R_ONE
    for i in range(253, -1, -1):
        out = mul_r(out, out)
        if (_R_MINUS_2[i >> 6] >> (np.uint64(i) & _63)) & _1:
            out = mul_r(out, x)
    return out


@called
def inverse_q(x: Number) -> Number:
    """1/x in Fq by Fermat; 0 for 0."""
    out = Q_ONE
    for i in range(253, -1, -1):
        out = mul_q(out, out)
        if (_Q_MINUS_2[i >> 6] >> (np.uint64(i) & _63)) & _1:
            out = mul_q(out, x)
    return out
