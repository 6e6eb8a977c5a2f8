"""Solidity's ABI (contract ABI specification, strict mode): values to bytes and back.

uintN and intN are int, bool is bool, address is 20 bytes, bytesN and bytes are bytes, string is str, arrays are tuples,
tuples (structs) are dicts by component name; encoding takes any sequence or, for a struct, a mapping.
Our own because eth-abi and what it imports cost every daemon 13 MB and 0.3 s; the tests compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ARRAY = re.compile(r"(.*)\[(\d*)\]")
_ATOM = re.compile(r"(uint|int|bytes)(\d+)")
WORD = 32


class AbiError(ValueError):
    """A value does not fit its type, or bytes are no encoding of it."""


@dataclass(frozen=True, slots=True)
class AbiType:
    """A type. kind: uint int bool address fixed bytes string array tuple.

    size: bits of an integer, bytes of bytesN, length of T[k] (-1: T[]). parts: item type of an array, components of a
    tuple; names: of the components.
    """

    kind: str
    size: int = 0
    parts: tuple[AbiType, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def dynamic(self) -> bool:
        """Whether the encoding lives behind an offset."""
        if self.kind == "array":
            return self.size < 0 or self.parts[0].dynamic
        return self.kind in ("bytes", "string") or (self.kind == "tuple" and any(p.dynamic for p in self.parts))

    @property
    def head(self) -> int:
        """Bytes that this type takes in the head of what holds it."""
        if self.dynamic:
            return WORD
        if self.kind == "array":
            return self.size * self.parts[0].head
        return sum(p.head for p in self.parts) if self.kind == "tuple" else WORD

    @property
    def canonical(self) -> str:
        """The name as it stands in signatures."""
        match self.kind:
            case "uint" | "int" | "fixed":
                return f"{'bytes' if self.kind == 'fixed' else self.kind}{self.size}"
            case "array":
                return f"{self.parts[0].canonical}[{self.size if self.size >= 0 else ''}]"
            case "tuple":
                return f"({','.join(p.canonical for p in self.parts)})"
        return self.kind


def parse_type(entry: Mapping[str, Any]) -> AbiType:
    """The type of one input, output or component of a JSON ABI."""
    name = str(entry["type"])
    if array := _ARRAY.fullmatch(name):
        item = parse_type({**entry, "type": array[1]})
        return AbiType("array", int(array[2]) if array[2] else -1, (item,))
    if name == "tuple":
        return parse_tuple(entry["components"])
    if atom := _ATOM.fullmatch(name):
        return AbiType("fixed" if atom[1] == "bytes" else atom[1], int(atom[2]))
    if name in ("bool", "address", "bytes", "string"):
        return AbiType(name)
    raise AbiError(f"unknown type {name!r}")


def parse_tuple(entries: Sequence[Mapping[str, Any]]) -> AbiType:
    """A list of parameters as one tuple type."""
    return AbiType("tuple", 0, tuple(parse_type(e) for e in entries), tuple(str(e.get("name", "")) for e in entries))


def encode(kind: AbiType, value: Any) -> bytes:
    """The encoding of one value (for a tuple: head and tail). AbiError where the value does not fit."""
    match kind.kind:
        case "uint" | "int":
            return _encode_int(kind, value)
        case "bool":
            if not isinstance(value, bool):
                raise AbiError(f"bool wanted, got {value!r}")
            return int(value).to_bytes(WORD, "big")
        case "address" | "fixed":
            return _encode_fixed(kind, value)
        case "bytes" | "string":
            data = value.encode() if kind.kind == "string" and isinstance(value, str) else value
            if not isinstance(data, bytes):
                raise AbiError(f"{kind.kind} wanted, got {type(value).__name__}")
            return len(data).to_bytes(WORD, "big") + data + bytes(-len(data) % WORD)
    types, values = _members(kind, value)
    prefix = len(values).to_bytes(WORD, "big") if kind.kind == "array" and kind.size < 0 else b""
    return prefix + _encode_members(types, values)


def _encode_int(kind: AbiType, value: Any) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int):
        raise AbiError(f"{kind.canonical} wanted, got {type(value).__name__}")
    low, high = (0, 1 << kind.size) if kind.kind == "uint" else (-(1 << kind.size - 1), 1 << kind.size - 1)
    if not low <= value < high:
        raise AbiError(f"{int(value)} does not fit {kind.canonical}")
    return int(value).to_bytes(WORD, "big", signed=kind.kind == "int")


def _encode_fixed(kind: AbiType, value: Any) -> bytes:
    size = 20 if kind.kind == "address" else kind.size
    if not isinstance(value, bytes) or len(value) != size:
        raise AbiError(f"{kind.canonical} wants {size} bytes, got {value!r}")
    return value.rjust(WORD, b"\0") if kind.kind == "address" else value.ljust(WORD, b"\0")


def _members(kind: AbiType, value: Any) -> tuple[Sequence[AbiType], Sequence[Any]]:
    """Types and values, one by one, of an array or a tuple."""
    if kind.kind == "tuple" and isinstance(value, Mapping):
        if set(value) != set(kind.names):
            raise AbiError(f"fields wanted: {', '.join(kind.names)}; got {', '.join(map(str, value))}")
        return kind.parts, [value[name] for name in kind.names]
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise AbiError(f"{kind.canonical} wants a sequence, got {type(value).__name__}")
    length = len(kind.parts) if kind.kind == "tuple" else kind.size
    if length >= 0 and len(value) != length:
        raise AbiError(f"{kind.canonical} wants {length} values, got {len(value)}")
    return (kind.parts if kind.kind == "tuple" else kind.parts * len(value)), value


def _encode_members(types: Sequence[AbiType], values: Sequence[Any]) -> bytes:
    heads, tails = [], []
    offset = sum(t.head for t in types)
    for kind, value in zip(types, values, strict=True):
        data = encode(kind, value)
        heads.append(offset.to_bytes(WORD, "big") if kind.dynamic else data)
        if kind.dynamic:
            tails.append(data)
            offset += len(data)
    return b"".join(heads + tails)


def decode(kind: AbiType, data: bytes, at: int = 0) -> Any:
    """The value whose encoding begins at ``at``. AbiError on anything that is no encoding of the type."""
    match kind.kind:
        case "uint" | "int" | "bool":
            return _decode_int(kind, _slice(data, at, WORD))
        case "address" | "fixed":
            return _decode_fixed(kind, _slice(data, at, WORD))
        case "bytes" | "string":
            length = int.from_bytes(_slice(data, at, WORD), "big")
            body = _slice(data, at + WORD, length)
            try:
                return body.decode() if kind.kind == "string" else body
            except UnicodeDecodeError:
                raise AbiError("a string is not UTF-8") from None
        case "array":
            length = kind.size
            if length < 0:
                length, at = int.from_bytes(_slice(data, at, WORD), "big"), at + WORD
            if length * max(kind.parts[0].head, 1) > len(data):
                raise AbiError(f"an array of {length} in {len(data)} bytes")
            return tuple(_decode_members(kind.parts * length, data, at))
    return dict(zip(kind.names, _decode_members(kind.parts, data, at), strict=True))


def decode_list(kind: AbiType, data: bytes) -> list[Any]:
    """The members of a tuple in order: for parameter lists, whose names may be empty."""
    return _decode_members(kind.parts, data, 0)


def _slice(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise AbiError(f"{length} bytes wanted at {at}, there are {len(data)}")
    return data[at : at + length]


def _decode_int(kind: AbiType, word: bytes) -> int | bool:
    value = int.from_bytes(word, "big", signed=kind.kind == "int")
    bits = 1 if kind.kind == "bool" else kind.size
    low, high = (-(1 << bits - 1), 1 << bits - 1) if kind.kind == "int" else (0, 1 << bits)
    if not low <= value < high:
        raise AbiError(f"{kind.canonical} with dirty bits")
    return bool(value) if kind.kind == "bool" else value


def _decode_fixed(kind: AbiType, word: bytes) -> bytes:
    if kind.kind == "address":
        value, padding = word[12:], word[:12]
    else:
        value, padding = word[: kind.size], word[kind.size :]
    if any(padding):
        raise AbiError(f"{kind.canonical} with dirty bits")
    return value


def _decode_members(types: Sequence[AbiType], data: bytes, at: int) -> list[Any]:
    values, head = [], at
    for kind in types:
        where = at + int.from_bytes(_slice(data, head, WORD), "big") if kind.dynamic else head
        values.append(decode(kind, data, where))
        head += kind.head
    return values
