"""Pseudo-random sharings without a message (Cramer, Damgard, Ishai, TCC 2005).

One seed per set of n - t points, held by the provers in the set. For a set A let f_A be the polynomial of degree t with
f_A(0) = 1 and f_A(x) = 0 for the t points x outside A: a prover needs the seeds of its own sets only, since f_A
vanishes at its point otherwise. Whatever t provers collude, the set of the other n - t has a seed that none of them
holds. Labels must never repeat under the same seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand

Seeds = Mapping[tuple[int, ...], bytes]
"""Set of points (ascending) -> its 32-byte seed."""


@lru_cache(maxsize=64)
def subsets(n: int, t: int) -> tuple[tuple[int, ...], ...]:
    """All sets of n - t of the points 1 .. n, each ascending, in lexicographic order. ValueError unless 0 <= t < n."""
    if not 0 <= t < n:
        raise ValueError(f"no sets of n - t for n = {n}, t = {t}")
    return tuple(combinations(range(1, n + 1), n - t))


@lru_cache(maxsize=4096)
def _indicator(members: tuple[int, ...], n: int, at: int) -> int:
    """f_A(at) for A = members."""
    numerator, denominator = 1, 1
    for x in range(1, n + 1):
        if x not in members:
            numerator = numerator * (at - x) % P
            denominator = denominator * -x % P
    return numerator * pow(denominator, -1, P) % P


def _seed(seeds: Seeds, members: tuple[int, ...]) -> bytes:
    try:
        return seeds[members]
    except KeyError:
        raise ValueError(f"the seed of the set {members} is missing") from None


def _check(point: int, n: int) -> None:
    if not 1 <= point <= n:
        raise ValueError(f"point {point} is not in 1 .. {n}")


def zero_share(seeds: Seeds, point: int, n: int, t: int, label: bytes, length: int) -> Vector:
    """The share at ``point`` of a pseudo-random degree-2t sharing of zero, (length,).

    sum over the sets A that hold ``point``, and l = 1 .. t, of PRG(seed_A, label, l) * point^l * f_A(point):
    polynomials of degree t + l that vanish at 0, and random enough to hide everything but the secret of what they are
    added to.
    seeds: at least those of every set that holds ``point``.  label: unique per opening. ValueError if a seed is
    missing.
    """
    _check(point, n)
    total = gl.zeros(length)
    for members in subsets(n, t):
        if point not in members:
            continue
        seed = _seed(seeds, members)
        for power in range(1, t + 1):
            values = expand(seed, length, b"zero" + power.to_bytes(2, "big") + label)
            gl.axpy(total, pow(point, power, P) * _indicator(members, n, point), values)
    return total


def vanishing_share(seeds: Seeds, point: int, at: int, n: int, t: int, label: bytes, length: int) -> Vector:
    """The share at ``point`` of a pseudo-random degree-t sharing that vanishes at the point ``at``, (length,).

    sum over the sets A that hold ``point`` and not ``at`` of PRG(seed_A, label) * f_A(point). The party at ``at`` knows
    none of these seeds; every polynomial of degree <= t that vanishes there is equally likely to it.
    seeds: at least those of the sets used.  label: unique per use. ValueError if a seed is missing or point equals
    ``at``.
    """
    _check(point, n)
    _check(at, n)
    if point == at:
        raise ValueError(f"the share at {point} is zero: nothing to send to oneself")
    total = gl.zeros(length)
    for members in subsets(n, t):
        if point in members and at not in members:
            values = expand(_seed(seeds, members), length, b"vanishing" + at.to_bytes(2, "big") + label)
            gl.axpy(total, _indicator(members, n, point), values)
    return total
