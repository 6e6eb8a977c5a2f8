"""BN254 on Python's integers, slow and obvious: what the kernels are compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from protocols.bn254.field import Q, R
from protocols.bn254.g1 import Point

INFINITY: Point = (0, 0)


def load(vectors: Path, name: str) -> Any:
    """One of the vector files."""
    return json.loads((vectors / "bn254" / f"{name}.json").read_text())


def number(text: str) -> int:
    """0x.."""
    return int(text, 16)


def point(data: Sequence[str] | None) -> Point:
    """null is infinity."""
    return INFINITY if data is None else (int(data[0], 16), int(data[1], 16))


def twisted(data: Any) -> tuple[int, int, int, int]:
    """A point of the second group; null is infinity."""
    if data is None:
        return (0, 0, 0, 0)
    return (number(data["x"][0]), number(data["x"][1]), number(data["y"][0]), number(data["y"][1]))


def add(a: Point, b: Point) -> Point:
    """a + b by the schoolbook."""
    if INFINITY in (a, b):
        return b if a == INFINITY else a
    (x1, y1), (x2, y2) = a, b
    if x1 == x2 and (y1 + y2) % Q == 0:
        return INFINITY
    slope = 3 * x1 * x1 * pow(2 * y1, -1, Q) if a == b else (y2 - y1) * pow(x2 - x1, -1, Q)
    x3 = (slope * slope - x1 - x2) % Q
    return x3, (slope * (x1 - x3) - y1) % Q


def multiply(p: Point, scalar: int) -> Point:
    """scalar * p, doubling and adding."""
    total = INFINITY
    for bit in bin(scalar % R)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, p)
    return total


def combination(points: Sequence[Point], scalars: Sequence[int]) -> Point:
    """sum scalars[i] * points[i]."""
    total = INFINITY
    for p, s in zip(points, scalars, strict=True):
        total = add(total, multiply(p, s))
    return total


def value(coefficients: Sequence[int], z: int) -> int:
    """sum coefficients[i] z^i."""
    return sum(c * pow(z, i, R) for i, c in enumerate(coefficients)) % R
