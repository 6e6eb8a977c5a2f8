"""The arithmetic that every session rests on: sharing, robust opening, inner products. One thread, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.fields.prg import expand
from protocols.gram import exact
from protocols.sharing import robust, shamir
from tests.benchmarks.rows import Row, against_aim, row

D, POINTS, DEGREE = 10**6, (1, 2, 3, 4, 5), 1
DATA_OWNERS = 12
GRAM_ROWS = 32
LIAR = 3
"""Point of the prover that lies."""


def median_s(work: Callable[[], Any], times: int) -> float:
    """Median wall seconds; the first call, which may compile, does not count."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def seed(*parts: int) -> bytes:
    """32 bytes, different for different small numbers."""
    return bytes(parts).ljust(32, b"\0")


def sharing() -> list[Row]:
    """A data owner's work: five share vectors, or four and a seed as they really travel."""
    secret = expand(seed(1), D)
    params = {"d": D, "n": len(POINTS), "t": DEGREE}
    full = median_s(lambda: shamir.share(secret, DEGREE, POINTS, seed(2)), 15)
    dealt = median_s(lambda: shamir.deal(secret, DEGREE, POINTS, seed(2)), 15)
    return [
        against_aim("share a vector", params, 1e3 * full, "ms"),
        row("share a vector, one share as a seed", params, 1e3 * dealt, None, "ms"),
    ]


def added(vectors: Sequence[Vector]) -> Vector:
    """One prover's share of the sum."""
    total = vectors[0].copy()
    for vector in vectors[1:]:
        gl.add_into(total, vector)
    return total


def opening() -> list[Row]:
    """A prover's work: add up its shares of twelve data owners, decode the sum from five shares, one of them false."""
    secrets = [expand(seed(3, k), D) for k in range(DATA_OWNERS)]
    held: list[list[Vector]] = [[] for _ in POINTS]
    for k, secret in enumerate(secrets):
        for mine, share in zip(held, shamir.share(secret, DEGREE, POINTS, seed(4, k)), strict=True):
            mine.append(share)
    truth, sums = added(secrets), [added(mine) for mine in held]
    lied = [expand(seed(5), D) if x == LIAR else s for x, s in zip(POINTS, sums, strict=True)]
    return [
        _opened("robust sum and open", held[0], sums[1:], truth, ()),
        _opened("robust sum and open, one liar", held[0], lied[1:], truth, (LIAR,)),
    ]


def _opened(name: str, mine: list[Vector], others: list[Vector], truth: Vector, wrong: tuple[int, ...]) -> Row:
    def work() -> robust.Decoded:
        return robust.decode(POINTS, [added(mine), *others], DEGREE)

    found = work()
    if found.error_points != wrong or not np.array_equal(found.values, truth):
        raise SystemExit(f"{name}: the opened sum is wrong")
    params = {"d": D, "n": len(POINTS), "t": DEGREE, "data_owners": DATA_OWNERS}
    return against_aim(name, params, 1e3 * median_s(work, 15), "ms")


def gram() -> list[Row]:
    """Inner products of all pairs, exactly."""
    vectors = [expand(seed(6, k), D) for k in range(GRAM_ROWS)]
    return [against_aim("Gram matrix", {"rows": GRAM_ROWS, "d": D}, median_s(lambda: exact.gram(vectors), 5), "s")]


def run() -> list[Row]:
    """Rows for ``make bench``."""
    return [*sharing(), *opening(), *gram()]
