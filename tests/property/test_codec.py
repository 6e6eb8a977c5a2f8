"""Garbage is accepted or raises RemoteProtocolError, never anything else (the property of h11's fuzzer)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import RemoteProtocolError
from protocols.wire import codec
from protocols.wire.context import Context
from protocols.wire.specs import PARALLEL, SPECS

CONTEXT = Context(31337, b"\x11" * 20, 7)
LIMITS = codec.Limits(dimension=10, owners=12, group=5, groups=4, committee=5)
HEAD = {"v": 1, "c": 31337, "k": b"\x11" * 20, "s": 7, "f": b"\x22" * 20}

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=70),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8) | st.binary(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def check(data: bytes) -> None:
    with suppress(RemoteProtocolError):
        codec.peek(data)
    with suppress(RemoteProtocolError):
        message = codec.decode(data, CONTEXT, LIMITS)
        assert codec.encode(message, CONTEXT) == data


@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    check(data)


@given(ANYTHING)
def test_random_values(value: Any) -> None:
    check(bytes(msgpack.packb(value)))


@st.composite
def nearly(draw: st.DrawFn) -> bytes:
    """A message with the right names and almost the right values."""
    name = draw(st.sampled_from(sorted(SPECS)))
    entries: dict[str, Any] = {"v": 1, "t": name, **HEAD}
    for key in SPECS[name][1]:
        entries[key] = draw(
            ANYTHING | st.integers(0, 12) | st.lists(st.binary(max_size=33) | st.integers(0, 4), max_size=5)
        )
    if draw(st.booleans()):
        entries[draw(st.sampled_from(sorted(entries)))] = draw(ANYTHING)
    return bytes(msgpack.packb(entries))


@given(nearly())
def test_almost_messages(data: bytes) -> None:
    check(data)


@given(nearly(), st.integers(0, 500), st.integers(0, 255), st.booleans())
def test_damaged_messages(data: bytes, where: int, byte: int, cut: bool) -> None:
    at = where % len(data)
    check(data[:at] if cut else data[:at] + bytes([byte]) + data[at + 1 :])


@given(st.sampled_from(sorted(PARALLEL)), st.lists(st.integers(0, 4), min_size=2, max_size=2))
def test_parallel_lists(name: str, lengths: list[int]) -> None:
    samples = {"sealed": b"", "proofs": [], "dealers": 1, "kinds": 0, "shares": b"s" * 40}
    entries: dict[str, Any] = {"v": 1, "t": name, **HEAD}
    for i, key in enumerate(SPECS[name][1]):
        entries[key] = b"" if key == "valid_set" else [samples.get(key, b"k" * 32)] * lengths[min(i, 2) % 2]
    data = bytes(msgpack.packb(entries))
    ok = len(set(lengths)) == 1
    try:
        codec.decode(data, CONTEXT, LIMITS)
    except RemoteProtocolError as error:
        assert (error.rule, ok) in {("field-length", False), ("malformed", True), ("malformed", False)}
    else:
        assert ok
