"""A prover that lies, withholds or ends on order, for the demo and for tests. No honest node loads this module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from omninode.demo.orders import Order, Orders
from omninode.roles.machine import Machine
from protocols.fields import goldilocks as gl
from protocols.sessions import effects as fx
from protocols.sessions.events import ChainEvent, PhaseChanged
from protocols.sessions.view import SessionView
from protocols.wire.messages import Message, Opening, OutputShare, RebuildShare, ShareOpening


class HostileProver:
    """A prover's machine with something changed on its way out.

    "lie": one added to every value that it opens. "lie-LABEL": only under that label ("consistency": on chain;
    "rebuild" and "output": to the shares it gives). A liar never publishes the piece that would convict it.
    "withhold-output": the owner gets nothing. "crash": ends with ``phase``, before anything of that phase is done.
    die: how.
    """

    def __init__(self, inner: Machine, address: bytes, orders: Orders, die: Callable[[], None]) -> None:
        self._inner, self._address, self._orders, self._die = inner, address, orders, die

    @property
    def view(self) -> SessionView:
        return self._inner.view

    @property
    def pending(self) -> bool:
        """As of the machine inside."""
        return bool(getattr(self._inner, "pending", False))

    def chain(self, event: ChainEvent) -> list[fx.Effect]:
        effects, order = self._inner.chain(event), self.order
        if order.kind == "crash" and isinstance(event, PhaseChanged) and event.phase.name == order.phase:
            self._die()
        return self._twist(effects)

    def receive(self, message: Message) -> list[fx.Effect]:
        return self._twist(self._inner.receive(message))

    def tick(self, block: int) -> list[fx.Effect]:
        return self._twist(self._inner.tick(block))

    def status(self) -> dict[str, Any]:
        return self._inner.status()

    @property
    def order(self) -> Order:
        """What we shall do in this session, if it is meant for our seat."""
        order = self._orders(self.view.session)
        return order if order.seat in (-1, self.view.prover_index(self._address)) else Order()

    def _twist(self, effects: list[fx.Effect]) -> list[fx.Effect]:
        order = self.order
        if order.kind.startswith("lie"):
            only = order.kind.removeprefix("lie").removeprefix("-")
            return [_lied(e, only) for e in effects if not _convicts(e)]
        if order.kind == "withhold-output":
            return [e for e in effects if not (isinstance(e, fx.Reply) and isinstance(e.message, OutputShare))]
        return effects


def _convicts(effect: fx.Effect) -> bool:
    return isinstance(effect, fx.Send) and isinstance(effect.message, ShareOpening)


def _lied(effect: fx.Effect, only: str) -> fx.Effect:
    """The effect with one added to all values, if it opens something under the label ``only`` ("": any opening)."""
    if isinstance(effect, fx.Transact) and effect.call == "postOpenings" and only in ("", "consistency"):
        present, values = effect.args
        assert isinstance(values, bytes)
        return replace(effect, args=(present, _plus_one(values)))
    if not isinstance(effect, fx.Send | fx.Reply):
        return effect
    match effect.message:
        case Opening(label=label, values=values) if only in ("", label):
            return replace(effect, message=replace(effect.message, values=_plus_one(values)))
        case RebuildShare(values=values) if only == "rebuild":
            return replace(effect, message=replace(effect.message, values=_plus_one(values)))
        case OutputShare(values=values) if only == "output":
            return replace(effect, message=replace(effect.message, values=_plus_one(values)))
    return effect


def _plus_one(values: bytes) -> bytes:
    vector = gl.from_bytes(values)
    return gl.to_bytes(gl.add(vector, gl.vector([1] * len(vector))))
