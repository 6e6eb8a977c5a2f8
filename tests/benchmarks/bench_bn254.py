"""Arithmetic of the proofs that the contract checks: Fr, transforms, sums of multiples of points. Medians."""

from __future__ import annotations

import numpy as np

from protocols.bn254 import fr, g1, poly
from protocols.bn254 import fr_kernels as kernels
from protocols.bn254.fr import Vector
from protocols.bn254.msm import msm
from tests.benchmarks.bench_core import median_s
from tests.benchmarks.rows import Row, row

ELEMENTS, REPEATS = 1 << 10, 100
LOG_VALUES, LOG_POINTS = 18, 17
THREADS = (1, 2)


def product() -> list[Row]:
    """A product in Fr, operands in the first-level cache."""
    a, b = fr.powers(3, ELEMENTS), fr.powers(5, ELEMENTS)

    def work() -> None:
        for _ in range(REPEATS):
            kernels.mul(a, b, a)

    return [row("Fr product", {"bits": 254}, 1e9 * median_s(work, 15) / (ELEMENTS * REPEATS), None, "ns")]


def transform() -> list[Row]:
    """From coefficients to values and back."""
    n = 1 << LOG_VALUES
    p = fr.powers(7, n)
    rows = []
    for threads in THREADS:
        params = {"n": n, "threads": threads}
        forward = median_s(lambda t=threads: poly.values(p, n, threads=t), 5)  # type: ignore[misc]
        rows.append(row("Fr transform", params, 1e3 * forward, None, "ms"))
    if not np.array_equal(poly.interpolate(poly.values(p, n)), p):
        raise SystemExit("Fr transform: the inverse gives something else back")
    return rows


def sums() -> list[Row]:
    """Sums of multiples: random scalars, and small ones of both signs."""
    n = 1 << LOG_POINTS
    exponents = fr.powers(11, n)
    points = g1.multiply_fixed(g1.generator(), exponents)
    small = fr.from_signed(np.random.default_rng(1).integers(-(2**15), 2**15, n))
    return [
        row_of(points, exponents, scalars, bits, threads)
        for bits, scalars in ((254, fr.powers(13, n)), (16, small))
        for threads in THREADS
    ]


def row_of(points: g1.Points, exponents: Vector, scalars: Vector, bits: int, threads: int) -> Row:
    """One row, its result checked: the points are known multiples of the generator."""
    if not np.array_equal(msm(points, scalars, threads), g1.multiply_fixed(g1.generator(), known(exponents, scalars))):
        raise SystemExit("G1 sum of multiples: the sum is wrong")
    params = {"points": len(points), "bits": bits, "threads": threads}
    return row("G1 sum of multiples", params, median_s(lambda: msm(points, scalars, threads), 5), None, "s")


def known(exponents: Vector, scalars: Vector) -> Vector:
    """The discrete logarithm of the sum."""
    return fr.single(fr.inner(exponents, scalars))


def run() -> list[Row]:
    """Rows for ``make bench``."""
    return [*product(), *transform(), *sums()]
