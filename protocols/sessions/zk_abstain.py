"""A prover that is drawn for a session of certificate zk whose key it cannot make: it says so by voting for nobody.

A committee is drawn whatever its members can do, and any owner may name the key of a string that nobody else has.
Bitmaps of zeros keep such an owner from costing provers their stake: t of them change nothing, more end the session
with refunds.
"""

from __future__ import annotations

from typing import Any

from protocols.errors import RemoteProtocolError
from protocols.sessions import events as ev
from protocols.sessions.effects import Effect, Note, Transact
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_clock import Clock
from protocols.sessions.prover_desk import Desk
from protocols.sessions.view import SessionView
from protocols.wire.context import Context
from protocols.wire.messages import Message

_VOTES = {Phase.DELIVERED: Bitmap.DELIVERED, Phase.VALID: Bitmap.VALID}


class AbstainingProver:
    """Pokes, posts bitmaps of zeros and claims. why: it can do no more, for people. Whatever it is told it refuses."""

    def __init__(self, context: Context, identity: Identity, seed: bytes, why: str) -> None:
        self._desk = Desk(context, identity, seed)
        self._clock = Clock(self._desk)
        self._why = why

    @property
    def view(self) -> SessionView:
        """The session as the chain tells it."""
        return self._desk.view

    def chain(self, event: ev.ChainEvent) -> list[Effect]:
        """Fold one chain event; events come in chain order, each once."""
        self.view.apply(event)
        if isinstance(event, ev.CommitteeDrawn) and self._desk.index is not None:
            return [Note("abstains", (("why", self._why),))]
        if not isinstance(event, ev.PhaseChanged):
            return []
        kind = _VOTES.get(event.phase) if self._desk.index is not None else None
        voted = [] if kind is None else [Transact("postBitmap", (int(kind), 0), key=f"postBitmap-{kind.name}")]
        return [*self._clock.entered(), *voted]

    def receive(self, message: Message) -> list[Effect]:
        """RemoteProtocolError, which is nobody's fault."""
        raise RemoteProtocolError("not-ready", message.sender.hex(), "this prover has not the key of the session")

    def tick(self, block: int) -> list[Effect]:
        """The chain has reached ``block``. Changes nothing when it returns nothing."""
        return self._clock.tick(block)

    def status(self) -> dict[str, Any]:
        """Where we stand, for people."""
        return {"phase": self.view.phase.name.lower(), "abstains": self._why, "digest": None, "faulty": []}
