"""Inner products of many long vectors, which need not fit memory together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from protocols.bn254 import fr, poly
from protocols.bn254.fr import Vector
from protocols.zk.statement import triangle

Share = Callable[[int], Vector]
"""The k-th vector, (d + 6, 4), read when it is asked for."""

GROUP = 8
"""Vectors that are held at once, twice."""


def gram(share: Share, count: int, length: int, threads: int = 1) -> Vector:
    """(count (count + 1)/2, 4): inner products of the first ``length`` elements, lower triangle, row by row.

    Every vector is read count / 8 times.
    """
    place = {pair: i for i, pair in enumerate(triangle(count))}
    out = fr.zeros(len(place))
    groups = [range(start, min(start + GROUP, count)) for start in range(0, count, GROUP)]
    for number, rows in enumerate(groups):
        left = {k: share(k)[:length] for k in rows}
        for columns in groups[: number + 1]:
            right = left if columns is rows else {k: share(k)[:length] for k in columns}
            pairs = [(k, other) for k in rows for other in columns if other <= k]
            values = inner_each([(left[k], right[other]) for k, other in pairs], threads)
            out[[place[pair] for pair in pairs]] = values
    return out


def inner_each(pairs: Sequence[tuple[Vector, Vector]], threads: int = 1) -> Vector:
    """(len(pairs), 4): the inner product of every pair."""
    out = fr.zeros(len(pairs))

    def work(i: int) -> None:
        out[i] = fr.single(fr.inner(*pairs[i]))[0]

    poly.each(work, range(len(pairs)), threads)
    return out


def weighted(share: Share, weights: Sequence[int], length: int) -> Vector:
    """(length, 4): the sum of the vectors with these weights, each read once."""
    total = fr.zeros(length)
    for k, weight in enumerate(weights):
        fr.add_scaled(total, weight, np.ascontiguousarray(share(k)[:length]))
    return total


def with_one(share: Share, count: int, one: Vector, threads: int = 1) -> Vector:
    """(count, 4): inner products of the first elements of every vector with ``one``; each vector is read once."""
    out = fr.zeros(count)

    def work(k: int) -> None:
        out[k] = fr.single(fr.inner(np.ascontiguousarray(share(k)[: len(one)]), one))[0]

    poly.each(work, range(count), threads)
    return out
