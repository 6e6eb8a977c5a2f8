"""Shamir's sharing (1979) of an update over Fr, with commitments from which everybody has that of any share.

What is shared has d + 6 scalars: the coordinates, then the blinders of the commitment. The share of prover j is
vec + sum_e j^e a_e for e = 1 .. t. The shares at the points 1 .. t are expanded from 32-byte seeds; the a_e follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from protocols.bn254 import fr, g1
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Point
from protocols.zk.hashing import h, tag
from protocols.zk.key import Key
from protocols.zk.params import NB_G
from protocols.zk.pieces import derive, expand

_TAG_SHARE = tag("share")


@lru_cache(maxsize=1024)
def basis_polynomials(nodes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Row i: coefficients, lowest first, of the polynomial that is 1 at nodes[i] and 0 at the others (Lagrange).

    ValueError if a node repeats.
    """
    if len({node % R for node in nodes}) != len(nodes):
        raise ValueError(f"a point repeats: {nodes}")
    rows = []
    for i, own in enumerate(nodes):
        row, divisor = [1], 1
        for node in nodes[:i] + nodes[i + 1 :]:
            row = [(low - node * high) % R for low, high in zip([0, *row], [*row, 0], strict=True)]
            divisor = divisor * (own - node) % R
        inverse = pow(divisor, -1, R)
        rows.append(tuple(c * inverse % R for c in row))
    return tuple(rows)


def check_committee(threshold: int, count: int) -> None:
    """ValueError unless 1 <= t < n: t shares reveal nothing, any t + 1 of the n rebuild."""
    if not 1 <= threshold < count:
        raise ValueError(f"no sharing of threshold {threshold} among {count}")


class Sharing:
    """A sharing that is fixed by the vector and the shares at 1 .. t; the others are computed when asked for."""

    def __init__(self, secret: Vector, first: Sequence[Vector]) -> None:
        self.threshold = len(first)
        self._known = [secret, *first]
        self._basis = basis_polynomials(tuple(range(len(first) + 1)))

    def share(self, point: int) -> Vector:
        """(d + 6, 4): the share at a point >= 1 (ValueError)."""
        if point < 1:
            raise ValueError(f"no prover has the point {point}")
        if point <= self.threshold:
            return self._known[point]
        return fr.combine([sum(c * point**e for e, c in enumerate(row)) % R for row in self._basis], self._known)

    def coefficient(self, e: int) -> Vector:
        """(d + 6, 4): a_e, for e = 1 .. t."""
        return fr.combine([row[e] for row in self._basis], self._known)

    def commitments(self, key: Key) -> tuple[Point, ...]:
        """C_1 .. C_t."""
        return tuple(commit(key, self.coefficient(e)) for e in range(1, self.threshold + 1))


def seeds_of(threshold: int, seed: bytes) -> list[bytes]:
    """The seeds that the provers 1 .. t get for their shares."""
    return [derive(seed, "share", point) for point in range(1, threshold + 1)]


def deal(secret: Vector, threshold: int, seed: bytes) -> Sharing:
    """A fresh sharing. seed: 32 bytes, the only randomness; the shares at 1 .. t expand ``seeds_of`` it."""
    return Sharing(secret, [expand(own, len(secret)) for own in seeds_of(threshold, seed)])


def commit(key: Key, vector: Vector) -> Point:
    """com of d coordinates and 6 blinders, the padding being zero. ValueError for another length."""
    if len(vector) != key.params.length:
        raise ValueError(f"{len(vector)} scalars instead of {key.params.length}")
    return key.commit_values(vector[:-NB_G], vector[-NB_G:])


@dataclass(frozen=True, slots=True)
class Dealing:
    """What a data owner committed to. c: of its vector. c_e: of a_1 .. a_t. leaves: of the shares at 1 .. n."""

    c: Point
    c_e: tuple[Point, ...]
    leaves: tuple[bytes, ...]

    @property
    def digest(self) -> bytes:
        """dg, which the record names."""
        return share_digest(self.c_e, self.leaves)

    @property
    def points(self) -> tuple[Point, ...]:
        """C, C_1 .. C_t: the commitment of the share at j is their sum with the powers of j as factors."""
        return (self.c, *self.c_e)


def share_digest(c_e: Sequence[Point], leaves: Sequence[bytes]) -> bytes:
    """dg = H(TAG_share, C_1..C_t, leaf_1..leaf_n)."""
    return h(_TAG_SHARE, *c_e, *leaves)


def share_commitment(dealing: Dealing, point: int) -> Point:
    """Cshare_j = C + sum_e j^e C_e."""
    factors = fr.vector(pow(point, e, R) for e in range(len(dealing.points)))
    return g1.to_integers(g1.total(g1.multiply(g1.from_integers(dealing.points), factors)))[0]
