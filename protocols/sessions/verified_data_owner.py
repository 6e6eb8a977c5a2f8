"""The data owner's side of a verified session: it trains, proves and uploads once, holds its receipts, and may leave.

Everything random comes from one seed by labelled derivation, and a step that raises changes nothing that leaves this
node. So a driver that feeds the same inputs to a fresh machine gets the same effects, byte for byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import RemoteProtocolError
from protocols.sessions import events as ev
from protocols.sessions.data_owner_outcome import verified_outcome
from protocols.sessions.effects import Effect, Note
from protocols.sessions.identity import Identity
from protocols.sessions.membership import Membership, Policy, accept_all
from protocols.sessions.params import Phase
from protocols.sessions.verified_upload import Uploads, VerifiedUpload, upload_key_digest
from protocols.sessions.view import SessionView
from protocols.wire import messages as msg
from protocols.wire.context import Context


class VerifiedDataOwnerMachine:
    """One data owner in one session (mode ``verified``). Methods return effects in the order in which they must be
    done.

    seed: 32 secret bytes of this session, journaled before use.  peer_key: ed25519 key of our node, goes on chain.
    whitelist_proof: Merkle path of our wallet, empty for an open session.  policy: asked when registration is closed.
    uploads: how updates are proved and shared.
    """

    def __init__(
        self,
        context: Context,
        identity: Identity,
        seed: bytes,
        *,
        peer_key: bytes,
        whitelist_proof: tuple[bytes, ...] = (),
        policy: Policy = accept_all,
        uploads: Uploads = VerifiedUpload,
    ) -> None:
        self._context, self._address = context, identity.address
        self._view = SessionView(context.session)
        self._upload = uploads(context, identity, self._view, seed, Phase.UPLOAD, "commitUpload")
        self._membership = Membership(self._view, identity.address, peer_key, whitelist_proof, policy)
        self._settled = False

    @property
    def view(self) -> SessionView:
        """The session as the chain tells it."""
        return self._view

    def chain(self, event: ev.ChainEvent) -> list[Effect]:
        """Fold one chain event; events come in chain order, each once."""
        self.view.apply(event)
        effects: list[Effect] = []
        match event:
            case ev.PhaseChanged(phase=Phase.REGISTER):
                effects = self._join()
            case ev.PhaseChanged(phase=Phase.UPLOAD):
                effects = self._membership.ask_policy()
            case ev.PhaseChanged(phase=Phase.FINISHED | Phase.ABORTED):
                effects = self._membership.end()
            case ev.BatchFinal():
                effects = self._settle()
        return effects + self._advance()

    def receive(self, message: msg.Message) -> list[Effect]:
        """One message whose sender the caller has authenticated. Raises RemoteProtocolError, and then nothing changed.

        What was already accepted is accepted again without effects.
        """
        match message:
            case msg.Announcement():
                return []  # gossip reaches everybody; here nobody needs our keys, nor we theirs
            case msg.Receipt():
                return self._upload.delivery.received(message) + self._upload.safe()
        raise RemoteProtocolError("unexpected-type", message.sender.hex(), type(message).__name__)

    def tick(self, block: int) -> list[Effect]:
        """The chain has reached ``block``. Changes nothing when it returns nothing."""
        index = self._index
        return [] if index is None else self._upload.delivery.post_receipts(index, block)

    def update_ready(self, update: npt.NDArray[np.int64]) -> list[Effect]:
        """The trained update: (d,) int64, fixed point. ValueError for another shape or a norm above the bound."""
        return self._upload.update_ready(update) + self._advance()

    def status(self) -> dict[str, Any]:
        """Where we stand, for people: plain values, no secrets. may_leave: nothing here needs us any more."""
        view, index, delivery = self.view, self._index, self._upload.delivery
        batch = view.batch
        return {
            "phase": view.phase.name.lower(),
            "index": index,
            "uploaded": bool(delivery.root),
            "receipts": sorted(delivery.receipts),
            "may_leave": delivery.enough or view.phase > Phase.DELIVERED,
            "accepted": bool(index is not None and batch and batch.accepted >> index & 1),
            "why": self._membership.refused or verified_outcome(view, index, self._upload.problem),
        }

    # ------------------------------------------------------------------------------------------------ chain events

    @property
    def _index(self) -> int | None:
        own = self.view.member_of(self._address)
        return own.index if own is not None else None

    def _join(self) -> list[Effect]:
        """Not if this node could prove nothing: its deposit would be gone."""
        if why := self._upload.unready():
            return self._membership.leave(why)
        return self._membership.join(upload_key_digest(self._context, self._address, self._upload.enc_public))

    def _settle(self) -> list[Effect]:
        index, batch = self._index, self.view.batch
        if index is None or self._settled or batch is None:
            return []
        self._settled = True
        accepted, why = bool(batch.accepted >> index & 1), verified_outcome(self.view, index, self._upload.problem)
        return [Note("settled", (("accepted", accepted), ("why", why)))]

    def _advance(self) -> list[Effect]:
        """Upload as soon as the update is there and registration is closed, unless the policy says no."""
        return [] if self._membership.refused or self._index is None else self._upload.advance()
