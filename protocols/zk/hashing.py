"""Transcripts: keccak256 over 32-byte big-endian words, no lengths and no padding, since every layout is fixed."""

from __future__ import annotations

from eth_hash.auto import keccak

from protocols.bn254.field import R
from protocols.bn254.g1 import Point

Item = bytes | int | Point
"""A digest or other whole words; an integer below 2^256 as one word; a point as two."""


def word(value: int) -> bytes:
    """32 bytes, big-endian. OverflowError for what is negative or too large."""
    return value.to_bytes(32, "big")


def item_bytes(item: Item) -> bytes:
    """What is hashed of an item."""
    if isinstance(item, bytes):
        return item
    if isinstance(item, int):
        return word(item)
    return word(item[0]) + word(item[1])


def h(*items: Item) -> bytes:
    """H: the digest of the items one after another."""
    return keccak(b"".join(item_bytes(item) for item in items))


def challenge(state: bytes) -> int:
    """F: a transcript state as an element of the field. No residue is 1.14 times more likely than others."""
    return int.from_bytes(state, "big") % R


def tag(name: str) -> bytes:
    """TAG_name: separates the uses of the hash."""
    return keccak(f"omninode.zk.{name}.v1".encode())
