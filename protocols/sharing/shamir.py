"""Shamir's secret sharing (1979) of vectors and of 32-byte secrets over Goldilocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from protocols.fields import goldilocks as gl
from protocols.fields import kernels
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import SEED_BYTES, expand
from protocols.wire.context import tagged_hash

SECRET_BYTES = 32
"""Length of a secret that ``share_secret`` takes."""
SECRET_SHARE_BYTES = 40
"""Length of each of its shares: five field elements."""
_LIMB_BYTES = 7  # seven bytes are always below p


@lru_cache(maxsize=4096)
def _weights(points: tuple[int, ...], at: int) -> tuple[int, ...]:
    if len(set(points)) != len(points):
        raise ValueError(f"a point repeats: {points}")
    if not all(0 <= x < P for x in (*points, at)):
        raise ValueError("a point is not in [0, p)")
    weights = []
    for i, x in enumerate(points):
        numerator, denominator = 1, 1
        for other in points[:i] + points[i + 1 :]:
            numerator = numerator * (at - other) % P
            denominator = denominator * (x - other) % P
        weights.append(numerator * pow(denominator, -1, P) % P)
    return tuple(weights)


def lagrange(points: Sequence[int], at: int = 0) -> list[int]:
    """Weights w with f(at) = sum_i w[i] f(points[i]) for every polynomial f of degree < len(points).

    ValueError if a point repeats or is not in [0, p). Results are remembered.
    """
    return list(_weights(tuple(points), at))


def check_points(points: Sequence[int], degree: int) -> None:
    """ValueError unless the points are distinct, in [1, p), more than ``degree``, and ``degree`` is not negative."""
    if degree < 0 or degree + 1 > len(points):
        raise ValueError(f"degree {degree} does not go with {len(points)} points")
    if len(set(points)) != len(points) or not all(0 < x < P for x in points):
        raise ValueError(f"points must be distinct and in [1, p): {list(points)}")


def share(secret: Vector, degree: int, points: Sequence[int], seed: bytes) -> list[Vector]:
    """Shamir-share ``secret`` coordinate by coordinate (Shamir 1979).

    secret: (d,) field elements.  degree t: any t shares reveal nothing, t + 1 rebuild.
    points: distinct non-zero evaluation points, one per share.  seed: 32 bytes, the only randomness.
    Returns len(points) vectors of shape (d,).  Raises ValueError if t + 1 > len(points) or a point repeats.
    """
    check_points(points, degree)
    terms = [secret, *(expand(seed, len(secret), b"shamir coefficient %d" % k) for k in range(1, degree + 1))]
    return [gl.lincomb([pow(x, k, P) for k in range(degree + 1)], terms) for x in points]


def deal(secret: Vector, degree: int, points: Sequence[int], seed: bytes) -> list[Vector | bytes]:
    """A sharing with the distribution of ``share``, of which ``degree`` pieces travel as 32-byte seeds.

    The shares at the first ``degree`` points are uniform, so they are expanded from seeds (derived from ``seed``); they
    and the secret fix the polynomial, and the shares at the other points are interpolated and returned as vectors of
    shape (d,). Arguments and errors as in ``share``. Each piece goes through ``open_piece`` where it arrives.
    """
    check_points(points, degree)
    seeds = [tagged_hash("omninode/shamir/piece", k.to_bytes(4, "big"), seed) for k in range(degree)]
    known = [secret, *(expand(piece, len(secret)) for piece in seeds)]
    nodes = [0, *points[:degree]]
    return [*seeds, *(gl.lincomb(lagrange(nodes, x), known) for x in points[degree:])]


def open_piece(piece: Vector | bytes, length: int) -> Vector:
    """The share vector of shape (length,) that a piece from ``deal`` stands for. ValueError if its length is wrong."""
    if isinstance(piece, bytes):
        if len(piece) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(piece)}")
        return expand(piece, length)
    if piece.shape != (length,) or piece.dtype != np.uint64:
        raise ValueError(f"a share vector has shape ({length},), not {piece.shape}")
    return piece


def combine(points: Sequence[int], shares: Sequence[Vector], at: int = 0) -> Vector:
    """Value at ``at`` of the polynomial of degree < len(points) through the shares; corrects nothing (see robust)."""
    if len(points) != len(shares):
        raise ValueError(f"{len(shares)} shares for {len(points)} points")
    return gl.lincomb(lagrange(points, at), shares)


def share_secret(secret: bytes, threshold: int, count: int, seed: bytes) -> list[bytes]:
    """Shamir-share a 32-byte secret for the points 1 .. count.

    threshold T: T shares rebuild, T - 1 reveal nothing.  seed: 32 bytes, the only randomness.
    The secret is cut into five little-endian elements of 7, 7, 7, 7 and 4 bytes. Returns ``count`` shares of 40 bytes.
    ValueError unless the secret has 32 bytes and 1 <= T <= count.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(secret)}")
    points = range(1, count + 1)
    check_points(points, threshold - 1)
    limbs = [int.from_bytes(secret[i : i + _LIMB_BYTES], "little") for i in range(0, SECRET_BYTES, _LIMB_BYTES)]
    masks = expand(seed, (threshold - 1) * len(limbs), b"shamir secret")
    coefficients = np.concatenate([gl.vector(limbs), masks]).reshape(threshold, len(limbs))
    shares = np.empty((count, len(limbs)), dtype=np.uint64)
    kernels.evaluate(coefficients, gl.vector(points), shares)
    return [gl.to_bytes(row) for row in shares]


def rebuild_secret(points: Sequence[int], shares: Sequence[bytes]) -> bytes:
    """The 32 bytes behind at least T shares of ``share_secret`` (all that are given are used; they are not corrected).

    ValueError if a share is malformed, a point is zero or repeats, or what comes out is no packing of 32 bytes, as is
    (almost surely) so when a share is wrong or too few were given.
    """
    check_points(points, len(points) - 1)
    if len(points) != len(shares) or any(len(s) != SECRET_SHARE_BYTES for s in shares):
        raise ValueError(f"{len(points)} shares of {SECRET_SHARE_BYTES} bytes were expected")
    table = gl.from_bytes(b"".join(shares)).reshape(len(shares), -1)
    limbs = np.empty(table.shape[1], dtype=np.uint64)
    kernels.combine(np.array(lagrange(points), dtype=np.uint64), table, limbs)
    try:
        head = b"".join(int(x).to_bytes(_LIMB_BYTES, "little") for x in limbs[:-1])
        return head + int(limbs[-1]).to_bytes(SECRET_BYTES - len(head), "little")
    except OverflowError:
        raise ValueError("the shares do not combine to a 32-byte secret") from None
