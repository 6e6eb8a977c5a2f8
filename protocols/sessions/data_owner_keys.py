"""First half of key sharing: our keys and shares go out, the keys of our group come in."""

from __future__ import annotations

from protocols.errors import RemoteProtocolError
from protocols.secagg import shares
from protocols.secagg.keys import PublicKeys
from protocols.secagg.seal import bundle_associated, seal
from protocols.sessions.complaints import is_complaint
from protocols.sessions.data_owner_core import Core, Place
from protocols.sessions.effects import Blame, Effect, Publish, Send, Transact
from protocols.sessions.params import Bitmap, Phase
from protocols.wire import messages as msg

_EARLY = 1
"""Blocks before the deadline of phase KEYS at which we stop waiting for keys."""


class KeySharing:
    """Announces, commits, seals. ``peers``: verified keys by registration index (of any registered data owner)."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.peers: dict[int, PublicKeys] = {}
        self.dealt: shares.KeyShares | None = None
        self._sealed: dict[int, bytes] = {}
        self._unusable: set[int] = set()
        self._last_set: tuple[bytes, ...] = ()
        self._opened: set[int] = set()

    def begin(self, place: Place) -> list[Effect]:
        """The groups are drawn: share both secrets, commit the root, announce our keys."""
        core, keys = self._core, self._core.keys
        # bound to the members: should a reorganisation draw us into another group, its members get an unrelated sharing
        seed = core.secret("key-shares", *place.addresses)
        self.dealt = shares.deal_key_shares(core.context, core.address, keys, place.size, seed)
        draft = msg.Announcement(core.address, 0, b"", (), keys.enc_public, keys.mask_public, keys.self_hash, b"")
        return [Transact("commitShares", (self.dealt.root,), key="commitShares"), Publish(draft)]

    def announced(self, message: msg.Announcement) -> list[Effect]:
        """Keys of a registered data owner, by gossip."""
        member = self._core.view.member_of(message.sender)
        if member is None:
            raise RemoteProtocolError("not-ready", message.sender.hex(), "not registered here yet")
        keys = PublicKeys(message.enc_key, message.mask_key, message.self_hash)
        self.check(member.index, keys, message.sender)
        if member.index != (self._core.place.index if self._core.place else None):
            self.learn(member.index, keys)
        return []

    def check(self, index: int, keys: PublicKeys, source: bytes) -> None:
        """Hold keys against the digest on chain. Raises RemoteProtocolError("bad-keys") at the cost of ``source``."""
        member = self._core.view.members[index]
        if keys.digest(self._core.context, member.address) != member.key_digest:
            raise RemoteProtocolError("bad-keys", source.hex(), f"not the keys registered by data owner {index}")

    def learn(self, index: int, keys: PublicKeys) -> None:
        """Keep keys that passed ``check``."""
        self.peers[index] = keys

    def advance(self, block: int) -> list[Effect]:
        """Send what has become possible: a bundle to each peer, the whole set to the provers."""
        place = self._core.place
        if place is None or self.dealt is None or Bitmap.BUNDLES in self._core.view.sets:
            return []
        effects: list[Effect] = []
        for peer in place.peers:
            if peer in self.peers and peer not in self._sealed and peer not in self._unusable:
                effects += self._seal_for(place, peer)
        return effects + self._send_set(place, block)

    def _seal_for(self, place: Place, peer: int) -> list[Effect]:
        core, address = self._core, place.address_of(peer)
        plain = shares.pack_bundle(self._bundle(place, peer))
        associated = bundle_associated(core.address, address)
        try:
            sealed = seal(core.context, core.keys.enc_secret, self.peers[peer].enc, associated, plain)
        except ValueError as error:
            self._unusable.add(peer)
            return [Blame(address, "bad-keys", str(error))]
        self._sealed[peer] = sealed
        return [Send(address, msg.Bundle(core.address, peer, sealed))]

    def _bundle(self, place: Place, peer: int) -> shares.Bundle:
        assert self.dealt is not None
        return self.dealt.bundles[place.members.index(peer)]

    def _send_set(self, place: Place, block: int) -> list[Effect]:
        """The set of sealed bundles, once it holds what it can; again whenever late keys fill another place."""
        if not self._set_is_due(place, block):
            return []
        sealed = tuple(self._sealed.get(member, b"") for member in place.members)
        if sealed == self._last_set:
            return []
        self._last_set = sealed
        keys = self._core.keys
        message = msg.BundleSet(self._core.address, keys.enc_public, keys.mask_public, keys.self_hash, sealed)
        return self._core.to_provers(message)

    def _set_is_due(self, place: Place, block: int) -> bool:
        view = self._core.view
        waiting = [k for k in place.peers if k not in self._sealed and k not in self._unusable]
        if not waiting or self._last_set:
            return True
        if view.phase == Phase.KEYS:
            return block + _EARLY >= view.deadline
        missing = any(k in view.share_roots for k in waiting)  # who committed nothing cannot be in V
        return view.phase == Phase.BUNDLES and (not missing or block > view.phase_block)

    def complained(self, message: msg.Complaint) -> list[Effect]:
        """A peer says that our bundle for it is bad: show it to the provers, once, before V closes.

        It says so itself or through a prover, always with the signature of its wallet.
        """
        core, place = self._core, self._core.drawn(message.sender)
        peer = message.recipient
        if message.dealer != place.index or self.dealt is None or peer not in place.peers:
            raise RemoteProtocolError("wrong-dealer", message.sender.hex(), f"{message.dealer} deals nothing to {peer}")
        address = place.address_of(peer)
        if message.sender != address:
            core.from_prover(message.sender)
        if not is_complaint(core.context, core.identity, core.address, address, message.signature):
            raise RemoteProtocolError("bad-signature", message.sender.hex(), "not signed by who complains")
        if Bitmap.BUNDLES in self._core.view.sets:
            raise RemoteProtocolError("late", message.sender.hex(), "V is closed")
        if peer in self._opened:
            return []
        # T shares in the open would let the provers rebuild both secrets; honest peers have nothing to complain about
        if len(self._opened) + 1 >= place.threshold:
            raise RemoteProtocolError("too-many-complaints", message.sender.hex(), f"{len(self._opened)} opened")
        self._opened.add(peer)
        plain = shares.pack_bundle(self._bundle(place, peer))
        return self._core.to_provers(msg.BundleOpening(self._core.address, place.index, peer, plain))
