"""A batch as it is posted, and the check that everybody can make of it, in the contract's order.

dos     records of K data owners by increasing address; for SCORE the reference's comes first
mask    bit k: the k-th data owner is accepted
values  GRAM: inner products, lower triangle row by row; SCORE: with the reference; 16 bytes each
proof   416 bytes GRAM, 448 SCORE, none for NONE
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from protocols.bn254 import g1
from protocols.bn254.field import R
from protocols.bn254.g1 import GENERATOR, Point
from protocols.zk import range_check
from protocols.zk.errors import Check, Refused
from protocols.zk.hashing import challenge, h
from protocols.zk.key import Key
from protocols.zk.params import MOST_RECORDS, Statement, record_bytes
from protocols.zk.range_check import Challenges, Terms
from protocols.zk.record import ADDRESSES, Record, check_points, read
from protocols.zk.statement import (
    VALUE_BYTES,
    Claim,
    Proof,
    Seen,
    decode_values,
    encode_values,
    evaluation_count,
    read_proof,
    value_count,
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is posted, as bytes (see above)."""

    statement: Statement
    dos: bytes
    mask: int
    values: bytes = b""
    proof: bytes = b""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a batch has proved. records: of the data owners, by address.  c_agg: commitment of the accepted ones' sum.

    values: inner products or scores.  values_hash: keccak256 of their bytes.
    """

    records: tuple[Record, ...]
    reference: Record | None
    mask: int
    values: tuple[int, ...]
    c_agg: Point
    values_hash: bytes


def make_batch(
    statement: Statement,
    records: Sequence[Record],
    mask: int,
    values: Sequence[int] = (),
    proof: bytes = b"",
    reference: Record | None = None,
) -> Batch:
    """The batch of these records, by increasing address. Refused(SHAPE) for values of more than 128 bits."""
    first = [] if reference is None else [reference]
    dos = b"".join(record.encode() for record in [*first, *records])
    return Batch(statement, dos, mask, encode_values(values), proof)


def seen(record: Record, at: Challenges) -> Seen:
    """A checked record as the statement's transcript has it."""
    return Seen(record.address, at.t3)


def check_batch(key: Key, sess: bytes, batch: Batch, bound_squared: int) -> Checked:
    """What a batch proves under a session. Refused with the check that fails, and the place in ``dos`` of the record.

    bound_squared: B^2, the one that ``sess`` was made with. The set of data owners, the digests of their records and
    the rule of selection are not looked at: the market knows those.
    """
    records = _read(key, batch, bound_squared)
    first = 1 if batch.statement is Statement.SCORE else 0
    _check_order(records, first)
    challenges = [_identity(key, sess, record, bound_squared, k) for k, record in enumerate(records)]
    everyone = [seen(record, at) for record, at in zip(records, challenges, strict=True)]
    values = decode_values(batch.values)
    reference = everyone[0] if first else None
    claim = Claim(batch.statement, sess, tuple(everyone[first:]), reference, values, batch.mask)
    left, right, rho = _of_statement(key, claim, batch, bound_squared, records)
    _check_points(batch, records)
    weight = 1
    for record, at in zip(records, challenges, strict=True):
        weight = weight * rho % R
        more_left, more_right = range_check.terms(key, record, at, weight)
        left += more_left
        right += more_right
    if not range_check.paired(key, range_check.add_up(left), range_check.add_up(right)):
        raise Refused(Check.PAIRING)
    owners = tuple(records[first:])
    accepted = [record.c for k, record in enumerate(owners) if batch.mask >> k & 1]
    return Checked(
        owners, records[0] if first else None, batch.mask, values, _sum(accepted), keccak(batch.values)
    )  # fmt: skip


def _sum(points: Sequence[Point]) -> Point:
    return g1.to_integers(g1.total(g1.from_integers(points) if points else g1.infinities(1)))[0]


def _read(key: Key, batch: Batch, bound_squared: int) -> list[Record]:
    """Refused(SHAPE) for lengths, a mask or a bound that do not fit; ValueError for a key of another statement."""
    if key.norms == (batch.statement is Statement.GRAM):
        raise ValueError(f"the key is not for the statement {batch.statement.name}")
    length, first = record_bytes(key.norms), int(batch.statement is Statement.SCORE)
    count, rest = divmod(len(batch.dos), length)
    proof = 0 if batch.statement is Statement.NONE else 32 * (8 + evaluation_count(batch.statement))
    owners = count - first
    if (
        rest
        or not 1 <= owners <= MOST_RECORDS
        or batch.mask >> owners
        or len(batch.values) != VALUE_BYTES * value_count(batch.statement, owners)
        or len(batch.proof) != proof
        or (key.norm_bits is not None and bound_squared.bit_length() != key.norm_bits)
    ):
        raise Refused(Check.SHAPE)
    return [read(batch.dos[i : i + length], key.norms) for i in range(0, len(batch.dos), length)]


def _check_order(records: Sequence[Record], first: int) -> None:
    for k, record in enumerate(records):
        if record.address >= ADDRESSES or (k > first and record.address <= records[k - 1].address):
            raise Refused(Check.ORDER, k)


def _identity(key: Key, sess: bytes, record: Record, bound_squared: int, index: int) -> Challenges:
    try:
        return range_check.check_identity(key, sess, record, bound_squared)
    except Refused as error:
        raise Refused(error.check, index) from None


def _check_points(batch: Batch, records: Sequence[Record]) -> None:
    for k, record in enumerate(records):
        try:
            check_points(record)
        except Refused:
            raise Refused(Check.POINT, k) from None
    if batch.statement is not Statement.NONE:
        proof = read_proof(batch.proof, batch.statement)
        try:
            g1.from_integers([proof.c_s, proof.c_q, proof.w, proof.w2])
        except g1.InvalidPoint as error:
            raise Refused(Check.POINT, detail=str(error)) from None


def _of_statement(
    key: Key, claim: Claim, batch: Batch, bound_squared: int, records: Sequence[Record]
) -> tuple[Terms, Terms, int]:
    """The committee's part of both sides of the pairing equation, and rho, which merges the records with it."""
    if claim.statement is Statement.NONE:
        return [], [], claim.transcript().challenge
    if claim.statement is Statement.GRAM:
        for k in range(len(records)):
            norm = claim.values[k * (k + 3) // 2]
            if claim.mask >> k & 1 and not 0 <= norm <= bound_squared:
                raise Refused(Check.NORM, k)
    return statement_terms(key, claim, read_proof(batch.proof, claim.statement), records)


def statement_terms(key: Key, claim: Claim, proof: Proof, records: Sequence[Record]) -> tuple[Terms, Terms, int]:
    """The same for GRAM and SCORE, if the identity holds: Refused(SCALAR or STATEMENT_IDENTITY).

    records: as in ``dos``, the reference first for SCORE.
    """
    if not all(value < R for value in proof.evaluations):
        raise Refused(Check.SCALAR)
    n, first = key.params.size, len(records) - len(claim.seen)
    transcript = claim.transcript()
    weights = claim.weights(transcript)
    beta, z = transcript.absorb(proof.c_s), transcript.absorb(proof.c_q)
    gamma, u = transcript.absorb(*proof.evaluations), transcript.absorb(proof.w, proof.w2)
    a, *other, s, s_next, q, p = proof.evaluations
    f = other[0] if other else a
    total = s_next - s - a * f + claim.total(weights) * pow(n, -1, R) + beta * p * a
    if (total - q * (pow(z, n, R) - 1)) % R:
        raise Refused(Check.STATEMENT_IDENTITY)
    opened = range_check.batched([a, s, q, p, *other], gamma) + u * s_next
    left: Terms = [(record.c, r) for record, r in zip(records[first:], weights, strict=True)]
    left += [(record.c, gamma**4) for record in records[:first]]
    left += [(proof.c_s, gamma + u), (proof.c_q, gamma**2), (key.c_p, gamma**3), (GENERATOR, -opened)]
    left += [(proof.w, z), (proof.w2, u * key.omega * z)]
    return [(x, c % R) for x, c in left], [(proof.w, 1), (proof.w2, u)], challenge(h(transcript.state))
