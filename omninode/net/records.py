"""Signed address records: a node says where it listens, others hand that on, nobody can say it in its place.

Record: MessagePack [version, key, seq, addrs] and the ed25519 signature of its key over domain tag and payload.
seq: unix milliseconds; a later record replaces an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgpack
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from omninode.net.book import MAX_ADDRESSES, MAX_RECORD
from omninode.net.keys import KEY_BYTES

_TAG = b"omninode peer record v1\0"
_SIGNATURE = 64


@dataclass(frozen=True, slots=True)
class Record:
    """Where the node with ``key`` listened at ``seq`` (unix milliseconds)."""

    key: bytes
    seq: int
    addrs: list[str]


def sign_record(seed: bytes, seq: int, addrs: Sequence[str]) -> bytes:
    """The record of the node with this 32-byte ed25519 seed, at most eight addresses."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key = private.public_key().public_bytes_raw()
    payload: bytes = msgpack.packb([1, key, seq, list(addrs)[:MAX_ADDRESSES]])
    return private.sign(_TAG + payload) + payload


def read_record(data: bytes) -> Record:
    """Check and decode a record. ValueError for anything malformed or not signed by its key."""
    if not isinstance(data, bytes) or not _SIGNATURE < len(data) <= MAX_RECORD:
        raise ValueError("record size")
    payload = data[_SIGNATURE:]
    try:
        fields = msgpack.unpackb(payload, max_array_len=MAX_ADDRESSES, max_map_len=0)
    except Exception as error:
        raise ValueError("record encoding") from error
    if not isinstance(fields, list) or len(fields) != 4 or fields[0] != 1:
        raise ValueError("record form")
    _, key, seq, addrs = fields
    if not isinstance(key, bytes) or len(key) != KEY_BYTES or type(seq) is not int or not 0 <= seq < 1 << 53:
        raise ValueError("record form")
    if not isinstance(addrs, list) or not all(isinstance(a, str) for a in addrs):
        raise ValueError("record form")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(data[:_SIGNATURE], _TAG + payload)
    except (InvalidSignature, ValueError) as error:
        raise ValueError("record signature") from error
    return Record(key, seq, addrs)
