"""How a cost grows: least squares through measured points."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Line:
    """y = base + slope x. worst: largest |fitted - measured| / measured."""

    base: float
    slope: float
    worst: float


@dataclass(frozen=True)
class Polyline:
    """Straight from each measured point to the next, and on beyond the last two on either side. x ascending."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.x) < 2 or list(self.x) != sorted(set(self.x)) or len(self.x) != len(self.y):
            raise ValueError("a polyline needs two points, in ascending order")

    def at(self, x: float) -> float:
        """The value there."""
        k = min(max(bisect_right(self.x, x) - 1, 0), len(self.x) - 2)
        return self.y[k] + (x - self.x[k]) * self._slope(k)

    def reaches(self, y: float) -> float | None:
        """Where a rising polyline is at ``y``; None where that is at no x above 0, or it does not rise there."""
        k = min(max(bisect_right(self.y, y) - 1, 0), len(self.y) - 2)
        slope = self._slope(k)
        x = self.x[k] + (y - self.y[k]) / slope if slope > 0 else 0.0
        return x if x > 0 else None

    def _slope(self, k: int) -> float:
        return (self.y[k + 1] - self.y[k]) / (self.x[k + 1] - self.x[k])


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
