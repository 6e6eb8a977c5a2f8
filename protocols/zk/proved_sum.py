"""What a commitment commits to, found among shares of it of which any number may be lies: a wrong value fits none."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from protocols.bn254 import fr, g1
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Point, Points
from protocols.zk.decode import combine_points, lagrange
from protocols.zk.key import Key
from protocols.zk.sharing import commit


class ProvedSum:
    """Finds the sum behind a commitment: the owner its output, a prover that lacks a share what the help to it hides.

    commitment: of the value at 0; points are counted from where it is. threshold: t, degree of the sharing. One
    commitment for the first t + 1 shares, and, where those do not fit, one for each share: then sets of t + 1 are tried
    in the exponent.
    """

    def __init__(self, key: Key, threshold: int, commitment: Point) -> None:
        self._key, self._threshold, self._commitment = key, threshold, commitment
        self._points: dict[int, Points] = {}

    def find(self, shares: Mapping[int, Vector], newest: int) -> Vector | None:
        """(d + 6, 4) scalars; None if no t + 1 shares give them. ``newest``: the point whose share came last; sets
        without it were tried before.
        """
        others = sorted(set(shares) - {newest})
        if len(others) < self._threshold:
            return None
        if len(others) == self._threshold:
            value = _combined(shares, (*others, newest))
            return value if commit(self._key, value) == self._commitment else None
        for x in shares:
            if x not in self._points:
                self._points[x] = g1.from_integers([commit(self._key, shares[x])])
        for chosen in combinations(others, self._threshold):
            if self._fits(nodes := (*chosen, newest)):
                return _combined(shares, nodes)
        return None

    def _fits(self, nodes: tuple[int, ...]) -> bool:
        total = combine_points(lagrange(nodes, 0), [self._points[x] for x in nodes])
        return g1.to_integers(total)[0] == self._commitment


def _combined(shares: Mapping[int, Vector], nodes: tuple[int, ...]) -> Vector:
    return fr.combine(lagrange(nodes, 0), [shares[x] for x in nodes])
