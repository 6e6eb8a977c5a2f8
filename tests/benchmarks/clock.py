"""CPU seconds and bytes of a session in one process: who spent them, in which phase, at what part of the work.

The seconds are those of the calling thread: machines do all their work in it, and other libraries' idle threads, which
spin for a while after their last task, are nobody's work.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar

from omninode.reproduce.stage.network import Network
from omninode.reproduce.stage.node import Effects, Node
from protocols.wire.messages import Message, Opening

Result = TypeVar("Result")
Watched = tuple[Any, str, str]
"""A class or module, the name of a function in it, what its time is called."""


def role(name: str) -> str:
    """ "prover 3" is a "prover"."""
    return name.rpartition(" ")[0]


@dataclass
class Clock:
    """Only one participant works at a time. Of nested parts the outermost counts.

    phases, parts: seconds by (participant, phase) and (participant, part).
    """

    phases: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    parts: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    _who: str = ""
    _part: str = ""

    def working(self, node: Node, work: Callable[[], Result]) -> Result:
        """Do it; it counts for the phase in which the node is then."""
        began, self._who = time.thread_time(), node.name
        try:
            return work()
        finally:
            self._who = ""
            self.phases[node.name, node.machine.view.phase.name] += time.thread_time() - began

    @contextmanager
    def watching(self, watched: Sequence[Watched]) -> Iterator[None]:
        """Time these functions meanwhile."""
        before = [(owner, name, vars(owner)[name]) for owner, name, _ in watched]
        for owner, name, part in watched:
            setattr(owner, name, self._timed(vars(owner)[name], part))
        try:
            yield
        finally:
            for owner, name, function in before:
                setattr(owner, name, function)

    def _timed(self, function: Callable[..., Result], part: str) -> Callable[..., Result]:
        @wraps(function)
        def timed(*args: Any, **named: Any) -> Result:
            if self._part or not self._who:
                return function(*args, **named)
            began, self._part = time.thread_time(), part
            try:
                return function(*args, **named)
            finally:
                self._part = ""
                self.parts[self._who, part] += time.thread_time() - began

        return timed


def public(owner: type, part: str) -> list[Watched]:
    """All methods of a class that others call."""
    names = [name for name, value in vars(owner).items() if isinstance(value, FunctionType) and name[0] != "_"]
    return [(owner, name, part) for name in names]


class TimedNode(Node):
    """Every input on the clock."""

    def __init__(self, clock: Clock, *args: Any) -> None:
        super().__init__(*args)
        self.clock = clock

    def read_block(self) -> Effects:
        """The next block."""
        return self.clock.working(self, super().read_block)

    def receive(self, data: bytes) -> Effects:
        """A message's bytes, decoded here."""
        return self.clock.working(self, lambda: super(TimedNode, self).receive(data))

    def train(self) -> Effects:
        """The update is there."""
        return self.clock.working(self, super().train)


class MeteredNetwork(Network):
    """sent: lengths of the messages by (role of the sender, role of the receiver, kind)."""

    def __init__(self, clock: Clock, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.clock = clock
        self.sent: dict[tuple[str, str, str], list[int]] = defaultdict(list)

    def _post(self, node: Node, to: Node, message: Message, is_reply: bool = False) -> None:
        self.clock.working(node, lambda: super(MeteredNetwork, self)._post(node, to, message, is_reply))
        parcel = self.parcels[-1]
        kind = f"{parcel.kind} {message.label}" if isinstance(message, Opening) else parcel.kind
        self.sent[role(node.name), role(to.name), kind].append(len(parcel.data))
