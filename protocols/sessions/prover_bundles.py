"""Bundles of key shares at a prover: kept, handed to peers that missed them, fought over, and the bitmap V."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from protocols.secagg.keys import PublicKeys
from protocols.secagg.seal import SEAL_OVERHEAD
from protocols.secagg.shares import SALT_BYTES, open_bundle, proof_length
from protocols.sessions.complaints import is_complaint
from protocols.sessions.effects import Effect, Note, Reply, Send, Transact
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_desk import Desk, bitmap
from protocols.sharing.merkle import HASH_BYTES
from protocols.sharing.shamir import SECRET_SHARE_BYTES
from protocols.wire.messages import Announcement, BundleOpening, BundleRequest, Bundles, BundleSet, Complaint


@dataclass
class BundleDesk:
    """keys: of data owners, by registration index, checked against what they registered."""

    desk: Desk
    keys: dict[int, PublicKeys] = field(default_factory=dict)
    _sets: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    _complaints: set[tuple[int, int]] = field(default_factory=set)  # (dealer, recipient)
    _opened: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _closed: bool = False  # complaints come too late
    _posted: bool = False

    # -- messages ---------------------------------------------------------------------------------------------------

    def announcement(self, message: Announcement) -> list[Effect]:
        """Gossip with a data owner's keys; wallets that are not registered have nothing to say to a session."""
        member = self.desk.view.member_of(message.sender)
        if member is None:
            rule = "not-ready" if self.desk.view.phase <= Phase.REGISTER else "not-in-set"
            raise self.desk.refuse(rule, message, "not registered")
        keys = PublicKeys(message.enc_key, message.mask_key, message.self_hash)
        if keys.digest(self.desk.context, member.address) == member.key_digest:
            self.keys[member.index] = keys
        return []

    def bundle_set(self, message: BundleSet) -> list[Effect]:
        """The sealed bundles of one dealer. Later sets may fill empty places (late keys), never change a bundle."""
        desk, member = self.desk, self.desk.data_owner(message)
        desk.not_before(Phase.KEYS, message)
        keys = PublicKeys(message.enc_key, message.mask_key, message.self_hash)
        if keys.digest(desk.context, member.address) != member.key_digest:
            raise desk.refuse("wrong-keys", message, "not the keys that were registered")
        group = desk.view.groups[desk.view.group_of(member.index)]
        wanted = [0 if k == member.index else sealed_bytes(len(group), p) for p, k in enumerate(group)]
        if len(message.sealed) != len(wanted) or any(
            len(sealed) not in (0, size) for sealed, size in zip(message.sealed, wanted, strict=True)
        ):
            raise desk.refuse("wrong-bundles", message, f"bundles of {wanted} bytes were expected")
        known = self._sets.get(member.index, (b"",) * len(group))
        if any(old and new and old != new for old, new in zip(known, message.sealed, strict=True)):
            raise desk.refuse("bundles-twice", message, "another bundle came before")
        self._sets[member.index] = tuple(old or new for old, new in zip(known, message.sealed, strict=True))
        self.keys[member.index] = keys
        return []

    def request(self, message: BundleRequest) -> list[Effect]:
        """What a peer of a group may have missed: keys of all dealers that we know, and its own sealed bundles."""
        desk, member = self.desk, self.desk.data_owner(message)
        desk.not_before(Phase.KEYS, message)
        group = desk.view.groups[desk.view.group_of(member.index)]
        place = group.index(member.index)
        dealers = [k for k in group if k in self._sets and k != member.index]
        keys = [self.keys[k] for k in dealers]
        reply = Bundles(
            desk.identity.address, tuple(dealers), tuple(k.enc for k in keys), tuple(k.mask for k in keys),
            tuple(k.self_hash for k in keys), tuple(self._sets[k][place] for k in dealers),
        )  # fmt: skip
        return [Reply(reply)]

    def complaint(self, message: Complaint) -> list[Effect]:
        """A peer got a bad bundle: its dealer, who is told, must open it before the bitmap leaves, or is out."""
        desk, member = self.desk, self.desk.data_owner(message)
        desk.not_before(Phase.KEYS, message)
        group = desk.view.groups[desk.view.group_of(member.index)]
        pair = (message.dealer, member.index)
        if message.recipient != member.index:
            raise desk.refuse("wrong-recipient", message, "everybody complains for itself")
        if message.dealer not in group or message.dealer == member.index:
            raise desk.refuse("wrong-dealer", message, f"data owner {message.dealer} deals nothing to the sender")
        dealer = desk.view.members[message.dealer].address
        if not is_complaint(desk.context, desk.identity, dealer, member.address, message.signature):
            raise desk.refuse("bad-signature", message, "complaint")
        if pair in self._complaints or pair in self._opened:
            return []
        if self._closed or self._posted or desk.view.phase > Phase.BUNDLES:
            raise desk.refuse("late", message, "the dealer would have no time to answer")
        self._complaints.add(pair)
        return [Send(dealer, replace(message, sender=desk.identity.address))]

    def opening(self, message: BundleOpening) -> list[Effect]:
        """The dealer's answer: shares that prove themselves go on to the peer that complained."""
        desk, dealer = self.desk, self.desk.data_owner(message)
        desk.not_before(Phase.KEYS, message)
        group = desk.view.groups[desk.view.group_of(dealer.index)]
        if message.dealer != dealer.index or message.recipient not in group or message.recipient == dealer.index:
            raise desk.refuse("wrong-dealer", message, "a dealer opens its own bundles only")
        root = desk.view.share_roots.get(dealer.index)
        if root is None:
            raise desk.refuse("too-early", message, "no root on chain")
        position = group.index(message.recipient)
        try:
            open_bundle(desk.context, dealer.address, root, len(group), position, message.plain)
        except ValueError as error:
            raise desk.refuse("wrong-share", message, str(error)) from None
        pair = (dealer.index, message.recipient)
        if pair in self._opened:
            return []
        self._opened[pair] = message.plain
        return [self._hand_on(pair)]

    def _hand_on(self, pair: tuple[int, int]) -> Effect:
        dealer, recipient = pair
        message = BundleOpening(self.desk.identity.address, dealer, recipient, self._opened[pair])
        return Send(self.desk.view.members[recipient].address, message)

    # -- bitmap V ---------------------------------------------------------------------------------------------------

    def tick(self, block: int) -> list[Effect]:
        """Post V: as soon as everybody with a root is complete (peers have a block to complain), or at the cut.

        A block before the cut no more complaints are taken.
        """
        desk, view = self.desk, self.desk.view
        if view.phase != Phase.BUNDLES or self._posted or desk.index is None:
            return []
        closing = not self._closed and block >= desk.cut() - 1
        self._closed |= closing
        notes: list[Effect] = [Note("complaints_closed", (("block", block),))] if closing else []
        return notes + self._post(block)

    def _post(self, block: int) -> list[Effect]:
        desk, view = self.desk, self.desk.view
        all_here = self._complete() == set(view.share_roots)
        if block < desk.cut() and not (all_here and block > view.phase_block):
            return []
        self._posted = True
        bits = bitmap(self._complete())
        return [Transact("postBitmap", (int(Bitmap.BUNDLES), bits), key="postBitmap-BUNDLES")]

    def _complete(self) -> set[int]:
        """Dealers with a root on chain whose bundles for all such peers are here and undisputed."""
        view = self.desk.view
        disputed = {dealer for dealer, recipient in self._complaints if (dealer, recipient) not in self._opened}
        return {k for k in view.share_roots if k not in disputed and self._covers(k)}

    def _covers(self, dealer: int) -> bool:
        view = self.desk.view
        group = view.groups[view.group_of(dealer)]
        sealed = self._sets.get(dealer, (b"",) * len(group))
        peers = [p for p, k in enumerate(group) if k != dealer and k in view.share_roots]
        return dealer in self._sets and all(sealed[p] for p in peers)


def sealed_bytes(size: int, position: int) -> int:
    """Length of a sealed bundle for ``position`` in a group of ``size``: two shares, salts and Merkle paths."""
    siblings = sum(proof_length(2 * position + kind, 2 * size) for kind in (0, 1))
    return 2 * (SECRET_SHARE_BYTES + SALT_BYTES) + siblings * HASH_BYTES + SEAL_OVERHEAD
