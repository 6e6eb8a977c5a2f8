"""The masked update: masks over V exactly, shared to the provers, committed, and defended with their receipts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.fields.prg import expand
from protocols.secagg.masks import mask_update, pair_seed
from protocols.secagg.seal import seal, upload_associated
from protocols.secagg.upload import commit_upload
from protocols.sessions.data_owner_bundles import BundleIntake
from protocols.sessions.data_owner_core import Core, Place
from protocols.sessions.data_owner_keys import KeySharing
from protocols.sessions.effects import Blame, Effect, Note, Send, Transact
from protocols.sessions.params import Bitmap, Phase
from protocols.sharing.shamir import deal
from protocols.wire import eip712
from protocols.wire import messages as msg

_EARLY = 2
"""Blocks before the deadline of phase DELIVERED at which receipts of silent provers go on chain."""


class Uploading:
    """``root``: what we committed, b"" before.  ``receipts``: signatures by committee index."""

    def __init__(self, core: Core, keys: KeySharing, bundles: BundleIntake) -> None:
        self._core, self._keys, self._bundles = core, keys, bundles
        self._update: Vector | None = None
        self._given = False
        self.root = b""
        self.receipts: dict[int, bytes] = {}
        self._posted: set[int] = set()

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
        self.root, packed = commit_upload(core.context, core.address, pieces, core.secret("upload", valid))
        effects: list[Effect] = [Transact("commitUpload", (self.root,), key="commitUpload")]
        for prover, piece in zip(view.committee, packed, strict=True):
            associated = upload_associated(core.address, prover.address)
            try:
                sealed = seal(core.context, core.keys.enc_secret, prover.enc_key, associated, piece.plain)
            except ValueError as error:
                effects.append(Blame(prover.address, "bad-keys", str(error)))
                continue
            message = msg.Upload(core.address, self.root, piece.proof, core.keys.enc_public, sealed)
            effects.append(Send(prover.address, message))
        return effects

    def received(self, message: msg.Receipt) -> list[Effect]:
        """A prover's receipt for our root; the contract takes it for the prover's bit."""
        core, prover = self._core, self._core.from_prover(message.sender)
        if not self.root or (message.data_owner, message.root) != (core.address, self.root):
            raise RemoteProtocolError("wrong-receipt", message.sender.hex(), "not for our upload")
        digest = eip712.receipt_digest(core.context, core.address, self.root, prover)
        try:
            signer = core.identity.recover(digest, message.signature)
        except ValueError as error:
            raise RemoteProtocolError("bad-signature", message.sender.hex(), str(error)) from None
        if signer != message.sender:
            raise RemoteProtocolError("bad-signature", message.sender.hex(), "signed by another wallet")
        self.receipts.setdefault(prover, message.signature)
        return []

    def post_receipts(self, block: int) -> list[Effect]:
        """Receipts of provers that left us out; near the deadline also of silent ones, as many as we need.

        Asked once per block, after all its events: in the middle of a block a prover only seems to be silent.
        """
        view, place = self._core.view, self._core.place
        if place is None or view.phase != Phase.DELIVERED:
            return []
        posted = view.bitmaps.get(Bitmap.DELIVERED, {})
        left_out = [i for i in self.receipts if i in posted and not posted[i] >> place.index & 1]
        due = [i for i in left_out if i not in self._posted]
        if block + _EARLY >= view.deadline:
            counted = sum(bits >> place.index & 1 for bits in posted.values()) + len(self._posted | set(left_out))
            silent = [i for i in self.receipts if i not in posted and i not in self._posted]
            due += silent[: max(0, view.p.committee - view.p.threshold - counted)]
        self._posted |= set(due)
        return [
            Transact("postReceipt", (place.index, i, self.receipts[i]), key=f"postReceipt/{i}") for i in sorted(due)
        ]
