"""Openings: the value of a shared vector from messages of which some are lies and some are missing.

A value counts as soon as one polynomial of degree D fits D + 1 + t of the messages that were received: then D + 1
honest ones are among them and no later message changes it (online error correction, Ben-Or, Canetti, Goldreich 1993).
What is missing never counts as agreement. Messages off that polynomial are lies, and their senders are named.

Sets of at most t liars are tried, the smallest first, on one combination of all elements, whose weights follow from the
messages; what is found is then compared in every element. The same works for scalars and, in the exponent, for points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

from protocols.bn254 import fr, g1
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Points

Table = npt.NDArray[np.uint64]
"""A vector of scalars, (n, 4), or points, (n, 8)."""


@dataclass(frozen=True, eq=False, slots=True)
class Decoded:
    """values: what is shared, (n, 4) scalars or (n, 8) points.  liars: whose message is off, points ascending."""

    values: Table
    liars: tuple[int, ...]


def decode_scalars(received: Mapping[int, Vector], degree: int, need: int) -> Decoded | None:
    """Decode vectors, all elements with one set of liars; None until ``need`` messages agree in every element.

    received: point -> message, (n, 4).  degree: D, of the sharing.  need: D + 1 + t; as many liars as it is above D + 1
    are put up with, and with more of them the result is None.
    ValueError for messages of different shapes, a point that is 0, or need <= degree.
    """
    return _decode(received, degree, need, _SCALARS)


def decode_points(received: Mapping[int, Points], degree: int, need: int) -> Decoded | None:
    """``decode_scalars`` in the exponent.  received: point -> message, (n, 8), points of the curve."""
    return _decode(received, degree, need, _POINTS)


def combine_points(weights: Sequence[int], tables: Sequence[Points]) -> Points:
    """sum_k weights[k] * tables[k], point by point. ValueError for no tables."""
    if not tables or len(weights) != len(tables):
        raise ValueError(f"{len(weights)} weights for {len(tables)} tables")
    total = g1.infinities(len(tables[0]))
    for weight, table in zip(weights, tables, strict=True):
        if weight:
            total = g1.add(total, g1.multiply(table, fr.single(weight)))
    return total


@lru_cache(maxsize=4096)
def lagrange(nodes: tuple[int, ...], at: int) -> tuple[int, ...]:
    """The coefficients that take values at ``nodes``, distinct, to their polynomial's value at ``at``."""
    return tuple(_product(at - y for y in nodes if y != x) * _apart(nodes, x) % R for x in nodes)


def _apart(nodes: Sequence[int], x: int) -> int:
    return pow(_product(x - y for y in nodes if y != x), -1, R)


def _product(factors: Iterable[int]) -> int:
    out = 1
    for factor in factors:
        out = out * factor % R
    return out


@dataclass(frozen=True, slots=True)
class _Group:
    """What is decoded. mix: one element from all of a message. times: one element by many scalars."""

    combine: Callable[[Sequence[int], Sequence[Table]], Table]
    mix: Callable[[Vector, Table], Table]
    times: Callable[[Table, Vector], Table]
    add: Callable[[Table, Table], Table]


_SCALARS = _Group(
    fr.combine,
    lambda weights, m: fr.single(fr.inner(weights, m)),
    lambda x, factors: fr.scale(fr.integers(x)[0], factors),
    fr.add,
)
_POINTS = _Group(combine_points, lambda weights, m: g1.total(g1.multiply(m, weights)), g1.multiply_fixed, g1.add)


def _decode(received: Mapping[int, Table], degree: int, need: int, group: _Group) -> Decoded | None:
    if degree < 0 or need <= degree or any(not 0 < x < R for x in received):
        raise ValueError(f"cannot decode at {sorted(received)}, degree {degree}, from {need} messages")
    if len({m.shape for m in received.values()}) > 1:
        raise ValueError("messages of different lengths")
    points = tuple(sorted(received))
    if len(points) < need:
        return None
    combine, syndromes = group.combine, _syndromes([received[x] for x in points], points, degree, group)
    for number in range(min(len(points) - need, need - degree - 1) + 1):
        for liars in _explaining(syndromes, points, number, group):
            kept = tuple(x for x in points if x not in liars)
            base, parts = kept[: degree + 1], [received[x] for x in kept[: degree + 1]]
            if all((combine(lagrange(base, x), parts) == received[x]).all() for x in kept[degree + 1 :]):
                return Decoded(combine(lagrange(base, 0), parts), liars)
    return None


def _syndromes(messages: Sequence[Table], points: tuple[int, ...], degree: int, group: _Group) -> list[Table]:
    """One word of the code, mixed from all elements, through the dual code: all zero if it has degree D."""
    weights = _weights(b"".join(m.tobytes() for m in messages), len(messages[0]))
    word = [group.mix(weights, m) for m in messages]
    apart = [_apart(points, x) for x in points]
    return [
        group.combine([a * pow(x, i, R) % R for a, x in zip(apart, points, strict=True)], word)
        for i in range(len(points) - degree - 1)
    ]


def _explaining(
    syndromes: Sequence[Table], points: tuple[int, ...], number: int, group: _Group
) -> list[tuple[int, ...]]:
    """Sets of so many liars without whom the word has degree D, but for one case in R.

    The locator, which vanishes at the liars, times any polynomial of low enough degree is orthogonal to the word. That
    polynomial is the same for all sets: each costs as many small steps as it has liars.
    """
    sets = list(combinations(points, number))
    if not syndromes:
        return sets
    weights = fr.integers(_weights(b"".join(s.tobytes() for s in syndromes), len(syndromes) - number))
    shifted = [group.combine(weights, syndromes[i : i + len(weights)]) for i in range(number + 1)]
    locators = [_locator(liars) for liars in sets]
    total = np.repeat(shifted[number], len(sets), axis=0)
    for i in range(number):
        total = group.add(total, group.times(shifted[i], fr.vector(locator[i] for locator in locators)))
    return [liars for liars, left in zip(sets, total, strict=True) if not left.any()]


def _locator(liars: Sequence[int]) -> list[int]:
    """Coefficients of the polynomial with these zeros and leading coefficient 1, the constant first."""
    out = [1]
    for x in liars:
        out = [(b - x * a) % R for a, b in zip([*out, 0], [0, *out], strict=True)]
    return out


def _weights(data: bytes, count: int) -> Vector:
    """Weights that follow from the data, so that nobody can choose the data to fit them."""
    return fr.expand(b"omninode/zk/decode" + data, count)
