"""A data owner's proof as it travels: 640 bytes, or 896 with the bound of the norm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eth_hash.auto import keccak

from protocols.bn254 import g1
from protocols.bn254.field import R
from protocols.bn254.g1 import Point
from protocols.zk.errors import Check, Refused
from protocols.zk.hashing import Item, item_bytes
from protocols.zk.params import NORMS_BYTES, RECORD_BYTES, record_bytes

BYTES, BYTES_NORMS = RECORD_BYTES, NORMS_BYTES
ADDRESSES = 1 << 160
EVALUATIONS, EVALUATIONS_NORMS = 6, 10


@dataclass(frozen=True, slots=True)
class Record:
    """What a data owner publishes of its vector: commitments, evaluations, openings.

    c: of the vector.  dg: digest of its shares.  c_m: multiplicities.  c_e, c_nn: bits of the slack of the norm and
    running sum of squares, None without norms.  c_s: running sum of the lookup.  c_q: quotient.
    evaluations: g, m, s, s(w z), q, T at z; with norms g, m, s, q, T, e, nn, p at z and s, nn at w z.
    w, w2: openings at z and at w z. Values are what was received: ``validate`` says whether they are canonical.
    """

    address: int
    c: Point
    dg: bytes
    c_m: Point
    c_e: Point | None
    c_nn: Point | None
    c_s: Point
    c_q: Point
    evaluations: tuple[int, ...]
    w: Point
    w2: Point

    def __post_init__(self) -> None:
        if (self.c_e is None) != (self.c_nn is None) or len(self.dg) != 32:
            raise ValueError("not the parts of a record")
        if len(self.evaluations) != (EVALUATIONS_NORMS if self.norms else EVALUATIONS):
            raise ValueError(f"{len(self.evaluations)} evaluations")

    @property
    def norms(self) -> bool:
        """Whether it proves the bound of the norm."""
        return self.c_e is not None

    @property
    def committed(self) -> list[Item]:
        """What the first state of the transcript absorbs."""
        norms = [] if self.c_e is None or self.c_nn is None else [self.c_e, self.c_nn]
        return [self.address, self.c, self.dg, self.c_m, *norms]

    def points(self) -> list[Point]:
        """All points, in the order of the bytes."""
        norms = [] if self.c_e is None or self.c_nn is None else [self.c_e, self.c_nn]
        return [self.c, self.c_m, *norms, self.c_s, self.c_q, self.w, self.w2]

    def encode(self) -> bytes:
        """640 or 896 bytes. OverflowError if a number needs more than 32 bytes."""
        parts = [*self.committed, self.c_s, self.c_q, *self.evaluations, self.w, self.w2]
        return b"".join(map(item_bytes, parts))

    def digest(self) -> bytes:
        """keccak256 of the bytes: what the owner posts before the deadline."""
        return keccak(self.encode())


def read(data: bytes, norms: bool) -> Record:
    """A record of any numbers below 2^256, as the contract reads it. Refused(SHAPE) for another length."""
    if len(data) != record_bytes(norms):
        raise Refused(Check.SHAPE, detail=f"a record of {len(data)} bytes")
    words = iter([int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)])
    address, c, dg, c_m = next(words), _point(words), next(words).to_bytes(32, "big"), _point(words)
    c_e, c_nn = (_point(words), _point(words)) if norms else (None, None)
    c_s, c_q = _point(words), _point(words)
    evaluations = tuple(next(words) for _ in range(EVALUATIONS_NORMS if norms else EVALUATIONS))
    return Record(address, c, dg, c_m, c_e, c_nn, c_s, c_q, evaluations, _point(words), _point(words))


def decode(data: bytes, norms: bool) -> Record:
    """A record of canonical numbers and points of the curve. Refused: SHAPE, ORDER, SCALAR or POINT."""
    record = read(data, norms)
    validate(record)
    return record


def validate(record: Record) -> None:
    """Refused for an address (ORDER), scalar or point that is not canonical, or a point off the curve."""
    check_scalars(record)
    check_points(record)


def check_scalars(record: Record) -> None:
    """Refused: ORDER for an address of more than 160 bits, SCALAR for an evaluation of R or more."""
    if not 0 <= record.address < ADDRESSES:
        raise Refused(Check.ORDER, detail="an address has 160 bits")
    if not all(0 <= value < R for value in record.evaluations):
        raise Refused(Check.SCALAR)


def check_points(record: Record) -> None:
    """Refused(POINT) if one is not canonical or not on the curve; infinity is a point."""
    try:
        g1.from_integers(record.points())
    except (g1.InvalidPoint, OverflowError) as error:
        raise Refused(Check.POINT, detail=str(error)) from error


def _point(words: Iterator[int]) -> Point:
    return next(words), next(words)
