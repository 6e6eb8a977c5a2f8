"""Pieces of updates at a prover: opened, held against the root on chain, answered by a signed receipt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from protocols.fields.goldilocks import Vector
from protocols.sessions.effects import Effect, Reply, Transact
from protocols.sessions.params import REFERENCE, Bitmap, Phase
from protocols.sessions.prover_desk import Desk, bitmap
from protocols.sessions.verified_upload import upload_key_digest
from protocols.wire.eip712 import receipt_digest
from protocols.wire.messages import Receipt, ShareOpening, Upload


class HeldPiece(Protocol):
    """A piece as it was committed. root: under which.  sealed_hash: of the upload that it came in (``upload_hash``)."""

    @property
    def root(self) -> bytes: ...

    @property
    def sealed_hash(self) -> bytes: ...

    @property
    def share(self) -> Vector:
        """(length,) our share, the pad last."""

    def opening(self, sender: bytes, index: int) -> ShareOpening:
        """The message that publishes the piece."""


Piece = TypeVar("Piece", bound=HeldPiece)
_Opened = TypeVar("_Opened", bound=HeldPiece, covariant=True)


class Pieces(Protocol[_Opened]):
    """What differs between the modes: who may upload, and what a piece is."""

    @property
    def length(self) -> int:
        """Coordinates of a share, with the pad."""

    def admit(self, message: Upload) -> int:
        """The index under which the sender uploads. RemoteProtocolError unless it may, now."""

    def open(self, message: Upload, index: int) -> _Opened:
        """The piece. RemoteProtocolError, and nothing is kept, unless it is the one committed for us."""

    def drop(self, index: int) -> None:
        """The piece of this index is worth nothing any more."""

    def published(self, message: ShareOpening, point: int) -> Vector:
        """The share that another prover publishes. RemoteProtocolError unless it was committed for ``point``."""


@dataclass
class UploadDesk(Generic[Piece]):
    """held: by registration index. While a root is not on chain yet the first one shown to us counts."""

    desk: Desk
    pieces: Pieces[Piece]
    held: dict[int, Piece] = field(default_factory=dict)
    _posted: int | None = None

    def receive(self, message: Upload) -> list[Effect]:
        """A piece. Good and in time: a receipt. Good but after our bitmap: kept, no receipt (it would convict us)."""
        desk, index = self.desk, self.pieces.admit(message)
        piece = self.held.get(index)
        if desk.view.upload_roots.get(index, message.root) != message.root:
            raise desk.refuse("wrong-root", message, "not the root on chain")
        if piece is None:
            piece = self.held[index] = self.pieces.open(message, index)
        elif piece.root != message.root:
            raise desk.refuse("roots-differ", message, "another root came before")
        elif piece.sealed_hash != upload_hash(message):
            raise desk.refuse("upload-twice", message, "the same piece in other bytes")
        if self._posted is not None and not self._posted >> index & 1:
            return []
        return [self._receipt(message)]

    def _receipt(self, message: Upload) -> Effect:
        desk = self.desk
        digest = receipt_digest(desk.context, message.sender, message.root, desk.point - 1)
        return Reply(Receipt(desk.identity.address, message.sender, message.root, desk.identity.sign(digest)))

    def committed(self, index: int) -> list[Effect]:
        """A root is on chain: a piece under another one is worth nothing."""
        piece = self.held.get(index)
        if piece is not None and piece.root != self.desk.view.upload_roots[index]:
            del self.held[index]
            self.pieces.drop(index)
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


def admit_proved(desk: Desk, message: Upload) -> int:
    """Mode verified: index of the sender. RemoteProtocolError unless it may upload now, with the key it registered."""
    view = desk.view
    index = view.uploader_of(message.sender)
    if index is None or (index == REFERENCE and not view.p.uses_reference):
        raise desk.refuse("wrong-sender", message, "a registered data owner was expected")
    desk.not_before(Phase.REGISTER if index == REFERENCE else Phase.UPLOAD, message)
    desk.not_after(Phase.QUERY, message)
    if view.phase > (Phase.REGISTER if index == REFERENCE else Phase.UPLOAD) and index not in view.upload_roots:
        raise desk.refuse("late", message, "no root was committed in time")
    digest = upload_key_digest(desk.context, message.sender, message.enc_key)
    if index != REFERENCE and view.members[index].key_digest != digest:
        raise desk.refuse("wrong-keys", message, "not the key that was registered")
    return index


def upload_hash(message: Upload) -> bytes:
    """Of all that may not change when an upload is repeated."""
    clear = (message.root, *message.proof, message.enc_key, message.sealed, message.public)
    return hashlib.sha256(b"".join(clear)).digest()
