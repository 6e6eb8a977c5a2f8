"""Arithmetic modulo 254-bit primes for kernels: a number is four 64-bit words, the lowest first.

What stands here are the definitions, on Python's integers. In a kernel the same names become LLVM's 128- and 256-bit
arithmetic (``wide_llvm``): carries stay in the processor's flags, which Numba's own integers cannot express.
Moduli p are odd and less than 2^254. Montgomery form of x is x * 2^256 mod p (Montgomery 1985).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protocols.fields.jit import written_in_llvm

Number = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
"""Four words, the lowest first."""

_LLVM = "protocols.fields.wide_llvm"
_WORD = 2**64 - 1


def words(x: int) -> Number:
    """The four words of 0 <= x < 2^256 (OverflowError otherwise)."""
    x.to_bytes(32, "little")
    return np.uint64(x & _WORD), np.uint64(x >> 64 & _WORD), np.uint64(x >> 128 & _WORD), np.uint64(x >> 192)


def integer(number: Sequence[np.uint64]) -> int:
    """The inverse of ``words``."""
    return sum(int(word) << 64 * i for i, word in enumerate(number))


@written_in_llvm(_LLVM)
def add_mod(a: Number, b: Number, p: Number) -> Number:
    """a + b mod p for a, b < p."""
    return words((integer(a) + integer(b)) % integer(p))


@written_in_llvm(_LLVM)
def sub_mod(a: Number, b: Number, p: Number) -> Number:
    """a - b mod p for a, b < p."""
    return words((integer(a) - integer(b)) % integer(p))


@written_in_llvm(_LLVM)
def mul_montgomery(a: Number, b: Number, p: Number, negative_inverse: np.uint64) -> Number:
    """a * b / 2^256 mod p for any a < 2^256 and b < p. negative_inverse: -1/p mod 2^64."""
    return words(integer(a) * integer(b) * pow(2, -256, integer(p)) % integer(p))


@written_in_llvm(_LLVM)
def add_wide(a: Number, b: Number) -> Number:
    """a + b mod 2^256."""
    return words((integer(a) + integer(b)) % 2**256)


@written_in_llvm(_LLVM)
def sub_wide(a: Number, b: Number) -> Number:
    """a - b mod 2^256."""
    return words((integer(a) - integer(b)) % 2**256)


@written_in_llvm(_LLVM)
def less(a: Number, b: Number) -> bool:
    """a < b."""
    return integer(a) < integer(b)


@written_in_llvm(_LLVM)
def apart() -> None:
    """Keeps the function that calls this out of those that call it: a call costs less there than a copy."""
