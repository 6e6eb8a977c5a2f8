"""Goldilocks in plain Python integers: slow, obvious, and what the kernels are tested against. Used by tests only."""

from __future__ import annotations

from collections.abc import Sequence

P = 2**64 - 2**32 + 1
"""The field's modulus."""


def add(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """a + b mod p, element by element."""
    return [(x + y) % P for x, y in zip(a, b, strict=True)]


def sub(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """a - b mod p, element by element."""
    return [(x - y) % P for x, y in zip(a, b, strict=True)]


def neg(a: Sequence[int]) -> list[int]:
    """-a mod p, element by element."""
    return [-x % P for x in a]


def mul(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """a * b mod p, element by element."""
    return [x * y % P for x, y in zip(a, b, strict=True)]


def scale(a: Sequence[int], c: int) -> list[int]:
    """c * a mod p."""
    return [c * x % P for x in a]


def lincomb(coeffs: Sequence[int], vectors: Sequence[Sequence[int]]) -> list[int]:
    """sum_k coeffs[k] * vectors[k] mod p."""
    return [sum(c * x for c, x in zip(coeffs, column, strict=True)) % P for column in zip(*vectors, strict=True)]


def dot(a: Sequence[int], b: Sequence[int]) -> int:
    """The inner product mod p."""
    return sum(x * y for x, y in zip(a, b, strict=True)) % P


def lift(c: int) -> int:
    """The representative of c in [-(p-1)/2, (p-1)/2]."""
    return c - P if c > P // 2 else c


def evaluate(coefficients: Sequence[int], x: int) -> int:
    """The polynomial with these coefficients (lowest first) at x."""
    value = 0
    for c in reversed(coefficients):
        value = (value * x + c) % P
    return value


def interpolate(points: Sequence[int], values: Sequence[int], at: int) -> int:
    """Value at ``at`` of the one polynomial of degree < len(points) through (points, values) (Lagrange)."""
    total = 0
    for i, (x, y) in enumerate(zip(points, values, strict=True)):
        numerator, denominator = 1, 1
        for j, other in enumerate(points):
            if i != j:
                numerator = numerator * (at - other) % P
                denominator = denominator * (x - other) % P
        total += y * numerator * pow(denominator, -1, P)
    return total % P
