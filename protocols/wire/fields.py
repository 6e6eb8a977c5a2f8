"""Kinds of message fields: each knows its MessagePack form, its limits and how to refuse everything else.

A limit is a number or the name of a number in ``Limits``. Integers that may pass 64 bits travel as minimal big-endian
bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from protocols.errors import RemoteProtocolError


class Sizes(Protocol):
    """Where a limit given by name is looked up."""

    def number(self, name: int | str) -> int:
        """The limit of this name; a number stands for itself."""
        ...


class Field(Protocol):
    """One kind.

    pack: typed value -> MessagePack value, ValueError if it is none.  unpack: the inverse, RemoteProtocolError.
    most: bytes that a value takes at most.
    """

    def pack(self, value: Any) -> Any: ...
    def unpack(self, value: Any, sizes: Sizes) -> Any: ...
    def most(self, sizes: Sizes) -> int: ...


def _type(wanted: str, value: object) -> RemoteProtocolError:
    return RemoteProtocolError("field-type", detail=f"{type(value).__name__} where {wanted} belongs")


def _length(detail: str) -> RemoteProtocolError:
    return RemoteProtocolError("field-length", detail=detail)


@dataclass(frozen=True, slots=True)
class Uint:
    """A non-negative integer of at most 64 bits and not above ``limit``."""

    limit: int | str = 2**64 - 1

    def pack(self, value: Any) -> Any:
        if type(value) is not int and not (isinstance(value, int) and not isinstance(value, bool)):
            raise ValueError(f"not an integer: {value!r}")
        if not 0 <= value < 2**64:
            raise ValueError(f"not in [0, 2^64): {value}")
        return int(value)

    def unpack(self, value: Any, sizes: Sizes) -> Any:
        if type(value) is not int or value < 0:
            raise _type("a non-negative integer", value)
        if value > sizes.number(self.limit):
            raise _length(f"{value} is above {sizes.number(self.limit)}")
        return value

    def most(self, sizes: Sizes) -> int:
        return 9


@dataclass(frozen=True, slots=True)
class Uint256:
    """A non-negative integer of at most 256 bits, as minimal big-endian bytes (zero: none)."""

    def pack(self, value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**256:
            raise ValueError(f"not in [0, 2^256): {value!r}")
        return int(value).to_bytes((int(value).bit_length() + 7) // 8, "big")

    def unpack(self, value: Any, sizes: Sizes) -> Any:
        if type(value) is not bytes:
            raise _type("a big integer's bytes", value)
        if len(value) > 32 or value[:1] == b"\0":
            raise _length("a big integer has at most 32 bytes and no leading zero")
        return int.from_bytes(value, "big")

    def most(self, sizes: Sizes) -> int:
        return 34


@dataclass(frozen=True, slots=True)
class Fixed:
    """Exactly ``length`` bytes; with ``optional`` also none."""

    length: int
    optional: bool = False

    def pack(self, value: Any) -> Any:
        if not isinstance(value, bytes) or not self._fits(len(value)):
            raise ValueError(f"not {self.length} bytes: {value!r}")
        return value

    def unpack(self, value: Any, sizes: Sizes) -> Any:
        if type(value) is not bytes:
            raise _type("bytes", value)
        if not self._fits(len(value)):
            raise _length(f"{len(value)} bytes where {self.length} belong")
        return value

    def most(self, sizes: Sizes) -> int:
        return self.length + 5

    def _fits(self, length: int) -> bool:
        return length == self.length or (self.optional and length == 0)


@dataclass(frozen=True, slots=True)
class Blob:
    """At most ``limit`` bytes."""

    limit: int | str

    def pack(self, value: Any) -> Any:
        if not isinstance(value, bytes):
            raise ValueError(f"not bytes: {type(value).__name__}")
        return value

    def unpack(self, value: Any, sizes: Sizes) -> Any:
        if type(value) is not bytes:
            raise _type("bytes", value)
        if len(value) > sizes.number(self.limit):
            raise _length(f"{len(value)} bytes, at most {sizes.number(self.limit)}")
        return value

    def most(self, sizes: Sizes) -> int:
        return sizes.number(self.limit) + 5


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8 of at most ``limit`` bytes."""

    limit: int

    def pack(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"not text: {type(value).__name__}")
        return value

    def unpack(self, value: Any, sizes: Sizes) -> Any:
        if type(value) is not str:
            raise _type("text", value)
        if len(value.encode()) > self.limit:
            raise _length(f"text of more than {self.limit} bytes")
        return value

    def most(self, sizes: Sizes) -> int:
        return self.limit + 5


@dataclass(frozen=True, slots=True)
class Many:
    """A tuple of at most ``limit`` values of one kind."""

    item: Field
    limit: int | str

    def pack(self, value: Any) -> Any:
        if not isinstance(value, tuple):
            raise ValueError(f"not a tuple: {type(value).__name__}")
        return [self.item.pack(entry) for entry in value]

    def unpack(self, value: Any, sizes: Sizes) -> Any:
        if type(value) is not list:
            raise _type("an array", value)
        if len(value) > sizes.number(self.limit):
            raise _length(f"{len(value)} entries, at most {sizes.number(self.limit)}")
        return tuple(self.item.unpack(entry, sizes) for entry in value)

    def most(self, sizes: Sizes) -> int:
        return 5 + sizes.number(self.limit) * self.item.most(sizes)
