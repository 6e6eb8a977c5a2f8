"""Sharings that nobody sends: pseudo-random secrets, zeros and masks over Fr from replicated seeds.

Cramer, Damgard, Ishai, TCC 2005. One seed per set A of n - t provers, known to its members; whatever t provers collude,
one seed is held by none of them. Labels must never repeat under the same seeds: two uses leak the difference of what
they hid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import shake_256

from protocols.bn254 import fr
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.sharing.zero import subsets

Seeds = Mapping[tuple[int, ...], bytes]
"""Set of points (ascending) -> its 32-byte seed."""


@lru_cache(maxsize=8192)
def _outside(members: tuple[int, ...], n: int, at: int) -> int:
    """prod (at - i) over the points i outside ``members``."""
    product = 1
    for i in range(1, n + 1):
        if i not in members:
            product = product * (at - i) % R
    return product


def _indicator(members: tuple[int, ...], n: int, at: int) -> int:
    """The polynomial of degree t that is 1 at 0 and 0 at the points outside ``members``, at the point ``at``."""
    return _outside(members, n, at) * pow(_outside(members, n, 0), -1, R) % R


def _sets(seeds: Seeds, point: int, n: int, t: int, without: int = 0) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """The sets that hold ``point`` and not ``without``, with their seeds. ValueError for a missing or odd seed."""
    if not 1 <= point <= n:
        raise ValueError(f"point {point} is not in 1 .. {n}")
    for members in subsets(n, t):
        if point in members and without not in members:
            seed = seeds.get(members)
            if seed is None or len(seed) != 32:
                raise ValueError(f"no seed of 32 bytes for the set {members}")
            yield members, seed


def _elements(seed: bytes, label: bytes, number: int, count: int) -> Vector:
    """(count, 4): element i is SHAKE256(seed | label/i | number), as in the vectors of the proofs."""
    start = shake_256(seed + label + b"/")
    parts = []
    for i in range(count):
        stream = start.copy()
        stream.update(b"%d%c" % (i, number))
        parts.append(stream.digest(fr.UNIFORM_BYTES))
    return fr.from_uniform_bytes(b"".join(parts))


def rand(seeds: Seeds, point: int, n: int, t: int, label: bytes, count: int) -> Vector:
    """(count, 4): this prover's shares, of degree t, of secrets that look random to any t provers.

    seeds: those of every set that holds ``point`` (ValueError if one is missing).  label: never used before.
    """
    total = fr.zeros(count)
    for members, seed in _sets(seeds, point, n, t):
        fr.add_scaled(total, _indicator(members, n, point), _elements(seed, label, 0, count))
    return total


def zero(seeds: Seeds, point: int, n: int, t: int, label: bytes, count: int) -> Vector:
    """(count, 4): this prover's shares, of degree 2t, of zeros: what is added to a product before it is opened.

    The same arguments as ``rand``. To t provers such a sharing is a random polynomial of degree 2t that vanishes at 0.
    """
    total = fr.zeros(count)
    for members, seed in _sets(seeds, point, n, t):
        factor = point * _outside(members, n, point)
        for number in range(t):
            fr.add_scaled(total, factor * pow(point, number, R), _elements(seed, label, number, count))
    return total


def vanishing(seeds: Seeds, point: int, at: int, n: int, t: int, label: bytes, length: int) -> Vector:
    """(length, 4): shares, of degree t, of vectors whose share at the point ``at`` is zero.

    Hides what helps the prover at ``at`` to its share: it knows none of the seeds used, and every such polynomial is
    equally likely to it. Vectors are long, so each seed is expanded once, by one stream.
    seeds: those of every set that holds ``point`` and not ``at``.  label: never used before. ValueError if a seed is
    missing or point equals ``at``.
    """
    if point == at or not 1 <= at <= n:
        raise ValueError(f"nothing that vanishes at {at} for the prover at {point}")
    total = fr.zeros(length)
    for members, seed in _sets(seeds, point, n, t, without=at):
        prefix = seed + b"vanishing" + at.to_bytes(2, "big") + label
        fr.add_scaled(total, _indicator(members, n, point), fr.expand(prefix, length))
    return total
