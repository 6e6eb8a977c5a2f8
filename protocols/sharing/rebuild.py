"""A prover that has no share of an accepted data owner rebuilds it with the help of the others (design: ROUNDS).

Each helper sends its share plus its share of a random polynomial that vanishes at the asking prover's point: the sum is
right there and random everywhere else, so the asking prover learns the one value that was meant for it and nothing
more.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.sharing.robust import Decoded, decode
from protocols.sharing.zero import Seeds, vanishing_share


def helper_message(share: Vector, seeds: Seeds, point: int, at: int, n: int, t: int, label: bytes) -> Vector:
    """What the prover at ``point`` sends to the one at ``at``, as long as ``share``.

    label: unique per data owner and session.  seeds, errors: as in ``zero.vanishing_share``.
    """
    return gl.add(share, vanishing_share(seeds, point, at, n, t, label, len(share)))


def rebuild(points: Sequence[int], messages: Sequence[Vector], degree: int, at: int) -> Decoded:
    """The share at ``at`` from the helpers' messages, and which helpers lied. Errors as in ``robust.decode``."""
    if at in points:
        raise ValueError(f"point {at} asks and helps at once")
    return decode(points, messages, degree, at)
