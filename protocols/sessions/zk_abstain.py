"""A prover that is drawn for a session of certificate zk whose key it cannot make: it says so by voting for nobody.

A committee is drawn whatever its members can do, and any owner may name the key of a string that nobody else has.
Bitmaps of zeros keep such an owner from costing provers their stake: t of them change nothing, more end the session
with refunds.

Which of both a prover does is decided once, when it is drawn, and remembered before it does anything else (``KEY``):
zeros after receipts would contradict them, and journals of one do not replay in the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocols.errors import RemoteProtocolError
from protocols.sessions import events as ev
from protocols.sessions.effects import Effect, Note, Transact
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_clock import Clock
from protocols.sessions.prover_desk import Desk
from protocols.wire.messages import Message

KEY = "zk-key"
"""Under which it is remembered: PLAYS or ABSTAINS."""
PLAYS, ABSTAINS = b"plays", b"abstains"

_VOTES = {Phase.DELIVERED: Bitmap.DELIVERED, Phase.VALID: Bitmap.VALID}


@dataclass
class Abstention:
    """Pokes, posts bitmaps of zeros and claims. why: it can do no more, for people. Whatever it is told it refuses."""

    desk: Desk
    clock: Clock
    why: str

    def chain(self, event: ev.ChainEvent) -> list[Effect]:
        """One chain event, which the view has seen."""
        if isinstance(event, ev.CommitteeDrawn):
            return [Note("abstains", (("why", self.why),))]
        if not isinstance(event, ev.PhaseChanged):
            return []
        kind = _VOTES.get(event.phase)
        voted = [] if kind is None else [Transact("postBitmap", (int(kind), 0), key=f"postBitmap-{kind.name}")]
        return [*self.clock.entered(), *voted]

    def receive(self, message: Message) -> list[Effect]:
        """RemoteProtocolError, which is nobody's fault: there is no use in saying it again, and uploads are large."""
        raise RemoteProtocolError("session-over", message.sender.hex(), "this prover has not the key of the session")

    def tick(self, block: int) -> list[Effect]:
        """The chain has reached ``block``. Changes nothing when it returns nothing."""
        return self.clock.tick(block)

    def status(self) -> dict[str, Any]:
        """Where we stand, for people."""
        return {"phase": self.desk.view.phase.name.lower(), "abstains": self.why, "digest": None, "faulty": []}
