"""Robust decoding of Shamir-shared vectors: right although some shares are missing and some are lies.

A share vector is one Reed-Solomon symbol per coordinate. Within floor((received - degree - 1)/2) wrong symbols per
coordinate there is exactly one polynomial, and it is found, whatever the pattern: liars may change from coordinate to
coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import BLOCK, P, Vector
from protocols.sharing.gao import decode_word, evaluate
from protocols.sharing.shamir import check_points, lagrange


class Undecodable(ValueError):
    """Too few shares, or more wrong ones at some coordinate than can be corrected. Wait for more shares, or give up."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """values: (d,), at the point asked for.  error_points: who was wrong in at least one coordinate, ascending."""

    values: Vector
    error_points: tuple[int, ...]


def decode(
    points: Sequence[int], shares: Sequence[Vector], degree: int, at: int = 0, max_errors: int | None = None
) -> Decoded:
    """Decode coordinate by coordinate and evaluate at ``at`` (0: the secret; another prover's point: its share).

    points: distinct, in [1, p).  shares: one (d,) vector per point.  degree t: of the shared polynomials.
    max_errors: wrong shares per coordinate that are put up with; never more, whatever is asked for, than
    floor((len(points) - degree - 1)/2), which is also the default.
    Raises Undecodable where no polynomial is that close, or for fewer than degree + 1 shares; ValueError for points
    that repeat, are 0 or not reduced, shares that are not canonical, and lengths that differ.
    """
    _check(points, shares, degree)
    if not 0 <= at < P or (max_errors is not None and max_errors < 0):
        raise ValueError(f"cannot decode at {at} with {max_errors} errors")
    if len(points) < degree + 1:
        raise Undecodable(f"{len(points)} shares, {degree + 1} needed")
    bound = (len(points) - degree - 1) // 2
    return _Decoder(points, shares, degree, at, bound if max_errors is None else min(bound, max_errors)).run()


def decode_values(
    points: Sequence[int],
    shares: Sequence[Sequence[int]],
    degree: int,
    at: int = 0,
    max_errors: int | None = None,
) -> tuple[list[int], tuple[int, ...]]:
    """``decode`` for short rows of plain integers: (values, error_points). Same arguments, same errors."""
    decoded = decode(points, [gl.vector(row) for row in shares], degree, at, max_errors)
    return decoded.values.tolist(), decoded.error_points


def _check(points: Sequence[int], shares: Sequence[Vector], degree: int) -> None:
    if degree < 0 or len(points) != len(shares):
        raise ValueError(f"{len(shares)} shares for {len(points)} points, degree {degree}")
    if points:
        check_points(points, 0)
    for x, s in zip(points, shares, strict=True):
        if s.dtype != np.uint64 or s.shape != (len(shares[0]),) or not gl.is_canonical(s):
            raise ValueError(f"the share at point {x} is not a canonical vector of the common length {len(shares[0])}")


class _Decoder:
    """Goes through the vectors block by block with a guess of who lies, and corrects the guess where it fails.

    Coordinates at which all parties but at most ``max_errors`` suspects agree are right as they are. At the first
    coordinate where they do not, the exact decoder names its liars; they join the suspects (or replace them, when there
    would be too many) and the coordinates left over are tried again. Honest runs cost one pass, and so do runs with a
    constant liar.
    """

    def __init__(self, points: Sequence[int], shares: Sequence[Vector], degree: int, at: int, max_errors: int) -> None:
        self._points = points
        self._shares = [np.ascontiguousarray(s) for s in shares]
        self._degree = degree
        self._at = at
        self._max_errors = max_errors
        self._suspects: frozenset[int] = frozenset()  # indices into points
        self._liars: frozenset[int] = frozenset()

    def run(self) -> Decoded:
        """Decode everything."""
        length = len(self._shares[0])
        values = np.empty(length, dtype=np.uint64)
        for start in range(0, length, BLOCK):
            values[start : start + BLOCK] = self._block([s[start : start + BLOCK] for s in self._shares])
        return Decoded(values, tuple(sorted(self._points[i] for i in self._liars)))

    def _block(self, columns: list[Vector]) -> Vector:
        values, failed = self._fit(columns)
        while failed.size:
            self._suspect([int(c[failed[0]]) for c in columns])
            values[failed], again = self._fit([c[failed] for c in columns])
            failed = failed[again]
        return values

    def _fit(self, columns: list[Vector]) -> tuple[Vector, np.ndarray[tuple[int], np.dtype[np.int64]]]:
        """Values if all but the suspects are right, and the positions where somebody else is wrong too."""
        trusted = [i for i in range(len(columns)) if i not in self._suspects]
        base, rest = trusted[: self._degree + 1], trusted[self._degree + 1 :]
        nodes, vectors = [self._points[i] for i in base], [columns[i] for i in base]
        wrong = np.zeros(len(columns[0]), dtype=np.bool_)
        for i in rest:
            wrong |= gl.lincomb(lagrange(nodes, self._points[i]), vectors) != columns[i]
        return gl.lincomb(lagrange(nodes, self._at), vectors), np.flatnonzero(wrong)

    def _suspect(self, word: list[int]) -> None:
        polynomial = decode_word(self._points, word, self._degree, self._max_errors)
        if polynomial is None:
            raise Undecodable(f"more than {self._max_errors} of {len(word)} shares are wrong at one coordinate")
        liars = frozenset(i for i, x in enumerate(self._points) if evaluate(polynomial, x) != word[i])
        together = self._suspects | liars
        self._suspects = together if len(together) <= self._max_errors else liars
        self._liars |= liars
