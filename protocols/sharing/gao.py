"""Unique decoding of one Reed-Solomon word over Goldilocks (Gao 2003), in plain integers.

Used where a position of a vector is found damaged; whole vectors go through ``robust``.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocols.fields.goldilocks import P

Polynomial = list[int]  # coefficients, lowest first, no trailing zeros; [] is zero


def _trim(a: Polynomial) -> Polynomial:
    while a and a[-1] == 0:
        a.pop()
    return a


def _multiply(a: Polynomial, b: Polynomial) -> Polynomial:
    out = [0] * max(0, len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] = (out[i + j] + x * y) % P
    return _trim(out)


def _subtract(a: Polynomial, b: Polynomial) -> Polynomial:
    width = max(len(a), len(b))
    return _trim([(x - y) % P for x, y in zip(a + [0] * (width - len(a)), b + [0] * (width - len(b)), strict=True)])


def _divide(a: Polynomial, b: Polynomial) -> tuple[Polynomial, Polynomial]:
    """Quotient and remainder; b is not zero."""
    remainder, quotient = list(a), [0] * max(0, len(a) - len(b) + 1)
    lead = pow(b[-1], -1, P)
    for shift in range(len(quotient) - 1, -1, -1):
        quotient[shift] = c = remainder[shift + len(b) - 1] * lead % P
        for i, y in enumerate(b):
            remainder[shift + i] = (remainder[shift + i] - c * y) % P
    return _trim(quotient), _trim(remainder)


def _interpolate(points: Sequence[int], values: Sequence[int], vanishing: Polynomial) -> Polynomial:
    """The polynomial of degree < len(points) through the values; ``vanishing`` is the product of all (X - point)."""
    total: Polynomial = []
    for x, y in zip(points, values, strict=True):
        basis, _ = _divide(vanishing, [-x % P, 1])
        c = y * pow(evaluate(basis, x), -1, P) % P
        total = _subtract(total, [-c * v % P for v in basis])
    return total


def evaluate(polynomial: Polynomial, x: int) -> int:
    """The polynomial at x (Horner)."""
    value = 0
    for c in reversed(polynomial):
        value = (value * x + c) % P
    return value


def decode_word(points: Sequence[int], values: Sequence[int], degree: int, max_errors: int) -> Polynomial | None:
    """The polynomial of degree <= ``degree`` that differs from the values at ``max_errors`` points at most, or None.

    points: distinct.  max_errors <= (len(points) - degree - 1) / 2, so that there is at most one. Gao, "A new algorithm
    for decoding Reed-Solomon codes": run Euclid on (product of (X - point), interpolation) until the remainder's degree
    is below (n + degree + 1)/2; if a polynomial within the distance exists, it is that remainder divided by its
    cofactor.
    """
    vanishing: Polynomial = [1]
    for x in points:
        vanishing = _multiply(vanishing, [-x % P, 1])
    older, newer = vanishing, _interpolate(points, values, vanishing)
    cofactor_older, cofactor = [], [1]
    while 2 * (len(newer) - 1) >= len(points) + degree + 1:
        quotient, remainder = _divide(older, newer)
        older, newer = newer, remainder
        cofactor_older, cofactor = cofactor, _subtract(cofactor_older, _multiply(quotient, cofactor))
    found, rest = _divide(newer, cofactor)
    wrong = sum(evaluate(found, x) != y for x, y in zip(points, values, strict=True))
    return None if rest or len(found) > degree + 1 or wrong > max_errors else found
