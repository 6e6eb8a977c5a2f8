"""Mode verified: pieces of proved updates, each data owner's and the owner's reference; the pieces lie on the shelf."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.fields.goldilocks import Vector
from protocols.pine.encode import wr_results
from protocols.pine.params import PineParams, choose
from protocols.pine.transcript import Layout, joint_rand
from protocols.pine.upload import OpenedUpload, open_upload
from protocols.secagg.seal import open_sealed, upload_associated
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_uploads import admit_proved, upload_hash
from protocols.sessions.shelf import Shelf
from protocols.wire.messages import ShareOpening, Upload

BLINDS = 96
"""Bytes of the three blinds at the head of a piece."""


@dataclass(frozen=True, slots=True)
class ProvedPiece:
    """A piece as it was committed; its bytes are on the shelf.

    results: (checks,) of the wrap-around checks of our share, which no beacon changes.  joint_rand: as hashed.
    """

    root: bytes
    proof: tuple[bytes, ...]
    public: bytes
    sealed_hash: bytes
    results: Vector = field(repr=False)
    joint_rand: Vector = field(repr=False)
    index: int
    source: ProvedPieces = field(repr=False)

    @property
    def share(self) -> Vector:
        """(share_length,), opened anew each time it is asked for: nothing of this size is held."""
        plain = bytes(self.source.shelf.get(_name(self.index)))
        return self.source.opened(self.index, self.source.desk.point, self.root, self.proof, self.public, plain).share

    def opening(self, sender: bytes, index: int) -> ShareOpening:
        """The message that publishes it."""
        plain = bytes(self.source.shelf.get(_name(index)))
        return ShareOpening(sender, index, self.root, self.proof, plain[:BLINDS], plain[BLINDS:], self.public)


@dataclass
class ProvedPieces:
    """Opens what registered data owners send, and the owner its reference."""

    desk: Desk
    shelf: Shelf

    @property
    def params(self) -> PineParams:
        """What is proved."""
        return choose(self.desk.view.p.dimension, self.desk.view.p.bound)

    @property
    def layout(self) -> Layout:
        """Where what is in a share."""
        return Layout(self.params)

    @property
    def length(self) -> int:
        """Coordinates of a share: update, bits, proofs, pad."""
        return self.params.share_length

    def admit(self, message: Upload) -> int:
        """Index of the sender. RemoteProtocolError unless it may upload now, with the key that it registered."""
        return admit_proved(self.desk, message)

    def open(self, message: Upload, index: int) -> ProvedPiece:
        """The piece, put on the shelf. RemoteProtocolError unless it is the one committed for us."""
        desk, associated = self.desk, upload_associated(message.sender, self.desk.identity.address)
        root, proof, public = message.root, message.proof, message.public
        try:
            plain = open_sealed(desk.context, desk.identity.enc_secret, message.enc_key, associated, message.sealed)
            opened = self.opened(index, desk.point, root, proof, public, plain)
        except ValueError as error:
            raise desk.refuse("bad-piece", message, str(error)) from None
        results = wr_results(self.params, opened.wr_seed, opened.share[self.layout.x])
        joint = joint_rand(self.params, opened.joint_seed)
        self.shelf.put(_name(index), plain)
        return ProvedPiece(root, proof, public, upload_hash(message), results, joint, index, self)

    def opened(
        self, index: int, point: int, root: bytes, proof: tuple[bytes, ...], public: bytes, plain: bytes
    ) -> OpenedUpload:
        """What is in the bytes of a piece. ValueError unless this uploader committed them for ``point``."""
        desk, address = self.desk, self.desk.view.uploader(index)
        return open_upload(self.params, desk.context, address, point, desk.n, root, proof, public, plain)

    def drop(self, index: int) -> None:
        """The piece was committed under a root that is not on chain."""
        self.shelf.drop(_name(index))

    def published(self, message: ShareOpening, point: int) -> Vector:
        """The share that another prover publishes. RemoteProtocolError unless it was committed for ``point``."""
        root, plain = self.desk.view.upload_roots[message.index], message.blind + message.piece
        if message.root != root:
            raise self.desk.refuse("bad-proof", message, "not under the root on chain")
        try:
            return self.opened(message.index, point, root, message.proof, message.public, plain).share
        except ValueError as error:
            raise self.desk.refuse("bad-proof", message, str(error)) from None


def _name(index: int) -> str:
    return f"piece-{index}"
