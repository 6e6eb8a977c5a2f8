"""Frames between a node and its worker: four bytes of length, then MessagePack. No pickle, no torch."""

from __future__ import annotations

import struct
from typing import Any

import msgpack

HEADER = struct.Struct(">I")
MAX_FRAME = 1 << 30


def pack(message: Any) -> bytes:
    """One frame. Raises ValueError above ``MAX_FRAME`` bytes."""
    body: bytes = msgpack.packb(message)
    if len(body) > MAX_FRAME:
        raise ValueError(f"a message of {len(body)} bytes is more than {MAX_FRAME}")
    return HEADER.pack(len(body)) + body


def length(header: bytes) -> int:
    """Length of the body announced by a header. Raises ValueError above ``MAX_FRAME``."""
    (size,) = HEADER.unpack(header)
    if size > MAX_FRAME:
        raise ValueError(f"a message of {size} bytes is more than {MAX_FRAME}")
    return int(size)


def unpack(body: bytes) -> Any:
    """The message of a body; what was a list comes back as a tuple."""
    return msgpack.unpackb(body, strict_map_key=True, use_list=False)
