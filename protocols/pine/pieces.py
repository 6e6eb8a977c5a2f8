"""The bytes that are sealed for one prover, and the share that they stand for.

In order: a blind per stage (3 times 32 bytes); the Merkle root of the leaves; what is committed in stage x, in stage
bits, in stage proof. The first two are packed pieces (``secagg.upload``), a vector or a seed. The last is the degree t
(one byte), the wire keys (``pine.wires``) and the packed piece of gadget polynomials and pad.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.fields.goldilocks import Vector
from protocols.fields.prg import SEED_BYTES
from protocols.pine import transcript, wires
from protocols.pine.params import PineParams
from protocols.pine.transcript import HASH_BYTES, STAGES, Layout
from protocols.secagg.upload import BLIND_BYTES, piece_bytes, unpack_piece
from protocols.sharing.shamir import open_piece


def sent_length(params: PineParams) -> int:
    """Elements that are shared in the last stage: gadget polynomials and pad."""
    return params.proof_length - params.wires_length + 1


def largest_plain(params: PineParams, committee: int, degree: int) -> int:
    """Bytes of the largest piece that a data owner seals for one prover."""
    vectors = sum(map(piece_bytes, (params.dimension, params.bits_length, sent_length(params))))
    return len(STAGES) * BLIND_BYTES + HASH_BYTES + 1 + vectors + wires.keys_length(committee, degree)


class _Reader:
    """Takes bytes apart, from left to right."""

    def __init__(self, plain: bytes) -> None:
        self._rest = memoryview(plain)

    def take(self, name: str, count: int) -> bytes:
        if len(self._rest) < count:
            raise ValueError(f"{name}: {count} bytes were expected, {len(self._rest)} are left")
        taken, self._rest = bytes(self._rest[:count]), self._rest[count:]
        return taken

    def piece(self, name: str, length: int) -> bytes:
        """A packed vector of ``length`` or a packed seed: its first byte says which."""
        seeded = bytes(self._rest[:1]) == b"\x01"
        return self.take(name, 1 + SEED_BYTES if seeded else piece_bytes(length))

    def end(self) -> None:
        if len(self._rest):
            raise ValueError(f"{len(self._rest)} bytes follow the piece")


def _unpacked(name: str, data: bytes, length: int) -> Vector:
    try:
        return open_piece(unpack_piece(data, length), length)
    except ValueError as error:
        raise ValueError(f"share of {name}: {error}") from None


@dataclass(frozen=True, slots=True, repr=False)
class SealedPiece:
    """Parsed. blinds: of the three stages.  x, bits, sent: packed pieces.  keys: packed wire keys."""

    blinds: tuple[bytes, ...]
    leaves_root: bytes
    x: bytes
    bits: bytes
    degree: int
    keys: bytes
    sent: bytes

    @classmethod
    def parse(cls, params: PineParams, committee: int, plain: bytes) -> SealedPiece:
        """ValueError, naming the part, where lengths are not what they must be."""
        reader = _Reader(plain)
        blinds = tuple(reader.take("blinds", BLIND_BYTES) for _ in STAGES)
        leaves_root = reader.take("root of the leaves", HASH_BYTES)
        x, bits = reader.piece("share of x", params.dimension), reader.piece("share of bits", params.bits_length)
        degree = reader.take("degree", 1)[0]
        transcript.check_committee(committee, degree)
        keys = reader.take("wire keys", wires.keys_length(committee, degree))
        sent = reader.piece("share of proofs", sent_length(params))
        reader.end()
        return cls(blinds, leaves_root, x, bits, degree, keys, sent)

    @property
    def data(self) -> tuple[bytes, bytes, bytes]:
        """What is committed in each stage."""
        return self.x, self.bits, bytes([self.degree]) + self.keys + self.sent

    def share(self, params: PineParams, point: int, committee: int) -> Vector:
        """(share_length,) the share vector at ``point``. ValueError for an element that is not canonical."""
        layout = Layout(params)
        share = np.empty(params.share_length, dtype=np.uint64)
        share[layout.x] = _unpacked("x", self.x, params.dimension)
        share[layout.bits] = _unpacked("bits", self.bits, params.bits_length)
        sent = _unpacked("proofs", self.sent, sent_length(params))
        keys = wires.unpack_keys(self.keys, point, committee, self.degree)
        proofs = share[layout.proof]
        proofs[layout.wires] = wires.wire_share(keys, point, committee, params.wires_length)
        proofs[~layout.wires] = sent[:-1]
        share[layout.pad] = sent[-1:]
        return share
