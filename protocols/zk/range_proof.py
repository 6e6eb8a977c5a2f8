"""A data owner's proof that its committed vector has coordinates of b bits, and with norms that its norm is bounded.

Non-interactive and zero-knowledge; nobody else takes part. Columns are committed, a quotient by Z_H shows that they fit
the rows, and openings at z and w z (Kate, Zaverucha, Goldberg 2010) show the identity at a random point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from protocols.bn254 import fr, poly
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Point
from protocols.errors import LocalProtocolError
from protocols.zk import columns as integer
from protocols.zk.columns import Collision, Integers
from protocols.zk.hashing import h
from protocols.zk.key import Key, padded
from protocols.zk.params import NB_G, NB_M, NB_S
from protocols.zk.quotient import Columns, Norm, quotient
from protocols.zk.range_check import challenges, identity, join, start
from protocols.zk.record import ADDRESSES, Record
from protocols.zk.transcript import Transcript

Draw = Callable[[str, int], Vector]
"""(name of a column, how many) -> its blinders."""


@dataclass(frozen=True, eq=False, slots=True)
class Claim:
    """What is proved, and for whom; the arguments of ``prove``. c: the commitment of the vector."""

    key: Key
    sess: bytes
    address: int
    values: Integers
    blinders: Vector
    c: Point
    dg: bytes
    bound_squared: int


def prove(
    key: Key,
    sess: bytes,
    address: int,
    values: Integers,
    blinders: Vector,
    dg: bytes,
    seed: bytes,
    bound_squared: int | None = None,
) -> Record:
    """The record of a vector: a function of its arguments, so that the same bytes go out after a crash.

    values: (d,) int64.  blinders: (NB_G, 4), those of the vector, as they are shared.  dg: digest of the shares.
    seed: 32 secret bytes, for this vector alone: a second proof shows one more value of it.  bound_squared: B^2 where
    the key has norms, else not looked at. ValueError: coordinates out of range, a norm above the bound, wrong shapes.
    """
    if len(seed) != 32 or len(sess) != 32 or len(dg) != 32 or blinders.shape != (NB_G, 4):
        raise ValueError("a seed, a session's hash and a digest of 32 bytes and six blinders are needed")
    if not 0 <= address < ADDRESSES:
        raise ValueError("an address has 160 bits")
    if key.norm_bits is not None:
        _check_bound(bound_squared, key.norm_bits)
    integer.check_values(key.params, values)
    c = commit_values(key, values, blinders)
    claim = Claim(key, sess, address, values, blinders, c, dg, bound_squared or 0)
    secret = h(seed, sess, address, c, dg)
    for attempt in count():
        try:
            return prove_blinded(claim, draws(secret, attempt))
        except Collision:
            continue
    raise AssertionError("unreachable")


def _check_bound(bound_squared: int | None, bits: int) -> None:
    if bound_squared is None:
        raise ValueError("the key proves norms: a bound is needed")
    if not 0 <= bound_squared < 1 << bits:
        raise ValueError(f"the key proves squared norms of {bits} bits")


def commit_values(key: Key, values: Integers, blinders: Vector) -> Point:
    """C: the commitment of a vector. values: (d,) int64. blinders: (NB_G, 4)."""
    return key.commit_values(fr.from_signed(values), blinders)


def draws(secret: bytes, attempt: int) -> Draw:
    """Blinders of the columns: SHAKE256 of name, attempt and secret, 48 bytes mod r each."""

    def draw(name: str, number: int) -> Vector:
        data = b"omninode/zk/range/" + name.encode() + attempt.to_bytes(4, "big") + secret
        return fr.expand(data, number)

    return draw


def prove_blinded(claim: Claim, draw: Draw) -> Record:
    """The record for these blinders of m, s, e and nn. Collision if alpha meets the table: others are needed."""
    key = claim.key
    columns, points, transcript, alpha = _columns(claim, draw)
    norm = Norm(transcript.absorb(points["s"]), claim.bound_squared) if key.norms else None
    q = quotient(key, columns, alpha, norm)
    points["q"] = key.commit(q)
    z = transcript.absorb(points["q"]) if key.norms else transcript.absorb(points["s"], points["q"])
    at_z, at_wz = _opened(key, columns, q)
    w_z = z * key.omega % R
    evaluations = join([poly.evaluate(p, z) for p in at_z], [poly.evaluate(p, w_z) for p in at_wz])
    v = transcript.absorb(*evaluations)
    w, w2 = _opening(key, at_z, v, z), _opening(key, at_wz, v, w_z)
    record = Record(
        claim.address, claim.c, claim.dg, points["m"], points.get("e"), points.get("nn"), points["s"], points["q"],
        evaluations, w, w2,
    )  # fmt: skip
    if identity(key, challenges(key, claim.sess, record), evaluations, claim.bound_squared):
        raise LocalProtocolError("the columns of a record do not satisfy its identity")
    return record


def _columns(claim: Claim, draw: Draw) -> tuple[Columns, dict[str, Point], Transcript, int]:
    """The committed polynomials and their commitments, the transcript at t0, alpha."""
    key, params, values = claim.key, claim.key.params, claim.values
    points: dict[str, Point] = {}
    polys: dict[str, Vector] = {"g": _blinded(key, fr.from_signed(values), claim.blinders)}

    def put(name: str, column: Vector, number: int) -> None:
        blinders = draw(name, number)
        points[name], polys[name] = key.commit_values(column, blinders), _blinded(key, column, blinders)

    counts = integer.multiplicities(params, values)
    put("m", fr.from_signed(counts), NB_M)
    if key.norm_bits is not None:
        bits = integer.slack_bits(params, values, claim.bound_squared, key.norm_bits)
        put("e", fr.from_signed(bits), NB_M)
        put("nn", integer.norm_sum(params, values, bits, claim.bound_squared), NB_S)
    transcript = start(claim.sess, [claim.address, claim.c, claim.dg, *points.values()], key.norms)
    alpha = transcript.challenge
    put("s", integer.running_sum(params, values, counts, alpha), NB_S)
    return Columns(**polys), points, transcript, alpha


def _blinded(key: Key, values: Vector, blinders: Vector) -> Vector:
    """``poly.blinded`` of values at the first rows of H, in threads."""
    size = key.params.size
    return poly.add(poly.interpolate(padded(values, size), threads=key.threads), poly.times_vanishing(blinders, size))


def _opened(key: Key, columns: Columns, q: Vector) -> tuple[list[Vector], list[Vector]]:
    """The polynomials that are opened at z and at w z, in the order of ``range_check.split``."""
    at_z, at_wz = [columns.g, columns.m, columns.s, q, key.t_poly], [columns.s]
    if columns.e is not None and columns.nn is not None and key.bits_poly is not None:
        at_z, at_wz = [*at_z, columns.e, columns.nn, key.bits_poly], [*at_wz, columns.nn]
    return at_z, at_wz


def _opening(key: Key, polys: list[Vector], v: int, z: int) -> Point:
    """The commitment of (F - F(z))/(X - z), F = sum v^i polys[i]."""
    total = fr.zeros(max(map(len, polys)))
    for i, p in enumerate(polys):
        fr.add_scaled(total[: len(p)], pow(v, i, R), p)
    return key.commit(poly.divide_by_linear(total, z)[0])
