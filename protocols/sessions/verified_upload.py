"""The proved update of one wallet, a data owner's or the owner's reference: proved, committed and delivered once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from protocols.errors import LocalProtocolError
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.encode import squared_norm
from protocols.pine.params import choose
from protocols.pine.upload import make_upload
from protocols.secagg.keys import KEY_BYTES, public_of
from protocols.sessions.delivery import Delivery, Piece
from protocols.sessions.effects import Effect, Note, Remember, Transact
from protocols.sessions.identity import Identity
from protocols.sessions.params import Phase
from protocols.sessions.view import SessionView
from protocols.wire.context import Context


def upload_key_digest(context: Context, address: bytes, enc_public: bytes) -> bytes:
    """What a data owner registers on chain in mode verified: binds the key that it seals with to its wallet."""
    return context.bind("upload-key", address, enc_public)


class VerifiedUpload:
    """Holds the update until ``phase``, the only one in which it may be committed, with ``call``.

    What certificate ``zk`` does otherwise is in ``zk_upload``: ``unready``, ``_check`` and ``_make``.
    seed: 32 bytes of this session; key, sharing, blinds and proof come from it by label.  enc_public: X25519 key that
    the pieces are sealed with.  problem: why no upload will come, for people; "" if none is known.
    """

    def __init__(
        self, context: Context, identity: Identity, view: SessionView, seed: bytes, phase: Phase, call: str
    ) -> None:
        if len(seed) != KEY_BYTES:
            raise ValueError(f"a session seed has {KEY_BYTES} bytes, not {len(seed)}")
        self._context, self._address, self._view, self._seed = context, identity.address, view, seed
        self._phase, self._call = phase, call
        secret = context.bind("session-key", b"upload", identity.address, seed)
        self.enc_public = public_of(secret)
        self.delivery = Delivery(context, identity, view, secret)
        self.problem = ""
        self._update: npt.NDArray[np.int64] | None = None
        self._given = self._said = False

    @property
    def root(self) -> bytes:
        """What we committed, b"" before."""
        return self.delivery.root

    def unready(self) -> str:
        """Why this node can prove no update of this session, and what to do; "" if it can."""
        return ""

    def update_ready(self, update: npt.NDArray[np.int64]) -> list[Effect]:
        """Take the trained update, (d,) int64, fixed point. What comes too late stays here.

        ValueError for another shape or type, and for a norm above the session's bound: nothing is clipped. It changes
        only ``problem``. LocalProtocolError for a second update.
        """
        params = self._view.p
        if update.shape != (params.dimension,) or update.dtype != np.int64:
            raise ValueError(f"an update has shape ({params.dimension},) and type int64, not {update.shape}")
        if self._given:
            raise LocalProtocolError("a second update: only the journaled one may leave this node")
        try:
            self._check(update)
        except ValueError as error:
            self.problem = f"our update is out of bounds: {error}"
            raise
        self._given, self.problem = True, ""
        if self._view.phase > self._phase:
            self.problem = "our update was not ready in time"
            return [Note("update_late", (("phase", self._view.phase.name.lower()),))]
        self._update = update
        return []

    def advance(self) -> list[Effect]:
        """Prove, share and send, as soon as the update and the phase are there. One root per committee, remembered."""
        if self._update is None or self._view.phase != self._phase or not self._view.committee:
            return []
        update, self._update = self._update, None
        try:
            root, pieces = self._make(update)
        except (ValueError, LocalProtocolError) as error:
            self.problem = f"our update cannot be proved: {error}"
            return [Note("upload_impossible", (("why", str(error)),))]
        sent = self.delivery.send(root, pieces)
        remembered = Remember(f"{self._call}/{self._committee().hex()}", root)
        return [remembered, Transact(self._call, (root,), key=self._call), *sent]

    def safe(self) -> list[Effect]:
        """Said once: n - t receipts are here, so this node may go offline."""
        if self._said or not self.delivery.enough:
            return []
        self._said = True
        return [Note("upload_safe", (("receipts", len(self.delivery.receipts)),))]

    def _check(self, update: npt.NDArray[np.int64]) -> None:
        """ValueError for an update that cannot be proved."""
        params = self._view.p
        squared_norm(choose(params.dimension, params.bound), gl.from_signed(update))

    def _make(self, update: npt.NDArray[np.int64]) -> tuple[bytes, Iterable[Piece]]:
        """Root and pieces in committee order. ValueError, or LocalProtocolError where this node lacks what it takes."""
        params, vector = self._view.p, gl.from_signed(update)
        root, pieces = make_upload(
            choose(params.dimension, params.bound), self._context, self._address, vector, params.committee,
            params.threshold, self._secret(vector),
        )  # fmt: skip
        return root, [(piece.plain, piece.proof, piece.public) for piece in pieces]

    def _secret(self, update: Vector) -> bytes:
        """Randomness of this update to this committee: another (the chain was reorganised) shares none of it."""
        hashed = hashlib.sha256(gl.to_bytes(update)).digest()
        return self._context.bind("verified-upload", self._address, hashed, self._committee(), self._seed)

    def _committee(self) -> bytes:
        return self._context.bind("committee", *(prover.address for prover in self._view.committee))


Uploads = Callable[[Context, Identity, SessionView, bytes, Phase, str], VerifiedUpload]
"""Makes an upload from the arguments of the class; which one is the session's certificate."""
