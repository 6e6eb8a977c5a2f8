"""Openings as they arrive, and the moment at which what they say can no longer change."""

from __future__ import annotations

from collections.abc import Mapping

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.sessions.effects import Blame, Effect
from protocols.sessions.prover_desk import Desk
from protocols.sharing.robust import Decoded, Undecodable, decode
from protocols.wire.messages import Opening


def settled(shares: Mapping[int, Vector], degree: int, agreeing: int, at: int = 0) -> Decoded | None:
    """Decode as soon as ``agreeing`` of the shares are on one polynomial, in every coordinate; None until then.

    shares: point -> vector, all of one length.  agreeing: degree + t + 1 at least; then degree + 1 honest ones are
    among them and no later share changes the result (online error correction, Ben-Or, Canetti, Goldreich 1993).
    """
    errors = len(shares) - agreeing
    if errors < 0:
        return None
    points = sorted(shares)
    try:
        return decode(points, [shares[x] for x in points], degree, at, errors)
    except Undecodable:
        return None


def read_values(desk: Desk, message: Opening, count: int) -> Vector:
    """The values of an opening. RemoteProtocolError unless they are ``count`` canonical field elements."""
    try:
        values = gl.from_bytes(message.values)
    except ValueError as error:
        raise desk.refuse("bad-values", message, str(error)) from None
    if len(values) != count:
        raise desk.refuse("bad-values", message, f"{len(values)} values, {count} were expected")
    return values


def name_liars(desk: Desk, points: set[int], what: str) -> list[Effect]:
    """Record provers that opened something wrong; at most once each, never ourselves."""
    fresh = points - {desk.point} - desk.faulty
    desk.faulty |= fresh
    return [Blame(desk.address(x), "wrong-opening", what) for x in sorted(fresh)]
