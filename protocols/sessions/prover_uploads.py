"""Pieces of masked updates at a prover: opened, held against the root on chain, answered by a signed receipt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from protocols.fields.goldilocks import Vector
from protocols.secagg.seal import open_sealed, upload_associated
from protocols.secagg.upload import split_plain, unpack_piece, verify_upload
from protocols.sessions.effects import Effect, Reply, Transact
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_bundles import BundleDesk
from protocols.sessions.prover_desk import Desk, bitmap
from protocols.sessions.view import Member
from protocols.sharing.shamir import open_piece
from protocols.wire.eip712 import receipt_digest
from protocols.wire.messages import Receipt, ShareOpening, Upload


@dataclass(frozen=True, slots=True)
class HeldPiece:
    """A piece as it was committed: what would convict or clear us. share: (d + 1,), the pad last."""

    root: bytes
    proof: tuple[bytes, ...]
    sealed_hash: bytes  # of the bytes that it came in
    blind: bytes = field(repr=False)
    packed: bytes = field(repr=False)
    share: Vector = field(repr=False)

    def opening(self, sender: bytes, index: int) -> ShareOpening:
        """The message that publishes it."""
        return ShareOpening(sender, index, self.root, self.proof, self.blind, self.packed)


@dataclass
class UploadDesk:
    """held: by registration index. While a root is not on chain yet the first one shown to us counts."""

    desk: Desk
    bundles: BundleDesk
    held: dict[int, HeldPiece] = field(default_factory=dict)
    _posted: int | None = None

    def receive(self, message: Upload) -> list[Effect]:
        """A piece. Good and in time: a receipt. Good but after our bitmap: kept, no receipt (it would convict us)."""
        desk, member = self.desk, self.desk.data_owner(message)
        desk.not_before(Phase.UPLOAD, message)
        desk.not_after(Phase.QUERY, message)
        if not desk.view.in_set(Bitmap.BUNDLES, member.index):
            raise desk.refuse("not-in-set", message, "no member of V")
        piece = self.held.get(member.index)
        if desk.view.upload_roots.get(member.index, message.root) != message.root:
            raise desk.refuse("wrong-root", message, "not the root on chain")
        if piece is None:
            piece = self.held[member.index] = self._open(message, member)
        elif piece.root != message.root:
            raise desk.refuse("roots-differ", message, "another root came before")
        elif piece.sealed_hash != _hash(message):
            raise desk.refuse("upload-twice", message, "the same piece in other bytes")
        if self._posted is not None and not self._posted >> member.index & 1:
            return []
        return [self._receipt(member, message.root)]

    def _open(self, message: Upload, member: Member) -> HeldPiece:
        desk = self.desk
        self._check_key(message, member)
        associated = upload_associated(member.address, desk.identity.address)
        try:
            plain = open_sealed(desk.context, desk.identity.enc_secret, message.enc_key, associated, message.sealed)
            blind, packed = split_plain(plain)
            length = desk.view.p.dimension + 1
            share = open_piece(unpack_piece(packed, length), length)
        except ValueError as error:
            raise desk.refuse("bad-piece", message, str(error)) from None
        root, proof = message.root, message.proof
        if not verify_upload(desk.context, member.address, desk.point, root, proof, desk.n, blind, packed):
            raise desk.refuse("bad-proof", message, "not the piece committed for us")
        return HeldPiece(root, proof, _hash(message), blind, packed, share)

    def _check_key(self, message: Upload, member: Member) -> None:
        keys = self.bundles.keys.get(member.index)
        if keys is not None and keys.enc != message.enc_key:
            raise self.desk.refuse("wrong-keys", message, "not the encryption key that was registered")

    def _receipt(self, member: Member, root: bytes) -> Effect:
        desk = self.desk
        digest = receipt_digest(desk.context, member.address, root, desk.point - 1)
        return Reply(Receipt(desk.identity.address, member.address, root, desk.identity.sign(digest)))

    def committed(self, index: int) -> list[Effect]:
        """A root is on chain: a piece under another one is worth nothing."""
        piece = self.held.get(index)
        if piece is not None and piece.root != self.desk.view.upload_roots[index]:
            del self.held[index]
        return []

    def progress(self) -> list[Effect]:
        """Post "delivered" once all that was committed is here."""
        if set(self.desk.view.upload_roots) <= set(self.held):
            return self._post()
        return []

    def tick(self, block: int) -> list[Effect]:
        """Post what is here when time runs out."""
        if self.desk.view.phase == Phase.DELIVERED and block >= self.desk.cut():
            return self._post()
        return []

    def _post(self) -> list[Effect]:
        if self.desk.view.phase != Phase.DELIVERED or self._posted is not None:
            return []
        self._posted = bitmap(set(self.desk.view.upload_roots) & set(self.held))
        return [Transact("postBitmap", (int(Bitmap.DELIVERED), self._posted), key="postBitmap-DELIVERED")]


def _hash(message: Upload) -> bytes:
    """Of all that may not change when an upload is repeated."""
    return hashlib.sha256(message.root + b"".join(message.proof) + message.enc_key + message.sealed).digest()
