"""The model owner's side of a verified session: its reference update while data owners register, then the sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import LocalProtocolError
from protocols.sessions import events as ev
from protocols.sessions.effects import Effect, Train
from protocols.sessions.identity import Identity
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import REFERENCE, Bitmap, Phase
from protocols.sessions.verified_upload import Uploads, VerifiedUpload
from protocols.wire.context import Context
from protocols.wire.messages import Message, Receipt


class VerifiedOwnerMachine(OwnerMachine):
    """The owner in one session (mode ``verified``). Methods return effects in the order in which they must be done.

    If rule or payout use a reference, it is trained as soon as the committee is drawn, then proved, committed and
    delivered like a data owner's update, before registration closes. Later it stays here: the session goes on without.
    After the batch as the grouped machine; ``result`` has no norms.

    seed: 32 secret bytes of this session, journaled before use.  uploads: how the reference is proved and shared.
    """

    def __init__(self, context: Context, identity: Identity, seed: bytes, uploads: Uploads = VerifiedUpload) -> None:
        super().__init__(context, identity, seed)
        self._upload = uploads(context, identity, self._view, seed, Phase.REGISTER, "commitReference")
        self._training = False

    def chain(self, event: ev.ChainEvent) -> list[Effect]:
        """Fold one chain event; events come in chain order, each once."""
        effects = super().chain(event)
        if isinstance(event, ev.CommitteeDrawn) and self._view.p.uses_reference and not self._training:
            self._training = True
            effects.append(Train())
        return effects + self._upload.advance()

    def receive(self, message: Message) -> list[Effect]:
        """One message of an authenticated sender. Raises RemoteProtocolError, and then nothing changed."""
        if isinstance(message, Receipt):
            return self._upload.delivery.received(message) + self._upload.safe()
        return super().receive(message)

    def tick(self, block: int) -> list[Effect]:
        """The chain has reached ``block``: receipts of the reference where they are needed, and pokes as ever."""
        return [*self._upload.delivery.post_receipts(REFERENCE, block), *super().tick(block)]

    def update_ready(self, update: npt.NDArray[np.int64]) -> list[Effect]:
        """The reference: (d,) int64, fixed point. ValueError for another shape or a norm above the bound."""
        if not self._view.p.uses_reference:
            raise LocalProtocolError("this session uses no reference update")
        return self._upload.update_ready(update) + self._upload.advance()

    def status(self) -> dict[str, Any]:
        """Where we stand, for people."""
        delivery = self._upload.delivery
        return {
            **super().status(),
            "reference": bool(delivery.root),
            "receipts": sorted(delivery.receipts),
            "why": self._upload.problem or self._outcome(),
        }

    def _outcome(self) -> str:
        """Why the reference does not count, as far as the chain tells; "" if it does (or may yet)."""
        view = self._view
        if view.params is None or not view.p.uses_reference or view.phase <= Phase.REGISTER:
            return ""
        if REFERENCE not in view.upload_roots:
            return "no reference was committed in time"
        if Bitmap.DELIVERED in view.sets and not view.in_set(Bitmap.DELIVERED, REFERENCE):
            return "our reference did not reach the provers in time"
        if Bitmap.VALID in view.sets and not view.in_set(Bitmap.VALID, REFERENCE):
            if view.p.zk:
                return "the reference's proof was refused, or a share of it does not fit its commitment"
            return "the provers found the reference's shares inconsistent or its proof wrong"
        return ""

    def _norm_count(self) -> int:
        return 0
