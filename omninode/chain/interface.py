"""A contract's functions, events and errors, read from its JSON ABI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omninode.chain.abi import AbiError, AbiType, decode, decode_list, encode, parse_tuple
from omninode.chain.hashing import keccak256

# What the compiler itself throws.
_BUILT_IN: tuple[dict[str, Any], ...] = (
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function. selector: 4 bytes."""

    name: str
    inputs: AbiType
    outputs: AbiType
    selector: bytes

    def call_data(self, args: Sequence[object]) -> bytes:
        """Selector and arguments. AbiError names the function."""
        try:
            return self.selector + encode(self.inputs, args)
        except AbiError as error:
            raise AbiError(f"{self.name}: {error}") from None

    def result(self, data: bytes) -> Any:
        """What the function returned: None, the one value, or a tuple of them."""
        values = tuple(decode_list(self.outputs, data))
        return values[0] if len(values) == 1 else values or None


@dataclass(frozen=True, slots=True)
class Event:
    """An event. indexed: which inputs are topics."""

    name: str
    inputs: AbiType
    indexed: tuple[bool, ...]
    topic: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """One log entry. address: the contract."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    block_hash: bytes
    index: int


class Interface:
    """Everything that an ABI names. Overloaded names are refused: calls go by name."""

    def __init__(self, abi: Iterable[Mapping[str, Any]]) -> None:
        self.functions: dict[str, Function] = {}
        self.events: dict[bytes, Event] = {}
        self.errors: dict[bytes, tuple[str, AbiType]] = {}
        self.constructor = AbiType("tuple")
        for entry in (*_BUILT_IN, *abi):
            self._add(entry)

    def _add(self, entry: Mapping[str, Any]) -> None:
        kind = entry["type"]
        if kind not in ("function", "event", "error", "constructor"):
            return
        inputs = parse_tuple(entry["inputs"])
        if kind == "constructor":
            self.constructor = inputs
            return
        name = str(entry["name"])
        digest = keccak256((name + inputs.canonical).encode())
        if kind == "event":
            self.events[digest] = Event(name, inputs, tuple(bool(i["indexed"]) for i in entry["inputs"]), digest)
        elif kind == "error":
            self.errors[digest[:4]] = (name, inputs)
        else:
            if name in self.functions and self.functions[name].selector != digest[:4]:
                raise AbiError(f"function {name} is overloaded")
            self.functions[name] = Function(name, inputs, parse_tuple(entry["outputs"]), digest[:4])

    def function(self, name: str) -> Function:
        """The function of this name; AbiError lists what there is."""
        if name not in self.functions:
            raise AbiError(f"no function {name!r}; there are {', '.join(sorted(self.functions))}")
        return self.functions[name]

    def topic(self, event: str) -> bytes:
        """The first topic of an event, by name."""
        return next(e.topic for e in self.events.values() if e.name == event)

    def decode_log(self, log: Log) -> tuple[str, dict[str, Any]] | None:
        """Name and arguments of a log, None for an event that the ABI does not know. AbiError: damaged."""
        event = self.events.get(log.topics[0]) if log.topics else None
        if event is None:
            return None
        plain = [t for t, i in zip(event.inputs.parts, event.indexed, strict=True) if not i]
        values = iter(decode_list(AbiType("tuple", 0, tuple(plain)), log.data))
        topics = iter(log.topics[1:])
        if len(log.topics) != 1 + sum(event.indexed):
            raise AbiError(f"{event.name} with {len(log.topics)} topics")
        args = {}
        for name, kind, indexed in zip(event.inputs.names, event.inputs.parts, event.indexed, strict=True):
            if indexed:  # what is longer than a word is there as its hash only
                topic = next(topics)
                args[name] = topic if kind.dynamic or kind.head > 32 else decode(kind, topic)
            else:
                args[name] = next(values)
        return event.name, args

    def decode_error(self, data: bytes) -> tuple[str, tuple[object, ...]] | None:
        """Name and arguments of a revert, None where it is unknown or damaged."""
        known = self.errors.get(data[:4])
        if known is None:
            return None
        name, inputs = known
        try:
            return name, tuple(decode_list(inputs, data[4:]))
        except AbiError:
            return None


def describe_error(name: str, args: Sequence[object]) -> str:
    """A revert as an operator reads it."""
    if name == "Error":
        return str(args[0])
    said = ", ".join(f"0x{a.hex()}" if isinstance(a, bytes) else str(a) for a in args)
    return f"{name}({said})"
