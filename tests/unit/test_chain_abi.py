"""The ABI coder against eth-abi, and against garbage."""

from __future__ import annotations

import contextlib
from typing import Any

import eth_abi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.chain.abi import AbiError, AbiType, decode, encode, parse_type
from omninode.chain.interface import Interface, Log

_ATOMS = st.one_of(
    st.sampled_from(range(8, 257, 8)).map(lambda n: AbiType("uint", n)),
    st.sampled_from(range(8, 257, 8)).map(lambda n: AbiType("int", n)),
    st.integers(1, 32).map(lambda n: AbiType("fixed", n)),
    st.sampled_from(["bool", "address", "bytes", "string"]).map(AbiType),
)


def _tuple(parts: list[AbiType]) -> AbiType:
    return AbiType("tuple", 0, tuple(parts), tuple(f"f{i}" for i in range(len(parts))))


TYPES = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda t, n: AbiType("array", n, (t,)), inner, st.integers(-1, 3).filter(bool)),
        st.lists(inner, min_size=1, max_size=3).map(_tuple),
    ),
    max_leaves=5,
)


def values(kind: AbiType) -> st.SearchStrategy[Any]:
    """Values of a type as our decoder returns them."""
    match kind.kind:
        case "uint":
            return st.integers(0, 2**kind.size - 1)
        case "int":
            return st.integers(-(2 ** (kind.size - 1)), 2 ** (kind.size - 1) - 1)
        case "bool":
            return st.booleans()
        case "address" | "fixed":
            size = 20 if kind.kind == "address" else kind.size
            return st.binary(min_size=size, max_size=size)
        case "bytes":
            return st.binary(max_size=70)
        case "string":
            return st.text(max_size=30)
        case "array":
            low, high = (0, 3) if kind.size < 0 else (kind.size, kind.size)
            return st.lists(values(kind.parts[0]), min_size=low, max_size=high).map(tuple)
    return st.fixed_dictionaries({n: values(p) for n, p in zip(kind.names, kind.parts, strict=True)})


def as_eth_abi(kind: AbiType, value: Any) -> Any:
    """The same value as eth-abi takes it."""
    if kind.kind == "array":
        return [as_eth_abi(kind.parts[0], v) for v in value]
    if kind.kind == "tuple":
        return tuple(as_eth_abi(p, value[n]) for p, n in zip(kind.parts, kind.names, strict=True))
    return "0x" + value.hex() if kind.kind == "address" else value


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_same_bytes_as_eth_abi_and_back(data: st.DataObject) -> None:
    kind = _tuple([data.draw(TYPES)])
    value = data.draw(values(kind))
    mine = encode(kind, value)
    assert mine == eth_abi.encode([kind.parts[0].canonical], as_eth_abi(kind, value))
    assert decode(kind, mine) == value


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_garbage_is_refused_or_decoded_never_anything_else(data: st.DataObject) -> None:
    kind = _tuple([data.draw(TYPES)])
    good = bytearray(encode(kind, data.draw(values(kind))))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(AbiError):
        decode(kind, bytes(good[: data.draw(st.integers(0, len(good)))]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("uint8", 256), ("uint8", -1), ("int8", 128), ("uint8", True), ("uint8", "1"), ("bool", 1), ("address", b"\1"),
        ("bytes4", b"\1" * 5), ("bytes4", "abcd"), ("bytes", "x"), ("string", 5), ("uint8[2]", [1]), ("uint8[]", b"ab"),
        ("uint8[]", 5),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(name: str, value: object) -> None:
    with pytest.raises(AbiError):
        encode(parse_type({"type": name}), value)


def test_an_int_enum_counts_as_an_integer() -> None:
    from protocols.sessions.params import Rule

    assert encode(parse_type({"type": "uint8"}), Rule.M_KRUM) == bytes(31) + b"\3"


def test_struct_wants_exactly_its_fields() -> None:
    kind = parse_type({"type": "tuple", "components": [{"name": "a", "type": "uint8"}, {"name": "b", "type": "bool"}]})
    assert encode(kind, {"b": True, "a": 1}) == encode(kind, (1, True))
    with pytest.raises(AbiError, match="fields wanted: a, b"):
        encode(kind, {"a": 1})


def test_a_length_bomb_is_refused() -> None:
    for head in (1 << 255, 1 << 40, 1 << 20):
        with pytest.raises(AbiError):
            decode(
                _tuple([AbiType("array", -1, (AbiType("uint", 8),))]),
                (32).to_bytes(32, "big") + head.to_bytes(32, "big"),
            )


ABI: list[dict[str, Any]] = [
    {"type": "function", "name": "f", "inputs": [{"name": "", "type": "uint8"}],
     "outputs": [{"name": "", "type": "string"}, {"name": "", "type": "bool"}]},
    {"type": "function", "name": "none", "inputs": [], "outputs": []},
    {"type": "event", "name": "E", "inputs": [
        {"name": "id", "type": "uint256", "indexed": True}, {"name": "s", "type": "string", "indexed": True},
        {"name": "order", "type": "uint16[]", "indexed": False}, {"name": "n", "type": "uint8", "indexed": False}]},
    {"type": "error", "name": "TooLate",
     "inputs": [{"name": "now", "type": "uint256"}, {"name": "who", "type": "address"}]},
    {"type": "receive"},
]  # fmt: skip


def test_interface_calls_and_results() -> None:
    interface = Interface(ABI)
    assert interface.function("none").call_data(()) == interface.function("none").selector
    assert interface.function("none").result(b"") is None
    data = eth_abi.encode(["string", "bool"], ["héllo", True])
    assert interface.function("f").result(data) == ("héllo", True)
    with pytest.raises(AbiError, match="there are f, none"):
        interface.function("g")
    with pytest.raises(AbiError, match=r"^f: "):
        interface.function("f").call_data((256,))


def test_interface_logs() -> None:
    interface = Interface(ABI)
    topics = (interface.topic("E"), (7).to_bytes(32, "big"), b"\5" * 32)
    data = eth_abi.encode(["uint16[]", "uint8"], [[3, 1, 2], 9])
    log = Log(b"\0" * 20, topics, data, 1, b"\0" * 32, 0)
    assert interface.decode_log(log) == ("E", {"id": 7, "s": b"\5" * 32, "order": (3, 1, 2), "n": 9})
    assert interface.decode_log(Log(b"\0" * 20, (b"\0" * 32,), b"", 1, b"", 0)) is None
    assert interface.decode_log(Log(b"\0" * 20, (), b"", 1, b"", 0)) is None
    with pytest.raises(AbiError):
        interface.decode_log(Log(b"\0" * 20, topics[:2], data, 1, b"", 0))


def test_interface_errors() -> None:
    interface = Interface(ABI)
    selector = next(s for s, (name, _) in interface.errors.items() if name == "TooLate")
    data = selector + eth_abi.encode(["uint256", "address"], [5, "0x" + "11" * 20])
    assert interface.decode_error(data) == ("TooLate", (5, b"\x11" * 20))
    assert interface.decode_error(selector) is None
    assert interface.decode_error(b"") is None
    text = bytes.fromhex("08c379a0") + eth_abi.encode(["string"], ["no money"])
    assert interface.decode_error(text) == ("Error", ("no money",))
