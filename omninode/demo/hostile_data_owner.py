"""Data owners of mode ``verified`` that upload something else than they should. No honest node loads this module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from omninode.demo.forge import FORGERS
from omninode.demo.loot import Loot, pack_uploads, unpack_uploads
from omninode.demo.orders import Order, Orders
from omninode.learning import poison
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.params import choose
from protocols.sessions import effects as fx
from protocols.sessions.identity import Identity
from protocols.sessions.params import Phase
from protocols.sessions.verified_data_owner import VerifiedDataOwnerMachine
from protocols.sessions.verified_upload import VerifiedUpload
from protocols.sessions.view import SessionView
from protocols.wire.context import Context
from protocols.wire.messages import Message, Upload

FORGED = {**dict.fromkeys(("random", "scaled", "wrapped"), "false-proof"), "foreign-proof": "foreign-proof",
          "inconsistent": "inconsistent"}  # fmt: skip
"""Kind of attack -> forger of the upload; all other kinds share and prove honestly."""
MISSING_REACHES = 2
"""Provers that get a piece of a data owner that withholds its shares: fewer than n - t."""


class HostileDataOwner(VerifiedDataOwnerMachine):
    """A data owner of mode ``verified`` that uploads something else than it should, see ``HostileUpload``.

    "die-safe": it ends as soon as it holds n - t receipts.
    """

    def __init__(
        self, context: Context, identity: Identity, seed: bytes, *, peer_key: bytes, orders: Orders, loot: Loot,
        die: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(context, identity, seed, peer_key=peer_key)
        self._upload: HostileUpload = HostileUpload(context, identity, self.view, seed, orders, loot)
        self._orders, self._die = orders, die

    def receive(self, message: Message) -> list[fx.Effect]:
        effects = super().receive(message)
        safe = any(isinstance(e, fx.Note) and e.name == "upload_safe" for e in effects)
        if safe and self._orders(self.view.session).kind == "die-safe":
            self._die()
        return effects

    def _join(self) -> list[fx.Effect]:
        """Who will replay its own old upload registers the key of that one again, so that it fits so far."""
        if self._orders(self.view.session).kind == "replay":
            self._upload.enc_public = self._upload.old_key() or self._upload.enc_public
        return super()._join()

    def tick(self, block: int) -> list[fx.Effect]:
        """Also looks again whether the colluders are ready."""
        return [*super().tick(block), *self._advance()]


class HostileUpload(VerifiedUpload):
    """The update of an attacker. Kinds: the names of ``poison.ATTACKS``, those of FORGED, and

    "missing": only MISSING_REACHES provers get their piece.  "missing-one": the last prover gets none.  "replay": what
    we uploaded in the session before, with "keep" ordered there.  "replay-other": what ``victim`` uploads ("keep").
    "hold": nothing is uploaded.
    """

    def __init__(
        self, context: Context, identity: Identity, view: SessionView, seed: bytes, orders: Orders, loot: Loot
    ) -> None:
        super().__init__(context, identity, view, seed, Phase.UPLOAD, "commitUpload")
        self._orders, self._loot = orders, loot
        self._own: NDArray[np.int64] | None = None

    def update_ready(self, update: NDArray[np.int64]) -> list[fx.Effect]:
        """Take the honest update; what becomes of it is decided when it is needed."""
        self._own = update
        self._loot.put(f"{self._view.session}-{self._address.hex()}.update", update.astype("<i8").tobytes())
        return []

    def advance(self) -> list[fx.Effect]:
        """Upload once, as ordered; nothing while an attacker waits for its colluders."""
        if self._own is None or self._view.phase != Phase.UPLOAD or not self._view.committee:
            return []
        order = self._orders(self._view.session)
        effects = self._replay(order) if order.kind.startswith("replay") else self._share(order)
        if effects:
            self._own = None
        return effects

    def _share(self, order: Order) -> list[fx.Effect]:
        vector = None if order.kind == "hold" else self._vector(order)
        if vector is None:
            return []
        p, forge = self._view.p, FORGERS[FORGED.get(order.kind, "honest")]
        size = choose(p.dimension, p.bound)
        root, pieces = forge(size, self._context, self._address, vector, p.committee, p.threshold, self._secret(vector))
        sent = self.delivery.send(root, [(piece.plain, piece.proof, piece.public) for piece in pieces])
        if order.kind == "keep":
            self._loot.put(f"{self._view.session}-{self._address.hex()}.upload", pack_uploads(_uploads(sent)))
        reached = {"missing": MISSING_REACHES, "missing-one": p.committee - 1}.get(order.kind, p.committee)
        return [fx.Transact(self._call, (root,), key=self._call), *sent[:reached]]

    def old_key(self) -> bytes:
        """The encryption key of our upload in the session before, b"" if it was not kept."""
        data = self._loot.get(f"{self._view.session - 1}-{self._address.hex()}.upload")
        return unpack_uploads(data)[0].enc_key if data is not None else b""

    def _replay(self, order: Order) -> list[fx.Effect]:
        own = order.kind == "replay"
        session, source = (self._view.session - 1, self._address) if own else (self._view.session, order.victim)
        data = self._loot.get(f"{session}-{source.hex()}.upload")
        if data is None:
            return []
        uploads = [replace(upload, sender=self._address) for upload in unpack_uploads(data)]
        sends = [fx.Send(to.address, upload) for to, upload in zip(self._view.committee, uploads, strict=True)]
        self.delivery.root = uploads[0].root
        return [fx.Transact(self._call, (uploads[0].root,), key=self._call), *sends]

    def _vector(self, order: Order) -> Vector | None:
        """What is shared; None while something for it is missing."""
        assert self._own is not None
        attack = poison.ATTACKS.get(order.kind)
        if attack is None:
            return gl.from_signed(self._own)
        known = self._knowledge(order, attack)
        if known is None:
            return None
        update = attack.update(known)
        self._loot.put(f"{self._view.session}-{self._address.hex()}.sent", update.astype("<i8").tobytes())
        return gl.from_signed(update)

    def _knowledge(self, order: Order, attack: poison.Attack) -> poison.Knowledge | None:
        assert self._own is not None
        view, scale = self._view, 2.0**self._view.p.frac_bits
        flipped = group = None
        if attack.needs == "flipped":
            flipped = self._stolen(self._address, "flipped")
            if flipped is None:
                return None
        if attack.needs == "group":
            updates = [self._stolen(address, "update") for address in order.colluders]
            if not updates or any(update is None for update in updates):
                return None
            group = np.array(updates) / scale
        own = self._own.astype(np.float64) / scale
        seed = view.session * 1000 + (view.uploader_of(self._address) or 0)
        flip = None if flipped is None else flipped / scale
        return poison.Knowledge(own, view.p.bound, view.p.frac_bits, group, flip, seed)

    def _stolen(self, address: bytes, what: str) -> NDArray[np.float64] | None:
        data = self._loot.get(f"{self._view.session}-{address.hex()}.{what}")
        return None if data is None else np.frombuffer(data, "<i8").astype(np.float64)


def _uploads(effects: list[fx.Effect]) -> list[Upload]:
    return [e.message for e in effects if isinstance(e, fx.Send) and isinstance(e.message, Upload)]
