"""Chain events as bytes, for the journal: MessagePack of plain fields, no pickle."""

from __future__ import annotations

import dataclasses
from enum import IntEnum
from typing import Any, get_type_hints

import msgpack

from protocols.sessions import events as ev
from protocols.sessions.params import SessionParams

_CLASSES: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        ev.SessionCreated, ev.PhaseChanged, ev.BeaconSet, ev.CommitteeDrawn, ev.Registered, ev.GroupsDrawn,
        ev.ShareRootCommitted, ev.BitmapPosted, ev.OpeningsPosted, ev.SetFixed, ev.UploadCommitted,
        ev.ReferenceCommitted, ev.Scored, ev.Proved, ev.BatchFinal, ev.Attested, ev.SessionAborted, SessionParams,
        ev.ProverInfo,
    )
}  # fmt: skip
_HINTS = {name: get_type_hints(cls) for name, cls in _CLASSES.items()}


def _plain(value: Any) -> Any:
    """A value as MessagePack can hold it. Integers go as decimal text where they pass 64 bits (bitmaps, wei)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"_": type(value).__name__, **fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if -(2**63) <= value < 2**64 else {"_": "int", "v": str(int(value))}
    return value


def _typed(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_typed(item) for item in value)
    if not isinstance(value, dict):
        return value
    name = value.pop("_")
    if name == "int":
        return int(value["v"])
    hints = _HINTS[name]
    fields: dict[str, Any] = {}
    for key, item in value.items():
        hint = hints[key]
        is_enum = isinstance(hint, type) and issubclass(hint, IntEnum)
        fields[key] = hint(item) if is_enum else _typed(item)
    return _CLASSES[name](**fields)


def pack_events(block: int, events: list[ev.ChainEvent]) -> bytes:
    """One block's events of one session."""
    return bytes(msgpack.packb([block, [_plain(event) for event in events]]))


def unpack_events(data: bytes) -> tuple[int, list[ev.ChainEvent]]:
    """The inverse of ``pack_events``; only ever fed with our own journal."""
    block, events = msgpack.unpackb(data)
    return block, [_typed(event) for event in events]
