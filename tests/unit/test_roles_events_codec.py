"""Chain events survive the journal unchanged: a replayed machine must see the very same values."""

from __future__ import annotations

import dataclasses
from enum import IntEnum
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.roles.events_codec import pack_events, unpack_events
from protocols.sessions import events as ev

_INTEGERS = st.one_of(st.integers(0, 2**32), st.integers(0, 2**256 - 1))


def _values(hint: Any) -> st.SearchStrategy[Any]:
    if hint is int:
        return _INTEGERS
    if hint is bytes:
        return st.binary(max_size=40)
    if hint is str:
        return st.text(max_size=20)
    if hint is bool:
        return st.booleans()
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return st.sampled_from(list(hint))
    if dataclasses.is_dataclass(hint):
        return _instances(hint)
    return st.lists(_values(hint.__args__[0]), max_size=4).map(tuple)


def _instances(cls: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{f.name: _values(hints[f.name]) for f in dataclasses.fields(cls)})


EVENTS = [cls for cls in vars(ev).values() if isinstance(cls, type) and issubclass(cls, ev.ChainEvent)]


@pytest.mark.parametrize("cls", [cls for cls in EVENTS if cls is not ev.ChainEvent])
def test_every_event_comes_back_as_it_was(cls: type[ev.ChainEvent]) -> None:
    @given(st.lists(_instances(cls), max_size=3), st.integers(0, 2**40))
    def check(events: list[ev.ChainEvent], block: int) -> None:
        at, back = unpack_events(pack_events(block, events))
        assert at == block
        assert back == events
        assert [type(e) for e in back] == [type(e) for e in events]

    check()


def test_enums_come_back_as_enums() -> None:
    event = ev.PhaseChanged(3, 9, ev.Phase.UPLOAD, 12)
    (back,) = unpack_events(pack_events(9, [event]))[1]
    assert isinstance(back, ev.PhaseChanged)
    assert isinstance(back.phase, ev.Phase)
