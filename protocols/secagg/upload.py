"""A data owner's pieces for the provers: packed, blinded, committed under one Merkle root.

leaf_i = H("upload-leaf", context, data owner, i, blind_i, SHA-256 of the packed piece) for prover point i; leaf of
point i is number i - 1 of n.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.fields.prg import SEED_BYTES
from protocols.sharing import merkle
from protocols.wire.context import Context

BLIND_BYTES = 32
_VECTOR = b"\x00"
_SEED = b"\x01"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one prover gets. blind and data are secret; proof: Merkle path of its leaf."""

    blind: bytes = field(repr=False)
    data: bytes = field(repr=False)
    proof: tuple[bytes, ...]

    @property
    def plain(self) -> bytes:
        """What is sealed: blind and packed piece."""
        return self.blind + self.data


def piece_bytes(length: int) -> int:
    """Packed size of a full share vector of ``length`` elements."""
    return 1 + 8 * length


def pack_piece(piece: Vector | bytes) -> bytes:
    """A kind byte, then the elements (8 bytes each, little-endian) or the 32-byte seed."""
    return _SEED + piece if isinstance(piece, bytes) else _VECTOR + gl.to_bytes(piece)


def unpack_piece(data: bytes, length: int) -> Vector | bytes:
    """Inverse of ``pack_piece`` for a vector of ``length``. ValueError for another size, kind or a non-canonical
    element.
    """
    kind, body = data[:1], data[1:]
    if kind == _SEED and len(body) == SEED_BYTES:
        return body
    if kind == _VECTOR and len(data) == piece_bytes(length):
        return gl.from_bytes(body)
    raise ValueError(f"a piece of {len(data)} bytes and kind {kind.hex()} is no share of {length} elements")


def split_plain(plain: bytes) -> tuple[bytes, bytes]:
    """Blind and packed piece of what was sealed. ValueError if it is too short."""
    if len(plain) <= BLIND_BYTES:
        raise ValueError(f"{len(plain)} bytes hold no piece")
    return plain[:BLIND_BYTES], plain[BLIND_BYTES:]


def _leaf(context: Context, data_owner: bytes, point: int, blind: bytes, data: bytes) -> bytes:
    return context.bind("upload-leaf", data_owner, point.to_bytes(4, "big"), blind, hashlib.sha256(data).digest())


def commit_upload(
    context: Context, data_owner: bytes, pieces: Sequence[Vector | bytes], seed: bytes
) -> tuple[bytes, list[Piece]]:
    """The root to commit on chain and the piece of each prover, for points 1 .. len(pieces).

    data_owner: wallet address.  pieces: from ``shamir.deal``.  seed: 32 bytes; blinds are derived from it.
    """
    packed = [pack_piece(piece) for piece in pieces]
    own = context.bind("upload-blinds", data_owner, seed)
    blinds = [context.bind("blind", i.to_bytes(4, "big"), own) for i in range(1, len(packed) + 1)]
    leaves = [
        _leaf(context, data_owner, i, blind, data)
        for i, (blind, data) in enumerate(zip(blinds, packed, strict=True), start=1)
    ]
    paths = merkle.proofs(leaves)
    return merkle.root(leaves), [Piece(b, d, tuple(p)) for b, d, p in zip(blinds, packed, paths, strict=True)]


def verify_upload(
    context: Context,
    data_owner: bytes,
    point: int,
    root: bytes,
    proof: Sequence[bytes],
    committee: int,
    blind: bytes,
    data: bytes,
) -> bool:
    """Whether ``data_owner`` committed this packed piece for prover ``point`` (1 .. committee) under ``root``."""
    if not 1 <= point <= committee or len(blind) != BLIND_BYTES:
        return False
    return merkle.verify(root, _leaf(context, data_owner, point, blind, data), point - 1, committee, proof)
