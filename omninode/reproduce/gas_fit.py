"""How a cost grows: least squares through measured points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Line:
    """y = base + slope x. worst: largest |fitted - measured| / measured."""

    base: float
    slope: float
    worst: float

    def at(self, x: float) -> float:
        """The fitted value."""
        return self.base + self.slope * x

    def reaches(self, y: float) -> float | None:
        """Where a rising line is at ``y``; None where it never is, at no x above 0."""
        if self.slope <= 0 or y <= self.base:
            return None
        return (y - self.base) / self.slope


def line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Least squares, relative to y, which is positive: small values count as much as large ones.

    ValueError for fewer than two points.
    """
    if len(x) < 2:
        raise ValueError("a line needs two points")
    a, b = np.asarray(x, float), np.asarray(y, float)
    (base, slope), *_ = np.linalg.lstsq(np.stack([1 / b, a / b], axis=1), np.ones(len(b)), rcond=None)
    return Line(float(base), float(slope), float(np.abs((base + slope * a) / b - 1).max()))


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """k of y ~ x^k, by a line through the logarithms; x and y are positive. ValueError for fewer than two points."""
    if len(x) < 2:
        raise ValueError("an exponent needs two points")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])
