"""Merkle tree over SHA-256: leaf, node and root are hashed apart, and the root says how many leaves there are.

A level with an odd number of nodes hands its last one up as it is (as in RFC 6962, no leaf is ever doubled).
"""

from __future__ import annotations

from collections.abc import Sequence

from protocols.wire.context import tagged_hash

HASH_BYTES = 32
"""Length of a root and of every element of a proof."""


def _leaf(data: bytes) -> bytes:
    return tagged_hash("omninode/merkle/leaf", data)


def _node(left: bytes, right: bytes) -> bytes:
    return tagged_hash("omninode/merkle/node", left, right)


def _root(top: bytes, count: int) -> bytes:
    return tagged_hash("omninode/merkle/root", count.to_bytes(8, "big"), top)


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    if not leaves:
        raise ValueError("a Merkle tree has at least one leaf")
    levels = [[_leaf(x) for x in leaves]]
    while len(below := levels[-1]) > 1:
        pairs = [_node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        levels.append(pairs + below[len(pairs) * 2 :])
    return levels


def root(leaves: Sequence[bytes]) -> bytes:
    """The 32-byte root over at least one leaf of any length. ValueError if there is none."""
    return _root(_levels(leaves)[-1][0], len(leaves))


def _path(levels: list[list[bytes]], i: int) -> list[bytes]:
    path = []
    for level in levels[:-1]:
        if i ^ 1 < len(level):
            path.append(level[i ^ 1])
        i >>= 1
    return path


def proof(leaves: Sequence[bytes], i: int) -> list[bytes]:
    """The siblings of leaf i from the bottom up (none where a node is handed up). IndexError if there is no leaf i."""
    if not 0 <= i < len(leaves):
        raise IndexError(f"leaf {i} of {len(leaves)}")
    return _path(_levels(leaves), i)


def proofs(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """``proof`` of every leaf, hashing the tree only once."""
    levels = _levels(leaves)
    return [_path(levels, i) for i in range(len(leaves))]


def verify(root: bytes, leaf: bytes, index: int, count: int, proof: Sequence[bytes]) -> bool:
    """Whether ``leaf`` is number ``index`` of the ``count`` leaves under ``root``. Any garbage gives False."""
    if not 0 <= index < count or count >= 1 << 64:
        return False
    current, width, siblings = _leaf(leaf), count, iter(proof)
    while width > 1:
        if index ^ 1 < width:
            sibling = next(siblings, None)
            if sibling is None or len(sibling) != HASH_BYTES:
                return False
            current = _node(sibling, current) if index & 1 else _node(current, sibling)
        index, width = index >> 1, (width + 1) >> 1
    return next(siblings, None) is None and _root(current, count) == root
