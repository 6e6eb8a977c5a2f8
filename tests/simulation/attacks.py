"""Misbehaviour for simulations: twists that change what leaves a node."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from omninode.reproduce.stage.node import Effects, Node, Twist
from protocols.fields import goldilocks as gl
from protocols.sessions import data_owner_upload
from protocols.sessions import effects as fx
from protocols.sessions.params import Phase
from protocols.wire import codec
from protocols.wire.messages import Message, Opening, ShareOpening


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
    """Add one to every value opened under these labels ("consistency": on chain), and never publish the piece that
    would convict us.
    """

    def change(node: Node, effect: fx.Send) -> fx.Send | None:
        message = effect.message
        if isinstance(message, ShareOpening) and not publish:
            return None
        if not isinstance(message, Opening) or message.label not in labels:
            return effect
        return replace(effect, message=replace(message, values=plus_one(message.values)))

    posts = opens_on_chain(lambda node, present, values: (present, plus_one(values)))
    said = rewrite(change)
    return lambda node, effects: said(node, posts(node, effects) if "consistency" in labels else effects)


def plus_one(values: bytes) -> bytes:
    """One added to each."""
    vector = gl.from_bytes(values)
    return gl.to_bytes(gl.add(vector, gl.vector([1] * len(vector))))


def opens_on_chain(change: Callable[[Node, int, bytes], tuple[int, bytes]]) -> Twist:
    """Change what is posted as combinations: bitmap and values."""

    def posted(node: Node, effect: fx.Effect) -> fx.Effect:
        if not isinstance(effect, fx.Transact) or effect.call != "postOpenings":
            return effect
        present, values = effect.args
        assert isinstance(present, int) and isinstance(values, bytes)
        return replace(effect, args=change(node, present, values))

    return lambda node, effects: [posted(node, e) for e in effects]


def mute_from(phase: Phase) -> Twist:
    """Take part until the phase begins, then say nothing and do nothing on chain."""
    return lambda node, effects: [] if node.machine.view.phase >= phase else effects


def without_calls(*calls: str) -> Twist:
    """Never send these transactions."""
    return lambda node, effects: [e for e in effects if not (isinstance(e, fx.Transact) and e.call in calls)]


def mutate(message: Message, rng: random.Random) -> Message:
    """One field changed to something of the same type that an attacker might try."""
    names = [f.name for f in fields(message) if f.name != "sender"]
    if not names:
        return message
    name = rng.choice(names)
    return replace(message, **{name: _other(getattr(message, name), rng)})


def _other(value: object, rng: random.Random) -> object:
    match value:
        case bool():
            return not value
        case int():
            return rng.choice([0, 1, value ^ 1, value + 1, value << 1, value + (1 << rng.randrange(64))])
        case bytes():
            return rng.choice(
                [value[:-8], value + bytes(8), bytes(len(value)), b"\xff" * len(value), _flipped(value, rng)]
            )
        case str():
            return rng.choice(["proofs", "projections", "gram", "?"])
        case tuple():
            shuffled = list(value)
            rng.shuffle(shuffled)
            changed = [_other(v, rng) if rng.random() < 0.5 else v for v in value]
            return rng.choice([value[:-1], value + value[:1], tuple(shuffled), tuple(changed)])
    raise AssertionError(type(value))


def _flipped(value: bytes, rng: random.Random) -> bytes:
    if not value:
        return b"\x00"
    at = rng.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1 << rng.randrange(8)]) + value[at + 1 :]


def fuzz(seed: int, rate: float) -> Twist:
    """Change what is sent or answered now and then, and say some things twice."""
    rng = random.Random(seed)

    def twist(node: Node, effects: Effects) -> Effects:
        out: Effects = []
        for effect in effects:
            if isinstance(effect, fx.Send | fx.Reply) and rng.random() < rate:
                changed = replace(effect, message=mutate(effect.message, rng))
                if _encodable(node, changed.message):
                    out += [changed, effect] if isinstance(effect, fx.Send) and rng.random() < 0.3 else [changed]
                continue
            out.append(effect)
        return out

    return twist


def _encodable(node: Node, message: Message) -> bool:
    try:
        codec.encode(message, node.context)
    except (ValueError, OverflowError):
        return False
    return True


def cheat_with_pieces(monkeypatch: pytest.MonkeyPatch, dimension: int, node: Node, points: list[int]) -> None:
    """``node`` commits pieces that are off the polynomial at these points."""
    honest = data_owner_upload.commit_upload

    def commit(context, address, pieces, seed):  # type: ignore[no-untyped-def]
        if address == node.address:
            length = dimension + 1
            pieces = [gl.vector([7] * length) if i + 1 in points else piece for i, piece in enumerate(pieces)]
        return honest(context, address, pieces, seed)

    monkeypatch.setattr(data_owner_upload, "commit_upload", commit)
