"""What a committee proves of a batch, and the transcript of the proof up to its first challenge.

GRAM: the values are all inner products, the lower triangle row by row.  SCORE: those with the reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from protocols.bn254.field import R
from protocols.bn254.g1 import Point
from protocols.zk.errors import Check, Refused
from protocols.zk.hashing import Item, challenge, h, item_bytes
from protocols.zk.params import Statement
from protocols.zk.transcript import Transcript

VALUE_BYTES = 16
"""Of a value: two's complement, big-endian."""

TAGS = {Statement.NONE: "none", Statement.GRAM: "gram", Statement.SCORE: "score"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as the statement's transcript has it: whose it is, and t3, the last state of its own transcript."""

    address: int
    t3: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """sess: of the session.  seen: the records by increasing address.  reference: that of the model owner, for SCORE.

    values: GRAM K (K + 1)/2 integers, SCORE K, NONE none.  mask: bit k is the k-th record; SCORE does not bind it.
    """

    statement: Statement
    sess: bytes
    seen: tuple[Seen, ...]
    reference: Seen | None
    values: tuple[int, ...]
    mask: int

    def __post_init__(self) -> None:
        if (self.reference is not None) != (self.statement is Statement.SCORE):
            raise ValueError("the statement score, and no other, has a reference")
        if len(self.values) != value_count(self.statement, len(self.seen)) or self.mask >> len(self.seen):
            raise ValueError(f"{len(self.values)} values and mask {self.mask:b} for {len(self.seen)} records")

    def transcript(self) -> Transcript:
        """t0: everything that is claimed."""
        name, seen = TAGS[self.statement], [item for s in self.seen for item in (s.address, s.t3)]
        if self.reference is not None:
            reference = (self.reference.address, self.reference.t3)
            return Transcript(name, self.sess, len(self.seen), *reference, *seen, *(v % R for v in self.values))
        values = [keccak(encode_values(self.values))] if self.statement is Statement.GRAM else []
        return Transcript(name, self.sess, len(self.seen), self.mask, *seen, *values)

    def weights(self, transcript: Transcript) -> list[int]:
        """r_k, one per record, drawn after everything is claimed. transcript: as it begins."""
        return [challenge(h(transcript.state, k)) for k in range(len(self.seen))]

    def total(self, weights: Sequence[int]) -> int:
        """v: what the weighted sum of the vectors must have as its squared norm, or its product with the reference."""
        if self.statement is Statement.SCORE:
            return sum(r * v for r, v in zip(weights, self.values, strict=True)) % R
        doubled = ((1 if k == j else 2) * weights[k] * weights[j] for k, j in triangle(len(weights)))
        return sum(w * v for w, v in zip(doubled, self.values, strict=True)) % R


def triangle(count: int) -> Iterator[tuple[int, int]]:
    """(k, j) for j <= k < count, row by row."""
    return ((k, j) for k in range(count) for j in range(k + 1))


def value_count(statement: Statement, records: int) -> int:
    """Values of so many records."""
    return {Statement.NONE: 0, Statement.GRAM: records * (records + 1) // 2, Statement.SCORE: records}[statement]


def encode_values(values: Sequence[int]) -> bytes:
    """16 bytes each. Refused(SHAPE) for what does not fit."""
    try:
        return b"".join(v.to_bytes(VALUE_BYTES, "big", signed=True) for v in values)
    except OverflowError:
        raise Refused(Check.SHAPE, detail="a value of more than 128 bits") from None


def decode_values(data: bytes) -> tuple[int, ...]:
    """The inverse of ``encode_values``. Refused(SHAPE) for another length."""
    if len(data) % VALUE_BYTES:
        raise Refused(Check.SHAPE, detail=f"{len(data)} bytes of values")
    return tuple(int.from_bytes(data[i : i + 16], "big", signed=True) for i in range(0, len(data), VALUE_BYTES))


@dataclass(frozen=True, slots=True)
class Proof:
    """c_s: the running sum.  c_q: the quotient.  w, w2: openings at z and at w z.

    evaluations: GRAM A(z), S(z), S(w z), q(z), P(z); SCORE A(z), f(z), S(z), S(w z), q(z), P(z).
    """

    c_s: Point
    c_q: Point
    evaluations: tuple[int, ...]
    w: Point
    w2: Point

    def encode(self) -> bytes:
        """416 bytes, or 448 for SCORE. OverflowError if a number needs more than 32 bytes."""
        items: list[Item] = [self.c_s, self.c_q, *self.evaluations, self.w, self.w2]
        return b"".join(item_bytes(item) for item in items)


def evaluation_count(statement: Statement) -> int:
    """Scalars in a proof of GRAM or SCORE."""
    return 6 if statement is Statement.SCORE else 5


def read_proof(data: bytes, statement: Statement) -> Proof:
    """A proof of any numbers below 2^256, as the contract reads it. Refused(SHAPE) for another length."""
    count = evaluation_count(statement)
    if len(data) != 32 * (8 + count):
        raise Refused(Check.SHAPE, detail=f"a proof of {len(data)} bytes")
    words = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
    s, q, w, w2 = ((words[i], words[i + 1]) for i in (0, 2, 4 + count, 6 + count))
    return Proof(s, q, tuple(words[4 : 4 + count]), w, w2)
