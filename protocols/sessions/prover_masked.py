"""Mode grouped: pieces of masked updates of members of V."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.fields.goldilocks import Vector
from protocols.secagg.seal import open_sealed, upload_associated
from protocols.secagg.upload import split_plain, unpack_piece, verify_upload
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_bundles import BundleDesk
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_uploads import upload_hash
from protocols.sharing.shamir import open_piece
from protocols.wire.messages import ShareOpening, Upload


@dataclass(frozen=True, slots=True)
class MaskedPiece:
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
class MaskedPieces:
    """Opens what members of V send."""

    desk: Desk
    bundles: BundleDesk

    @property
    def length(self) -> int:
        """Coordinates of a share, with the pad."""
        return self.desk.view.p.dimension + 1

    def admit(self, message: Upload) -> int:
        """Registration index of the sender. RemoteProtocolError unless it is in V and in time."""
        desk, member = self.desk, self.desk.data_owner(message)
        desk.not_before(Phase.UPLOAD, message)
        desk.not_after(Phase.QUERY, message)
        if not desk.view.in_set(Bitmap.BUNDLES, member.index):
            raise desk.refuse("not-in-set", message, "no member of V")
        return member.index

    def open(self, message: Upload, index: int) -> MaskedPiece:
        """The piece. RemoteProtocolError unless it is the one committed for us."""
        desk, address = self.desk, message.sender
        self._check_key(message, index)
        associated = upload_associated(address, desk.identity.address)
        try:
            plain = open_sealed(desk.context, desk.identity.enc_secret, message.enc_key, associated, message.sealed)
            blind, packed = split_plain(plain)
            share = open_piece(unpack_piece(packed, self.length), self.length)
        except ValueError as error:
            raise desk.refuse("bad-piece", message, str(error)) from None
        root, proof = message.root, message.proof
        if not verify_upload(desk.context, address, desk.point, root, proof, desk.n, blind, packed):
            raise desk.refuse("bad-proof", message, "not the piece committed for us")
        return MaskedPiece(root, proof, upload_hash(message), blind, packed, share)

    def drop(self, index: int) -> None:
        """Nothing is kept elsewhere."""

    def published(self, message: ShareOpening, point: int) -> Vector:
        """The share that another prover publishes. RemoteProtocolError unless it was committed for ``point``."""
        desk, view = self.desk, self.desk.view
        address, root = view.uploader(message.index), view.upload_roots[message.index]
        if message.root != root or not verify_upload(
            desk.context, address, point, root, message.proof, desk.n, message.blind, message.piece
        ):
            raise desk.refuse("bad-proof", message, "not the piece committed for the sender")
        try:
            return open_piece(unpack_piece(message.piece, self.length), self.length)
        except ValueError as error:
            raise desk.refuse("bad-piece", message, str(error)) from None

    def _check_key(self, message: Upload, index: int) -> None:
        keys = self.bundles.keys.get(index)
        if keys is not None and keys.enc != message.enc_key:
            raise self.desk.refuse("wrong-keys", message, "not the encryption key that was registered")
