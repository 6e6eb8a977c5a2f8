"""Certificate zk: pieces of proved updates, each data owner's and the owner's reference; shares lie on the shelf."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from protocols.bn254 import fr
from protocols.bn254.fr import Vector
from protocols.secagg.seal import open_sealed, upload_associated
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_uploads import admit_proved, upload_hash
from protocols.sessions.shelf import Shelf, get_vector, put_vector
from protocols.sessions.zk_keys import Keys
from protocols.sessions.zk_upload import session_key, session_of
from protocols.wire.messages import ShareOpening, Upload
from protocols.zk.key import Key
from protocols.zk.params import NB_G
from protocols.zk.pieces import BLIND_BYTES, open_committed, seeded
from protocols.zk.record import Record
from protocols.zk.share_check import Verdict, judge
from protocols.zk.sharing import Dealing
from protocols.zk.upload import open_public, open_upload

TRIES = 3
"""Bad pieces of one data owner that are opened, before and after its root is on chain. A seed of 32 bytes is expanded
to a whole share before it can be told from the right one; honest nodes send nothing bad, and no other bytes later.
"""


@dataclass(frozen=True, slots=True)
class Public:
    """What everybody has of an update. data: as it travels."""

    record: Record
    dealing: Dealing
    data: bytes


@dataclass(frozen=True, slots=True)
class ZkPiece:
    """A piece as it was committed; its share is on the shelf.

    head: blind, and the seed where the share travels as one.
    """

    root: bytes
    sealed_hash: bytes
    public: Public
    index: int
    head: bytes = field(repr=False)
    source: ZkPieces = field(repr=False)

    @property
    def share(self) -> Vector:
        """(d + 6, 4), read-only, as it lies on the shelf: nothing of this size is held."""
        return get_vector(self.source.shelf, _name(self.index)).reshape(-1, 4)

    def opening(self, sender: bytes, index: int) -> ShareOpening:
        """The message that publishes it."""
        blind, piece = self.head[:BLIND_BYTES], self.head[BLIND_BYTES:] or fr.to_bytes(self.share)
        return ShareOpening(sender, index, self.root, (), blind, piece, self.public.data)


@dataclass
class ZkPieces:
    """Opens what registered data owners send, and the owner its reference. ``key`` and ``sess``: of the proofs.

    Both raise LocalProtocolError on a node without the session's reference string.
    """

    desk: Desk
    shelf: Shelf
    keys: Keys
    _key: Key | None = field(default=None, repr=False)
    _bad: Counter[tuple[int, bytes | None]] = field(default_factory=Counter)  # not replayed: it changes no state

    @property
    def key(self) -> Key:
        """Under which everything is proved."""
        if self._key is None:
            self._key = session_key(self.keys, self.desk.view.p)
        return self._key

    @property
    def sess(self) -> bytes:
        """32 bytes: what proofs are made for."""
        return session_of(self.desk.context, self.desk.view.p)

    @property
    def bound_squared(self) -> int:
        """B^2."""
        return self.desk.view.p.bound**2

    @property
    def length(self) -> int:
        """Scalars of a share: coordinates and blinders."""
        return self.desk.view.p.dimension + NB_G

    def number(self, index: int) -> int:
        """The wallet of an uploader, as in its record."""
        return int.from_bytes(self.desk.view.uploader(index), "big")

    def admit(self, message: Upload) -> int:
        """Index of the sender. RemoteProtocolError unless it may upload now, with the key that it registered."""
        return admit_proved(self.desk, message)

    def open(self, message: Upload, index: int) -> ZkPiece:
        """The piece, put on the shelf. RemoteProtocolError unless it is the one committed for us."""
        desk, associated = self.desk, upload_associated(message.sender, self.desk.identity.address)
        n, t, root, public = desk.n, desk.t, message.root, message.public
        source = (index, desk.view.upload_roots.get(index))
        if self._bad[source] >= TRIES:
            raise desk.refuse("bad-piece", message, f"{TRIES} bad ones came before")
        try:
            if message.proof:
                raise ValueError("a path where leaves are sent")
            plain = open_sealed(desk.context, desk.identity.enc_secret, message.enc_key, associated, message.sealed)
            opened = open_upload(self.key, self.sess, self.number(index), desk.point, n, t, root, public, plain)
        except ValueError as error:
            self._bad[source] += 1
            raise desk.refuse("bad-piece", message, str(error)) from None
        put_vector(self.shelf, _name(index), opened.share())
        head = plain if seeded(desk.point, t) else plain[:BLIND_BYTES]
        seen = Public(opened.record, opened.dealing, public)
        return ZkPiece(root, upload_hash(message), seen, index, bytes(head), self)

    def public(self, index: int, data: bytes) -> Public:
        """What everybody has of this uploader's update. ValueError unless it is what the chain has the digest of."""
        desk = self.desk
        root = desk.view.upload_roots[index]
        record, dealing = open_public(self.key, self.number(index), desk.n, desk.t, root, data)
        return Public(record, dealing, data)

    def drop(self, index: int) -> None:
        """The piece was committed under a root that is not on chain."""
        self.shelf.drop(_name(index))

    def published(self, message: ShareOpening, point: int) -> Vector:
        """The share that another prover publishes. RemoteProtocolError unless it was committed for ``point``."""
        address, plain = self.number(message.index), message.blind + message.piece
        try:
            leaf = self.public(message.index, message.public).dealing.leaves[point - 1]
            return open_committed(self.key.params, self.sess, address, point, self.desk.t, plain, leaf).share
        except ValueError as error:
            raise self.desk.refuse("bad-proof", message, str(error)) from None

    def convicts(self, message: ShareOpening, point: int) -> bool:
        """Whether the piece that the prover at ``point`` publishes shows that its data owner cheated."""
        try:
            dealing = self.public(message.index, message.public).dealing
        except ValueError:
            return False
        address, plain = self.number(message.index), message.blind + message.piece
        return judge(self.key, self.sess, address, point, dealing, plain) is Verdict.DATA_OWNER


def _name(index: int) -> str:
    return f"share-{index}"
