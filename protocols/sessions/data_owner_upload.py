"""The masked update: masks over V exactly, shared to the provers, committed, and defended with their receipts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.errors import LocalProtocolError
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.fields.prg import expand
from protocols.secagg.masks import mask_update, pair_seed
from protocols.secagg.upload import commit_upload
from protocols.sessions.data_owner_bundles import BundleIntake
from protocols.sessions.data_owner_core import Core, Place
from protocols.sessions.data_owner_keys import KeySharing
from protocols.sessions.delivery import Delivery
from protocols.sessions.effects import Effect, Note, Transact
from protocols.sessions.params import Bitmap, Phase
from protocols.sharing.shamir import deal


class Uploading:
    """From the trained update to ``delivery``: the masked pieces under way."""

    def __init__(self, core: Core, keys: KeySharing, bundles: BundleIntake) -> None:
        self._core, self._keys, self._bundles = core, keys, bundles
        self._update: Vector | None = None
        self._given = False
        self.delivery = Delivery(core.context, core.identity, core.view, core.keys.enc_secret)

    def update_ready(self, update: npt.NDArray[np.int64]) -> None:
        """Take the trained update: (d,) int64, fixed point. ValueError if it does not fit the session's field or d."""
        if update.shape != (self._core.view.p.dimension,) or update.dtype != np.int64:
            raise ValueError(f"an update has shape ({self._core.view.p.dimension},) and type int64, not {update.shape}")
        if self._given:
            raise LocalProtocolError("a second update: only the journaled one may leave this node")
        self._update, self._given = gl.from_signed(update), True

    def advance(self) -> list[Effect]:
        """Upload as soon as V, the update and the keys of V are there."""
        core, place = self._core, self._core.place
        members = core.survivors(Bitmap.BUNDLES)
        if self._update is None or place is None or not members or core.view.phase > Phase.UPLOAD:
            return []
        others = [k for k in members if k != place.index]
        if any(k not in self._keys.peers for k in others):
            return []
        if 1 + sum(k in self._bundles.held for k in others) < place.threshold:
            return []  # we could not show enough shares later on, and would count as silent
        update, self._update = self._update, None
        try:
            seeds = self._pair_seeds(place, others)
        except ValueError as error:
            return [Note("upload_impossible", (("why", str(error)),))]
        masked = mask_update(update, place.position, core.keys.self_seed, seeds)
        return self._share(masked)

    def _pair_seeds(self, place: Place, others: list[int]) -> dict[int, bytes]:
        core = self._core
        return {
            place.members.index(k): pair_seed(
                core.context, core.keys.mask_secret, core.address, self._keys.peers[k].mask, place.address_of(k)
            )
            for k in others
        }

    def _share(self, masked: Vector) -> list[Effect]:
        """Pad, deal, commit, seal. Bound to V: another V would mean another polynomial, never two values of one."""
        core, view = self._core, self._core.view
        valid = view.sets[Bitmap.BUNDLES].to_bytes(32, "big")
        padded = np.concatenate([masked, expand(core.secret("pad", valid), 1)])
        points = range(1, len(view.committee) + 1)
        pieces = deal(padded, view.p.threshold, points, core.secret("deal-update", valid))
        root, packed = commit_upload(core.context, core.address, pieces, core.secret("upload", valid))
        sent = self.delivery.send(root, [(piece.plain, piece.proof, b"") for piece in packed])
        return [Transact("commitUpload", (root,), key="commitUpload"), *sent]

    def post_receipts(self, block: int) -> list[Effect]:
        """Our receipts on chain, where they are needed. Asked once per block, after all its events."""
        place = self._core.place
        return [] if place is None else self.delivery.post_receipts(place.index, block)
