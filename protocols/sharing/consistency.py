"""Are the shares of a data owner on one polynomial? One beacon-weighted combination of all coordinates tells.

Every shared vector carries one random pad coordinate (weight 1), so that the opened combination says nothing about the
update. The weights are drawn after the shares are committed: shares that are not on one polynomial of the degree stay
so in the combination but with probability 1/p.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand
from protocols.sharing.robust import Undecodable, decode_values
from protocols.wire.context import tagged_hash


class Status(Enum):
    """What the openings of one data owner say."""

    CONSISTENT = "consistent"  # all on one polynomial
    OUTLIERS = "outliers"  # all but at most t of them: those provers lie, or the data owner sent them something else
    INCONSISTENT = "inconsistent"  # no polynomial: the data owner is out


@dataclass(frozen=True, slots=True)
class Verdict:
    """status, and the points that are off the polynomial, ascending (empty unless OUTLIERS)."""

    status: Status
    outliers: tuple[int, ...] = ()


def check(openings: Mapping[int, int], degree: int) -> Verdict:
    """Judge the opened combination: point -> value (in [0, p)), degree t of the sharing.

    At most t outliers are named, and 2t + 1 must be on the polynomial; else INCONSISTENT. There is at most one such
    polynomial: two of them would share more than t points. ValueError for fewer than 2t + 1 openings: up to t of them
    may be lies, and nothing is said by the others.
    """
    points, least = sorted(openings), 2 * degree + 1
    if degree < 0 or len(points) < least:
        raise ValueError(f"{len(points)} openings cannot be judged at degree {degree}; {least} are needed")
    most = min(degree, len(points) - least)
    try:
        _, outliers = decode_values(points, [[openings[x]] for x in points], degree, max_errors=most)
    except Undecodable:
        return Verdict(Status.INCONSISTENT)
    return Verdict(Status.OUTLIERS, outliers) if outliers else Verdict(Status.CONSISTENT)


def weights(beacon: bytes, label: bytes, length: int) -> Vector:
    """(length,) uniform weights from a beacon, for one purpose (label: unique per session and use). The pad's is 1."""
    return expand(tagged_hash("omninode/weights", beacon, label), length)


def combine_share(share: Vector, weights: Vector) -> int:
    """What a prover opens: <share[:d], weights> + share[d]. share: (d + 1,), the pad last.  weights: (d,)."""
    if len(share) != len(weights) + 1:
        raise ValueError(f"a share of {len(share)} coordinates (pad included) does not go with {len(weights)} weights")
    return (gl.dot(share[:-1], weights) + int(share[-1])) % P
