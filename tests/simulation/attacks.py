"""Misbehaviour for simulations: twists that change what leaves a node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from protocols.fields import goldilocks as gl
from protocols.sessions import effects as fx
from protocols.sessions.params import Phase
from protocols.wire.messages import Message, Opening, ShareOpening
from tests.simulation.node import Effects, Node, Twist


def rewrite(change: Callable[[Node, fx.Send], fx.Send | None]) -> Twist:
    """Change every message that is sent (None: swallow it)."""

    def twist(node: Node, effects: Effects) -> Effects:
        changed = [change(node, e) if isinstance(e, fx.Send) else e for e in effects]
        return [e for e in changed if e is not None]

    return twist


def swallow(*kinds: type[Message], to: bytes | None = None) -> Twist:
    """Never send messages of these types (to this receiver, or to anybody)."""
    return rewrite(lambda _, e: None if isinstance(e.message, kinds) and to in (None, e.to) else e)


def lie_in(*labels: str, publish: bool = False) -> Twist:
    """Add one to every value opened under these labels, and never publish the piece that would convict us."""

    def change(node: Node, effect: fx.Send) -> fx.Send | None:
        message = effect.message
        if isinstance(message, ShareOpening) and not publish:
            return None
        if not isinstance(message, Opening) or message.label not in labels:
            return effect
        values = gl.from_bytes(message.values)
        lied = gl.to_bytes(gl.add(values, gl.vector([1] * len(values))))
        return replace(effect, message=replace(message, values=lied))

    return rewrite(change)


def mute_from(phase: Phase) -> Twist:
    """Take part until the phase begins, then say nothing and do nothing on chain."""
    return lambda node, effects: [] if node.machine.view.phase >= phase else effects


def without_calls(*calls: str) -> Twist:
    """Never send these transactions."""
    return lambda node, effects: [e for e in effects if not (isinstance(e, fx.Transact) and e.call in calls)]
