"""One uploader's pieces on their way to the provers, and its receipts as a defence: the same in both modes."""

from __future__ import annotations

from collections.abc import Iterable

from protocols.errors import RemoteProtocolError
from protocols.secagg.keys import public_of
from protocols.secagg.seal import seal, upload_associated
from protocols.sessions.effects import Blame, Effect, Send, Transact
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.view import SessionView
from protocols.wire import eip712
from protocols.wire.context import Context
from protocols.wire.messages import Receipt, Upload

_EARLY = 2
"""Blocks before the deadline of phase DELIVERED at which receipts of silent provers go on chain."""

Piece = tuple[bytes, tuple[bytes, ...], bytes]
"""What one prover gets: the bytes to seal, the Merkle path of its leaf, the part that is sent in clear."""


class Delivery:
    """``root``: what we committed, b"" before.  ``receipts``: signatures by committee index.

    enc_secret: X25519 secret, 32 bytes, with which the pieces are sealed.
    """

    def __init__(self, context: Context, identity: Identity, view: SessionView, enc_secret: bytes) -> None:
        self._context, self._identity, self._view, self._secret = context, identity, view, enc_secret
        self.root = b""
        self.receipts: dict[int, bytes] = {}
        self._posted: set[int] = set()

    def send(self, root: bytes, pieces: Iterable[Piece]) -> list[Effect]:
        """Seal to each prover its piece under ``root``, in committee order. A prover with an unusable key gets none."""
        self.root = root
        address, public = self._identity.address, public_of(self._secret)
        effects: list[Effect] = []
        for prover, (plain, proof, clear) in zip(self._view.committee, pieces, strict=True):
            associated = upload_associated(address, prover.address)
            try:
                sealed = seal(self._context, self._secret, prover.enc_key, associated, plain)
            except ValueError as error:
                effects.append(Blame(prover.address, "bad-keys", str(error)))
                continue
            effects.append(Send(prover.address, Upload(address, root, proof, public, sealed, clear)))
        return effects

    def received(self, message: Receipt) -> list[Effect]:
        """A prover's receipt for our root; the contract takes it for the prover's bit. Raises RemoteProtocolError."""
        address, sender = self._identity.address, message.sender
        prover = self._view.prover_index(sender)
        if prover is None:
            raise RemoteProtocolError("wrong-role", sender.hex(), "not a prover of this session")
        if not self.root or (message.data_owner, message.root) != (address, self.root):
            raise RemoteProtocolError("wrong-receipt", sender.hex(), "not for our upload")
        digest = eip712.receipt_digest(self._context, address, self.root, prover)
        try:
            signer = self._identity.recover(digest, message.signature)
        except ValueError as error:
            raise RemoteProtocolError("bad-signature", sender.hex(), str(error)) from None
        if signer != sender:
            raise RemoteProtocolError("bad-signature", sender.hex(), "signed by another wallet")
        self.receipts.setdefault(prover, message.signature)
        return []

    @property
    def enough(self) -> bool:
        """n - t receipts are here: no prover's silence can keep our upload out any more."""
        params = self._view.params
        return params is not None and len(self.receipts) >= params.committee - params.threshold

    def post_receipts(self, index: int, block: int) -> list[Effect]:
        """Receipts of provers that left us out; near the deadline also of silent ones, as many as we need.

        Asked once per block, after all its events: in the middle of a block a prover only seems to be silent.
        index: our bit in the bitmaps.
        """
        view = self._view
        if view.phase != Phase.DELIVERED:
            return []
        posted = view.bitmaps.get(Bitmap.DELIVERED, {})
        left_out = [i for i in self.receipts if i in posted and not posted[i] >> index & 1]
        due = [i for i in left_out if i not in self._posted]
        if block + _EARLY >= view.deadline:
            counted = sum(bits >> index & 1 for bits in posted.values()) + len(self._posted | set(left_out))
            silent = [i for i in self.receipts if i not in posted and i not in self._posted]
            due += silent[: max(0, view.p.committee - view.p.threshold - counted)]
        self._posted |= set(due)
        return [Transact("postReceipt", (index, i, self.receipts[i]), key=f"postReceipt/{i}") for i in sorted(due)]
