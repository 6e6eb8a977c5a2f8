"""The data owner's side of a grouped session: chain events, messages and blocks in, effects out.

Everything random comes from one seed by labelled derivation, and a step that raises changes nothing. So a driver that
feeds the same inputs to a fresh machine gets the same effects, byte for byte: that is how a node comes back after a
crash.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import RemoteProtocolError
from protocols.sessions import events as ev
from protocols.sessions.data_owner_bundles import BundleIntake
from protocols.sessions.data_owner_core import Core
from protocols.sessions.data_owner_keys import KeySharing
from protocols.sessions.data_owner_outcome import outcome
from protocols.sessions.data_owner_unmask import Unmasking, set_bytes
from protocols.sessions.data_owner_upload import Uploading
from protocols.sessions.effects import Effect, Note, Remember
from protocols.sessions.identity import Identity
from protocols.sessions.membership import Membership, Policy, accept_all
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.view import SessionView
from protocols.wire import messages as msg
from protocols.wire.context import Context


class DataOwnerMachine:
    """One data owner in one session (mode ``grouped``). Methods return effects in the order in which they must be done.

    seed: 32 secret bytes of this session, journaled before use.  peer_key: ed25519 key of our node, goes on chain.
    whitelist_proof: Merkle path of our wallet, empty for an open session.
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
    ) -> None:
        self._core = Core(context, identity, seed)
        self._keys = KeySharing(self._core)
        self._bundles = BundleIntake(self._core, self._keys)
        self._upload = Uploading(self._core, self._keys, self._bundles)
        self._unmask = Unmasking(self._core, self._keys, self._bundles)
        self._membership = Membership(self._core.view, identity.address, peer_key, whitelist_proof, policy)
        self._settled = False

    @property
    def view(self) -> SessionView:
        """The session as the chain tells it."""
        return self._core.view

    def chain(self, event: ev.ChainEvent) -> list[Effect]:
        """Fold one chain event; events come in chain order, each once."""
        self.view.apply(event)
        effects: list[Effect] = []
        match event:
            case ev.PhaseChanged(phase=Phase.REGISTER):
                effects = self._join()
            case ev.PhaseChanged(phase=Phase.FINISHED | Phase.ABORTED):
                effects = self._membership.end()
            case ev.GroupsDrawn():
                effects = self._drawn()
            case ev.SetFixed(kind=Bitmap.BUNDLES, bits=bits):
                effects = self._v_fixed(bits, event.block)
            case ev.SetFixed(kind=Bitmap.VALID, bits=bits):
                effects = self._unmask.fixed(bits)
            case ev.BatchFinal():
                effects = self._settle()
        return effects + self._advance(event.block)

    def receive(self, message: msg.Message) -> list[Effect]:
        """One message whose sender the caller has authenticated. Raises RemoteProtocolError, and then nothing changed.

        What was already accepted is accepted again without effects.
        """
        match message:
            case msg.Announcement():
                effects = self._keys.announced(message)
            case msg.Bundle():
                effects = self._bundles.received(message)
            case msg.Bundles():
                effects = self._bundles.relayed(message)
            case msg.BundleOpening():
                effects = self._bundles.opened(message)
            case msg.Complaint():
                effects = self._keys.complained(message)
            case msg.Receipt():
                effects = self._upload.delivery.received(message)
            case _:
                raise RemoteProtocolError("unexpected-type", message.sender.hex(), type(message).__name__)
        return effects + self._advance(self.view.phase_block)

    def tick(self, block: int) -> list[Effect]:
        """The chain has reached ``block``. Changes nothing when it returns nothing."""
        return [*self._advance(block), *self._upload.post_receipts(block)]

    def update_ready(self, update: npt.NDArray[np.int64]) -> list[Effect]:
        """The trained update: (d,) int64, fixed point. ValueError for another shape or a value beyond +-(p - 1)/2."""
        self._upload.update_ready(update)
        return self._advance(self.view.phase_block)

    def status(self) -> dict[str, Any]:
        """Where we stand, for people: plain values, no secrets."""
        core, place = self._core, self._core.place
        return {
            "phase": self.view.phase.name.lower(),
            "index": place.index if place else None,
            "group": place.group if place else None,
            "members": list(place.members) if place else [],
            "keys": sorted(k for k in self._keys.peers if place and k in place.peers),
            "bundles": sorted(self._bundles.held),
            "uploaded": bool(self._upload.delivery.root),
            "receipts": sorted(self._upload.delivery.receipts),
            "unmasked": self._unmask.sent,
            "accepted": bool(place and self.view.batch and self.view.batch.accepted >> place.index & 1),
            "why": self._membership.refused or outcome(core),
        }

    # ------------------------------------------------------------------------------------------------ chain events

    def _join(self) -> list[Effect]:
        return self._membership.join(self._core.keys.public.digest(self._core.context, self._core.address))

    def _drawn(self) -> list[Effect]:
        if left := self._membership.ask_policy():
            return left
        place = self._core.take_place()
        return self._keys.begin(place) if place is not None else []

    def _v_fixed(self, bits: int, block: int) -> list[Effect]:
        if not self._core.survivors(Bitmap.BUNDLES):
            return []
        ask = self._bundles.request(block) if self._bundles.missing() else []
        return [Remember("V", set_bytes(bits)), *ask]

    def _settle(self) -> list[Effect]:
        place = self._core.place
        if place is None or self._settled or self.view.batch is None:
            return []
        self._settled = True
        accepted = bool(self.view.batch.accepted >> place.index & 1)
        return [Note("settled", (("accepted", accepted), ("group", place.group), ("why", outcome(self._core))))]

    def _advance(self, block: int) -> list[Effect]:
        """Everything that has become possible. Order: keys, then bundles that need them, then the upload."""
        if self.view.phase in (Phase.FINISHED, Phase.ABORTED):
            return []
        return [*self._keys.advance(block), *self._bundles.advance(block), *self._upload.advance()]
