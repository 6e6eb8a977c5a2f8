"""What a driver drives, and what it feeds to it besides messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from protocols.sessions import effects as fx
from protocols.sessions.events import ChainEvent
from protocols.sessions.view import SessionView
from protocols.wire.messages import Announcement, Message


@dataclass(frozen=True, slots=True)
class Block:
    """A block with its events of this session, or without: then it is a tick."""

    number: int
    events: list[ChainEvent]


@dataclass(frozen=True, slots=True)
class Rollback:
    """The chain dropped everything after ``block``."""

    block: int


Item = Block | Rollback | Announcement


class Machine(Protocol):
    """What every machine of protocols.sessions offers."""

    @property
    def view(self) -> SessionView: ...
    def chain(self, event: ChainEvent) -> list[fx.Effect]: ...
    def receive(self, message: Message) -> list[fx.Effect]: ...
    def tick(self, block: int) -> list[fx.Effect]: ...
    def status(self) -> dict[str, Any]: ...
