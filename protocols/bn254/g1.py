"""Points of BN254's first group, y^2 = x^3 + 3 over Fq, of prime order R with generator (1, 2).

``Points`` is (n, 8) words, C-contiguous: x and y in Montgomery form, infinity all zero. Points enter through
``from_bytes`` or ``from_integers``, which check them; everything else takes and returns such arrays. As bytes a point
is x | y, 32 bytes each, big-endian, infinity 64 zero bytes (EIP-196). Equal, opposite and infinite points are handled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from protocols.bn254 import fr
from protocols.bn254 import g1_kernels as kernels
from protocols.bn254.fr import Vector

Points = npt.NDArray[np.uint64]
"""(n, 8) words: n affine points."""

Point = tuple[int, int]
"""An affine point as integers; (0, 0) is infinity."""

BYTES = 64
"""Length of a point as bytes."""

GENERATOR: Point = (1, 2)
INFINITY: Point = (0, 0)

BLOCK = 1 << 11
"""Sums that share an inversion: few enough for the second-level cache."""

_WINDOW = 8  # bits of a scalar that one table of ``multiply_fixed`` answers


class InvalidPoint(ValueError):
    """A coordinate is Q or more, or a point is not on the curve. index: of the first such point."""

    def __init__(self, index: int, detail: str) -> None:
        super().__init__(f"point {index}: {detail}")
        self.index = index


def checked(*arrays: Points) -> list[Points]:
    """The arrays, contiguous. ValueError for what is not (n, 8) words."""
    for points in arrays:
        if points.dtype != np.uint64 or points.ndim != 2 or points.shape[1] != 8:
            raise ValueError(f"not points: {points.dtype}, shape {points.shape}")
    return [np.ascontiguousarray(points) for points in arrays]


def infinities(n: int) -> Points:
    """(n, 8): infinity n times."""
    return np.zeros((n, 8), dtype=np.uint64)


def from_words(coordinates: npt.NDArray[np.uint64]) -> Points:
    """(2 n, 4) words of integers, x and y by turns -> points. InvalidPoint if one is none."""
    if (bad := int(kernels.first_large(coordinates))) < len(coordinates):
        raise InvalidPoint(bad // 2, "a coordinate is not less than the field's modulus")
    out = np.empty_like(coordinates)
    kernels.to_montgomery(coordinates, out)
    return on_curve(out.reshape(-1, 8))


def on_curve(points: Points) -> Points:
    """The points themselves. InvalidPoint if one is neither infinity nor on the curve; coordinates are less than Q."""
    if (bad := int(kernels.first_off_curve(points))) < len(points):
        raise InvalidPoint(bad, "not on the curve")
    return points


def from_bytes(data: bytes | memoryview) -> Points:
    """Points from x | y, big-endian. InvalidPoint; ValueError for another length."""
    if len(data) % BYTES:
        raise ValueError(f"{len(data)} bytes are not a number of points of {BYTES} bytes")
    words = np.frombuffer(data, dtype=">u8").reshape(-1, 4)[:, ::-1]
    return from_words(np.ascontiguousarray(words.astype(np.uint64)))


def to_bytes(points: Points) -> bytes:
    """x | y of every point, big-endian."""
    (points,) = checked(points)
    words = np.empty((2 * len(points), 4), dtype=np.uint64)
    kernels.from_montgomery(points.reshape(-1, 4), words)
    return words[:, ::-1].astype(">u8").tobytes()


def from_integers(points: Iterable[Sequence[int]]) -> Points:
    """Points from pairs (x, y). InvalidPoint if one is none; OverflowError for a negative number or one of 2^256."""
    return from_words(fr.words_of(c for x, y in points for c in (x, y)))


def to_integers(points: Points) -> list[Point]:
    """The points as pairs (x, y)."""
    data = to_bytes(points)
    numbers = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def generator() -> Points:
    """(1, 8): the generator."""
    return from_integers([GENERATOR])


def neg(points: Points) -> Points:
    """-points."""
    (points,) = checked(points)
    out = np.empty_like(points)
    kernels.negate(points, out)
    return out


def add(a: Points, b: Points) -> Points:
    """a + b, point by point. ValueError for different numbers of points."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} points")
    a, b = checked(a, b)
    return _add_chosen(a, b, np.arange(len(b), dtype=np.int64))


def _add_chosen(points: Points, table: Points, chosen: npt.NDArray[np.int64]) -> Points:
    """points[i] + table[chosen[i]]."""
    out = np.empty_like(points)
    products = np.empty((min(BLOCK, len(points)), 4), dtype=np.uint64)
    for start in range(0, len(points), BLOCK):
        rows = slice(start, start + BLOCK)
        kernels.add_chosen(table, chosen[rows], points[rows], products, out[rows])
    return out


def affine(sums: npt.NDArray[np.uint64]) -> Points:
    """Affine points of sums in progress, (4 n, 4) as the kernels have them."""
    out = infinities(len(sums) // 4)
    kernels.to_affine(sums, np.empty((len(out), 4), dtype=np.uint64), out)
    return out


def multiply(points: Points, scalars: Vector) -> Points:
    """scalars[i] * points[i]. One point or one scalar goes with all of the other. ValueError for other numbers."""
    n = max(len(points), len(scalars)) if len(points) and len(scalars) else 0
    if len(points) not in (1, n) or len(scalars) not in (1, n):
        raise ValueError(f"{len(scalars)} scalars for {len(points)} points")
    (points,) = checked(np.broadcast_to(points, (n, 8)))
    sums = np.empty((4 * n, 4), dtype=np.uint64)
    factors = np.ascontiguousarray(np.broadcast_to(fr.canonical(scalars), (n, 4)))
    kernels.multiply(points, factors, np.empty((64, 4), dtype=np.uint64), sums)
    return affine(sums)


def multiply_fixed(point: Points, scalars: Vector) -> Points:
    """scalars[i] * point: from tables of the point's multiples, one sum per 8 bits of a scalar."""
    step, digits = point, np.ascontiguousarray(fr.canonical(scalars).astype("<u8").view(np.uint8))
    out = infinities(len(scalars))
    for window in range(256 // _WINDOW):
        table = infinities(1 << _WINDOW)
        for k in range(_WINDOW):  # doubles: what is there, and the same plus 2^k * step
            half = 1 << k
            table[half : 2 * half] = add(table[:half], np.broadcast_to(step, (half, 8)))
            step = add(step, step)
        out = _add_chosen(out, table, digits[:, window].astype(np.int64))
    return out


def total(points: Points) -> Points:
    """(1, 8): the sum of all points; infinity for none."""
    (points,) = checked(points)
    while len(points) > 1:
        half = len(points) // 2
        points = np.concatenate([add(points[:half], points[half : 2 * half]), points[2 * half :]])
    return points if len(points) else infinities(1)
