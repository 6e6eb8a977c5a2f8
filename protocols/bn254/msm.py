"""Sums of many multiples of points: by windows and buckets, with the scalars' real lengths, in threads.

Negative scalars (R - x for a small x) are as short as their absolute values. Where few scalars are long, they are done
by themselves: the blinders of a polynomial do not make its small coefficients expensive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.bn254 import fr, g1, g1_kernels
from protocols.bn254 import msm_kernels as kernels
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Points
from protocols.bn254.poly import each

_MAX_WIDTH = 16
_ADD, _BUCKET, _WINDOW = 6.5, 24.0, 1500.0  # products of Fq: per point, per bucket, per window (inversions)
_SPLITS = (8, 16, 24, 32, 48, 64, 96, 128, 192)
_CHUNK = 1 << 14  # points, at least, that a thread gets of one window

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How scalars of a length are cut: ``windows`` of ``width`` bits; cost in products."""

    cost: float
    width: int
    windows: int


def _plan(count: int, bits: int) -> _Plan:
    """The cheapest for ``count`` scalars of at most so many bits; one bit more holds the carry."""
    plans = []
    for width in range(2, _MAX_WIDTH + 1):
        windows = -(-(bits + 1) // width)
        plans.append(_Plan(windows * (count * _ADD + (1 << width - 1) * _BUCKET + _WINDOW), width, windows))
    return min(plans, key=lambda plan: plan.cost)


def _split(lengths: npt.NDArray[np.int64]) -> int:
    """The length up to which scalars are done together, apart from longer ones: what costs least."""
    longest = int(lengths.max())
    numbers = np.cumsum(np.bincount(lengths, minlength=longest + 1))
    count = int(numbers[-1] - numbers[0])
    best, cheapest = longest, _plan(count, longest).cost
    for bits in _SPLITS:
        if bits < longest:
            short = int(numbers[bits] - numbers[0])
            cost = _plan(short, bits).cost + _plan(count - short, longest).cost
            if cost < cheapest:
                best, cheapest = bits, cost
    return best


def _window(points: Points, scalars: Words, shift: int, width: int, top: bool, out: Words) -> None:
    """out (4, 4) = sum of digit * point, in progress."""
    counts = np.zeros((1 << width - 1) + 1, dtype=np.int64)
    work = np.empty_like(points)
    kernels.collect(points, scalars, shift, width, top, counts, work)
    block = min(g1.BLOCK, len(points))
    numbers, products = np.empty((2, block, 4), dtype=np.uint64)
    kernels.add_buckets(work, counts, np.empty(block, dtype=np.int64), numbers, products)
    kernels.weigh_buckets(work, counts, out)


def _together(points: Points, absolute: Words, bits: int, threads: int) -> Words:
    """(4, 4): the sum in progress, for absolute values of at most so many bits with their signs."""
    plan = _plan(len(points), bits)
    offset = sum(1 << (plan.width - 1) + plan.width * w for w in range(plan.windows - 1))
    kernels.add_offset(absolute, fr.words_of([offset]))
    chunks = min(threads, -(-len(points) // _CHUNK)) if plan.windows < 2 * threads else 1
    bounds = [len(points) * k // chunks for k in range(chunks + 1)]
    sums = np.empty((chunks, plan.windows, 4, 4), dtype=np.uint64)

    def work(task: int) -> None:
        window, chunk = divmod(task, chunks)
        rows = slice(bounds[chunk], bounds[chunk + 1])
        top = window == plan.windows - 1
        _window(points[rows], absolute[rows], plan.width * window, plan.width, top, sums[chunk, window])

    each(work, range(plan.windows * chunks), threads if len(points) >= _CHUNK // 8 else 1)
    for chunk in range(chunks):
        g1_kernels.horner(sums[chunk].reshape(-1, 4), plan.width)
    total = np.ascontiguousarray(sums[:, 0]).reshape(-1, 4)
    g1_kernels.add_up(total)
    return total[:4]


def msm(points: Points, scalars: Vector, threads: int = 1) -> Points:
    """(1, 8): sum scalars[i] * points[i]; infinity for no points. ValueError for different numbers of them.

    threads: how many work at once; each needs 72 bytes per point.
    """
    if len(points) != len(scalars):
        raise ValueError(f"{len(scalars)} scalars for {len(points)} points")
    (points,) = g1.checked(points)
    absolute, lengths = np.empty((len(points), 4), dtype=np.uint64), np.empty(len(points), dtype=np.int64)
    kernels.absolute(np.ascontiguousarray(scalars), absolute, lengths)
    longest = int(lengths.max(initial=0))
    if not longest:
        return g1.infinities(1)
    split = _split(lengths)
    long = np.flatnonzero(lengths > split)
    sums = []
    if len(long):
        sums.append(_together(points.take(long, axis=0), absolute.take(long, axis=0), longest, threads))
        absolute[long] = 0
    sums.append(_together(points, absolute, split, threads))
    total = np.concatenate(sums)
    g1_kernels.add_up(total)
    return g1.affine(np.ascontiguousarray(total[:4]))
