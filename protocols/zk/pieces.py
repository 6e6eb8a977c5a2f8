"""What one prover gets: a blind and its share, as bytes or as the 32-byte seed from which it is expanded.

The data owner committed to it by leaf_j = H(TAG_leaf, sess, address, j, blind, words of the share).
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.bn254 import fr
from protocols.bn254.fr import Vector
from protocols.wire.context import tagged_hash
from protocols.zk.hashing import h, tag
from protocols.zk.params import ZkParams

SEED_BYTES = 32
"""Length of every seed."""
BLIND_BYTES = 32
"""Length of what hides a share in its leaf."""

_TAG_LEAF = tag("leaf")
_BLOCK = 1 << 13  # scalars that are expanded at once


def derive(seed: bytes, label: str, *parts: int) -> bytes:
    """32 bytes that depend on a seed and mean nothing elsewhere. ValueError for a seed of another length."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    return tagged_hash("omninode/zk/" + label, *(part.to_bytes(8, "big") for part in parts), seed)


def expand(seed: bytes, count: int) -> Vector:
    """(count, 4): uniform scalars from a 32-byte seed.

    Block by block of 2^13: SHAKE256("omninode.zk.share" | seed | number of the block, 4 bytes), 48 bytes a scalar,
    big-endian, mod R. ValueError for a seed of another length.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    out = fr.zeros(count)
    for start in range(0, count, _BLOCK):
        rows = out[start : start + _BLOCK]
        rows[:] = fr.expand(b"omninode.zk.share" + seed + (start // _BLOCK).to_bytes(4, "big"), len(rows))
    return out


def leaf(sess: bytes, address: int, point: int, blind: bytes, words: bytes) -> bytes:
    """leaf_j of prover j = ``point``. words: the share, 32 bytes a scalar."""
    return h(_TAG_LEAF, sess, address, point, blind, words)


def seeded(point: int, threshold: int) -> bool:
    """Whether the share at this point travels as a seed: at 1 .. t."""
    return point <= threshold


def plain_bytes(params: ZkParams, point: int, threshold: int) -> int:
    """Exact number of bytes that are sealed for a prover."""
    return BLIND_BYTES + (SEED_BYTES if seeded(point, threshold) else fr.BYTES * params.length)


def largest_plain(params: ZkParams) -> int:
    """Of any prover of a session."""
    return BLIND_BYTES + fr.BYTES * params.length


@dataclass(frozen=True, slots=True, repr=False)
class Piece:
    """Taken apart. blind: 32 bytes. words: the share as bytes. share: (d + 6, 4)."""

    blind: bytes
    words: bytes
    share: Vector


def read_plain(params: ZkParams, point: int, threshold: int, plain: bytes | memoryview) -> Piece:
    """What was sealed for a prover. ValueError for another length or a scalar that is R or more."""
    expected = plain_bytes(params, point, threshold)
    if len(plain) != expected:
        raise ValueError(f"a piece for point {point} has {expected} bytes, not {len(plain)}")
    blind, data = bytes(plain[:BLIND_BYTES]), plain[BLIND_BYTES:]
    if seeded(point, threshold):
        share = expand(bytes(data), params.length)
        return Piece(blind, fr.to_bytes(share), share)
    return Piece(blind, bytes(data), fr.from_bytes(data))


def open_committed(
    params: ZkParams, sess: bytes, address: int, point: int, threshold: int, plain: bytes, committed: bytes
) -> Piece:
    """``read_plain`` of what the leaf ``committed`` is of. ValueError also if it is of something else."""
    piece = read_plain(params, point, threshold, plain)
    if leaf(sess, address, point, piece.blind, piece.words) != committed:
        raise ValueError(f"the share for point {point} is not the one that was committed to")
    return piece
