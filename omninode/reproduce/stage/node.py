"""One participant: a machine, its journal, and what survives a crash. The rules are those of the daemon's driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.events import ChainEvent
from protocols.sessions.view import SessionView
from protocols.wire import codec
from protocols.wire.context import Context
from protocols.wire.messages import Message

Effects = list[fx.Effect]
Twist = Callable[["Node", Effects], Effects]


class Machine(Protocol):
    """What machines have in common."""

    @property
    def view(self) -> SessionView: ...
    def chain(self, event: ChainEvent) -> Effects: ...
    def receive(self, message: Message) -> Effects: ...
    def tick(self, block: int) -> Effects: ...
    def status(self) -> dict[str, Any]: ...


class Node:
    """``twist`` changes what leaves this node (an attacker, or a crash at a chosen moment)."""

    def __init__(self, name: str, address: bytes, context: Context, make: Callable[[], Machine]) -> None:
        self.name, self.address, self.context = name, address, context
        self._make = make
        self.machine = make()
        self.journal: list[tuple[str, Any]] = []
        self.effects: Effects = []  # everything that the machine ever asked for, to compare after a restart
        self.safe: dict[str, bytes] = {}
        self.blocks: list[tuple[int, list[ChainEvent]]] = []  # not yet read from the chain
        self.alive = True
        self.update: npt.NDArray[np.int64] | None = None
        self.trained = False
        self.twist: Twist = lambda node, effects: effects
        self.blames: list[fx.Blame] = []
        self.notes: list[fx.Note] = []
        self.refused: list[tuple[str, str]] = []  # (rule, type) of messages of ours that others refused for good

    # -- inputs -----------------------------------------------------------------------------------------------------

    def read_block(self) -> Effects:
        """The next block: its events, then a tick."""
        block, events = self.blocks.pop(0)
        out: Effects = []
        if events:
            out += self._done("chain", events, [e for event in events for e in self.machine.chain(event)])
        ticked = self.machine.tick(block)
        return out + (self._done("tick", block, ticked) if ticked else [])

    def receive(self, data: bytes) -> Effects:
        """A message's bytes. Raises RemoteProtocolError; then nothing is journaled."""
        params = self.machine.view.params
        limits = codec.limits_for(params) if params is not None else codec.Limits.generous()
        message = codec.decode(data, self.context, limits)
        return self._done("message", message, self.machine.receive(message))

    def train(self) -> Effects:
        """Local training is over."""
        assert self.update is not None
        self.trained = True
        return self._done("update", self.update, self.machine.update_ready(self.update))  # type: ignore[attr-defined]

    def _done(self, kind: str, payload: Any, effects: Effects) -> Effects:
        self.journal.append((kind, payload))
        self.effects += effects
        for effect in effects:
            self._safety(effect)
        return self.twist(self, effects)

    def _safety(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Remember(key=key, value=value):
                assert self.safe.setdefault(key, value) == value, f"{self.name}: another value under {key}"
            case fx.Blame():
                self.blames.append(effect)
            case fx.Note():
                self.notes.append(effect)

    # -- crashes ----------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """Memory is gone, the journal stays."""
        self.alive = False

    def restart(self) -> Effects:
        """Replay the journal into a fresh machine. It must ask for exactly the same again, and does."""
        self.alive = True
        self.machine = self._make()
        again: Effects = []
        for kind, payload in self.journal:
            again += self._replay(kind, payload)
        assert again == self.effects, f"{self.name}: replay differs"
        return self.twist(self, again)

    def _replay(self, kind: str, payload: Any) -> Effects:
        match kind:
            case "chain":
                return [e for event in payload for e in self.machine.chain(event)]
            case "tick":
                return self.machine.tick(payload)
            case "update":
                return self.machine.update_ready(payload)  # type: ignore[attr-defined,no-any-return]
            case _:
                return self.machine.receive(payload)


def rule_of(action: Callable[[], Effects]) -> str | None:
    """The rule that an input broke, None if it was accepted."""
    try:
        action()
    except RemoteProtocolError as error:
        return error.rule
    return None
