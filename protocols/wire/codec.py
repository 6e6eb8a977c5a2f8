"""Messages as bytes: one canonical MessagePack map each, and a decoder that accepts nothing else.

The map is {"v": 1, "t": type, "c": chain, "k": contract, "s": session, "f": sender, then the fields in the order of
``SPECS``}. Whatever bytes come in, ``decode`` and ``peek`` return or raise RemoteProtocolError, nothing else; rules:
"malformed", "unknown-type", "wrong-version", "wrong-chain", "wrong-contract", "wrong-session", "field-type",
"field-length", "oversized".
"""

from __future__ import annotations

from typing import Any

import msgpack

from protocols.errors import RemoteProtocolError
from protocols.wire.context import Context
from protocols.wire.limits import Limits, limits_for
from protocols.wire.messages import Message
from protocols.wire.specs import NAMES, PARALLEL, SPECS, most_bytes

__all__ = ["VERSION", "Limits", "decode", "encode", "limits_for", "peek", "peek_sender", "type_name"]

VERSION = 1
_HEADER = ("v", "t", "c", "k", "s", "f")
_PEEKED = 160
"""The header's first five entries always fit in this many bytes."""
_LONGEST = 64  # keys and type names; text values have their own limit
_BAD_INPUT = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException, msgpack.OutOfData)


def type_name(message: Message) -> str:
    """The name of a message's type on the wire."""
    return NAMES[type(message)]


def encode(message: Message, context: Context) -> bytes:
    """The bytes of a message of the session ``context``. ValueError if a field does not hold what its kind allows."""
    name = type_name(message)
    _, fields = SPECS[name]
    if len(message.sender) != 20:
        raise ValueError(f"a sender is an address of 20 bytes: {message.sender!r}")
    entries: dict[str, Any] = {
        "v": VERSION, "t": name, "c": context.chain_id, "k": context.contract, "s": context.session,
        "f": message.sender,
    }  # fmt: skip
    for key, field in fields.items():
        entries[key] = field.pack(getattr(message, key))
    return bytes(msgpack.packb(entries))


def peek(data: bytes) -> tuple[int, bytes, int, str]:
    """(chain id, contract, session, type name) of a message, for routing; reads only its first bytes."""
    if type(data) is not bytes:
        raise RemoteProtocolError("malformed", detail="no bytes")
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, max_str_len=_LONGEST, max_bin_len=_LONGEST,
                                max_array_len=0, max_map_len=_LONGEST, max_ext_len=0)  # fmt: skip
    unpacker.feed(data[:_PEEKED])
    try:
        size = unpacker.read_map_header()
        header = {}
        for key in _HEADER[: min(size, 5)]:
            if unpacker.unpack() != key:
                raise RemoteProtocolError("malformed", detail=f"{key!r} is missing")
            header[key] = unpacker.unpack()
    except _BAD_INPUT as error:
        raise RemoteProtocolError("malformed", detail=type(error).__name__) from None
    return _header(header)


def peek_sender(data: bytes) -> bytes:
    """Who claims to have sent a message (20 bytes): to be held against the channel before the rest is read."""
    peek(data)
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, max_str_len=_LONGEST, max_bin_len=_LONGEST,
                                max_array_len=0, max_map_len=_LONGEST, max_ext_len=0)  # fmt: skip
    unpacker.feed(data[:_PEEKED])
    try:
        unpacker.read_map_header()
        for _ in _HEADER[:5]:
            unpacker.skip()
            unpacker.skip()
        key, sender = unpacker.unpack(), unpacker.unpack()
    except _BAD_INPUT as error:
        raise RemoteProtocolError("malformed", detail=type(error).__name__) from None
    if key != "f":
        raise RemoteProtocolError("malformed", detail="'f' is missing")
    if type(sender) is not bytes:
        raise RemoteProtocolError("field-type", detail="sender is bytes")
    if len(sender) != 20:
        raise RemoteProtocolError("field-length", detail="sender is an address of 20 bytes")
    return sender


def _header(header: dict[str, Any]) -> tuple[int, bytes, int, str]:
    """Check version, type, chain, contract and session as they came."""
    version, name, chain, contract, session = (header.get(key) for key in _HEADER[:5])
    if type(version) is not int or type(chain) is not int or type(session) is not int:
        raise RemoteProtocolError("field-type", detail="version, chain and session are integers")
    if type(name) is not str or type(contract) is not bytes:
        raise RemoteProtocolError("field-type", detail="type is text, contract is bytes")
    if version != VERSION:
        raise RemoteProtocolError("wrong-version", detail=f"version {version}, ours is {VERSION}")
    if chain < 0 or session < 0 or len(contract) != 20:
        raise RemoteProtocolError("field-length", detail="chain, contract or session")
    if name not in SPECS:
        raise RemoteProtocolError("unknown-type", detail=name)
    return chain, contract, session, name


def decode(data: bytes, context: Context, limits: Limits) -> Message:
    """The message in ``data``, if it is exactly what ``encode`` makes of a message of ``context`` within ``limits``.

    Raises RemoteProtocolError with the broken rule, and nothing else, for every other input.
    """
    chain, contract, session, name = peek(data)
    if chain != context.chain_id:
        raise RemoteProtocolError("wrong-chain", detail=f"chain {chain}")
    if contract != context.contract:
        raise RemoteProtocolError("wrong-contract", detail=contract.hex())
    if session != context.session:
        raise RemoteProtocolError("wrong-session", detail=f"session {session}")
    if len(data) > most_bytes(name, limits):
        raise RemoteProtocolError(
            "oversized", detail=f"{name} of {len(data)} bytes, at most {most_bytes(name, limits)}"
        )
    entries = _unpack(data, limits)
    sender = entries.get("f")
    if type(sender) is not bytes:
        raise RemoteProtocolError("field-type", detail="sender is bytes")
    if len(sender) != 20:
        raise RemoteProtocolError("field-length", detail="sender is an address of 20 bytes")
    try:
        message = _message(name, sender, entries, limits)
        if encode(message, context) != data:
            raise RemoteProtocolError("malformed", detail="not in canonical form")
    except RemoteProtocolError as error:
        raise RemoteProtocolError(error.rule, sender.hex(), f"{name}: {error.detail}") from None
    return message


def _unpack(data: bytes, limits: Limits) -> dict[str, Any]:
    """The MessagePack map, with every length bounded by what is there."""
    most = max(limits.owners, limits.group, limits.number("judged"), limits.committee, 64)
    try:
        entries = msgpack.unpackb(data, raw=False, strict_map_key=True, max_str_len=256, max_bin_len=len(data),
                                  max_array_len=most, max_map_len=32, max_ext_len=0)  # fmt: skip
    except _BAD_INPUT as error:
        raise RemoteProtocolError("malformed", detail=type(error).__name__) from None
    if type(entries) is not dict:
        raise RemoteProtocolError("malformed", detail="no map")
    return entries


def _message(name: str, sender: bytes, entries: dict[str, Any], limits: Limits) -> Message:
    cls, fields = SPECS[name]
    if entries.keys() != {*_HEADER, *fields}:
        odd = sorted(repr(key) for key in entries.keys() ^ {*_HEADER, *fields})
        raise RemoteProtocolError("malformed", detail=f"unknown or missing: {', '.join(odd)[:200]}")
    values = {key: field.unpack(entries[key], limits) for key, field in fields.items()}
    if len({len(values[key]) for key in PARALLEL.get(name, ())}) > 1:
        raise RemoteProtocolError("field-length", detail="lists of different lengths")
    return cls(sender, **values)
