"""Second half of key sharing: bundles of our peers, directly or through the provers; complaints about bad ones."""

from __future__ import annotations

from protocols.errors import RemoteProtocolError
from protocols.secagg import shares
from protocols.secagg.keys import PublicKeys
from protocols.secagg.seal import bundle_associated, open_sealed
from protocols.sessions.complaints import complaint_digest
from protocols.sessions.data_owner_core import Core, Place
from protocols.sessions.data_owner_keys import KeySharing
from protocols.sessions.effects import Blame, Effect, Send
from protocols.sessions.params import Bitmap, Phase
from protocols.wire import messages as msg

_RETRY = 2
"""Blocks between two requests for what is missing."""
_SHORT = 6
"""A phase with fewer blocks leaves no time to wait for what may still be under way."""


class BundleIntake:
    """``held``: verified bundles by the dealer's registration index."""

    def __init__(self, core: Core, keys: KeySharing) -> None:
        self._core, self._keys = core, keys
        self.held: dict[int, shares.Bundle] = {}
        self._direct: dict[int, bytes] = {}
        self._relayed: dict[int, dict[int, bytes]] = {}  # dealer -> committee index -> sealed
        self._failed: dict[int, dict[bytes, str]] = {}  # candidates that did not open, with the reason
        self._complained: set[int] = set()
        self._asked = 0

    def received(self, message: msg.Bundle) -> list[Effect]:
        """A bundle from its dealer. It is kept until the dealer's keys and root are known."""
        place, dealer = self._core.from_peer(message.sender)
        if message.recipient != place.index:
            raise RemoteProtocolError("wrong-recipient", message.sender.hex(), f"for data owner {message.recipient}")
        if self._direct.setdefault(dealer, message.sealed) != message.sealed:
            raise RemoteProtocolError("equivocation", message.sender.hex(), "a second bundle")
        return []

    def relayed(self, message: msg.Bundles) -> list[Effect]:
        """A prover's reply: keys and bundles of our group. One wrong key, and the whole reply is refused."""
        prover = self._core.from_prover(message.sender)
        place = self._core.drawn(message.sender)
        parts = zip(message.dealers, message.enc_keys, message.mask_keys, message.self_hashes, strict=True)
        keys = {dealer: PublicKeys(enc, mask, hashed) for dealer, enc, mask, hashed in parts}
        if len(keys) != len(message.dealers) or not keys.keys() <= set(place.members):
            raise RemoteProtocolError(
                "wrong-dealer", message.sender.hex(), "a repeated dealer, or one of another group"
            )
        for dealer, public in keys.items():
            self._keys.check(dealer, public, message.sender)
        for dealer, sealed in zip(message.dealers, message.sealed, strict=True):
            if dealer != place.index:
                self._keys.learn(dealer, keys[dealer])
                if sealed:
                    self._relayed.setdefault(dealer, {})[prover] = sealed
        return []

    def opened(self, message: msg.BundleOpening) -> list[Effect]:
        """The plain bundle that a dealer showed the provers after our complaint."""
        self._core.from_prover(message.sender)
        place = self._core.drawn(message.sender)
        if message.recipient != place.index or message.dealer not in place.peers:
            raise RemoteProtocolError(
                "wrong-recipient", message.sender.hex(), f"{message.dealer} to {message.recipient}"
            )
        root = self._core.view.share_roots.get(message.dealer)
        if root is None:
            raise RemoteProtocolError("not-ready", message.sender.hex(), "no share root on chain yet")
        if message.dealer not in self.held:
            try:
                self.held[message.dealer] = self._verified(place, message.dealer, root, message.plain)
            except ValueError as error:
                raise RemoteProtocolError("bad-share", message.sender.hex(), str(error)) from None
        return []

    def advance(self, block: int) -> list[Effect]:
        """Try what can be opened by now; ask the provers for what is missing."""
        place = self._core.place
        if place is None:
            return []
        effects: list[Effect] = []
        for dealer in place.peers:
            root = self._core.view.share_roots.get(dealer)
            if dealer not in self.held and dealer in self._keys.peers and root is not None:
                effects += self._try(place, dealer, root)
        return effects + self._ask(place, block)

    def _try(self, place: Place, dealer: int, root: bytes) -> list[Effect]:
        """Open one of the candidates. Blame the dealer only for bytes that surely are its own."""
        relayed = list(self._relayed.get(dealer, {}).values())
        direct = self._direct.get(dealer)
        failed: dict[bytes, str] = {}
        for sealed in dict.fromkeys([*([direct] if direct is not None else []), *relayed]):
            known = self._failed.get(dealer, {}).get(sealed)  # keys and root never change, so it fails for ever
            problem = known or self._open(place, dealer, root, sealed)
            if not problem:
                return []
            failed[sealed] = problem
        self._failed[dealer] = failed
        certain = [sealed for sealed in failed if sealed == direct or relayed.count(sealed) > self._threshold]
        return self._complain(place, dealer, failed[certain[0]]) if certain else []

    @property
    def _threshold(self) -> int:
        return self._core.view.p.threshold

    def _open(self, place: Place, dealer: int, root: bytes, sealed: bytes) -> str:
        """Hold the bundle in ``sealed``, or say what is wrong with it."""
        try:
            self.held[dealer] = self._verified(place, dealer, root, self._unseal(place, dealer, sealed))
        except ValueError as error:
            return str(error) or "does not open"
        self._relayed.pop(dealer, None)
        self._failed.pop(dealer, None)
        return ""

    def _unseal(self, place: Place, dealer: int, sealed: bytes) -> bytes:
        core, address = self._core, place.address_of(dealer)
        associated = bundle_associated(address, core.address)
        return open_sealed(core.context, core.keys.enc_secret, self._keys.peers[dealer].enc, associated, sealed)

    def _verified(self, place: Place, dealer: int, root: bytes, plain: bytes) -> shares.Bundle:
        address = place.address_of(dealer)
        return shares.open_bundle(self._core.context, address, root, place.size, place.position, plain)

    def _complain(self, place: Place, dealer: int, problem: str) -> list[Effect]:
        if dealer in self._complained:
            return []
        self._complained.add(dealer)
        address = place.address_of(dealer)
        blame = Blame(address, "bad-bundle", problem)
        if Bitmap.BUNDLES in self._core.view.sets:
            return [blame]
        signature = self._core.identity.sign(complaint_digest(self._core.context, address, self._core.address))
        complaint = msg.Complaint(self._core.address, dealer, place.index, signature)
        return [blame, *self._core.to_provers(complaint), Send(address, complaint)]

    def missing(self) -> list[int]:
        """Peers whose keys or bundle we lack and still want: of V once it is fixed, before that all that have a
        root.
        """
        place, view = self._core.place, self._core.view
        if place is None or Bitmap.VALID in view.sets:
            return []
        fixed = Bitmap.BUNDLES in view.sets
        wanted = self._core.survivors(Bitmap.BUNDLES) if fixed else [k for k in place.members if k in view.share_roots]
        return [k for k in wanted if k != place.index and (k not in self.held or k not in self._keys.peers)]

    def request(self, block: int) -> list[Effect]:
        """Ask every prover for what they hold of our group."""
        self._asked = block
        return self._core.to_provers(msg.BundleRequest(self._core.address))

    def _ask(self, place: Place, block: int) -> list[Effect]:
        view = self._core.view
        wait = 1 if view.deadline - view.phase_block >= _SHORT else 0
        since = max(self._asked + _RETRY, view.phase_block + wait)
        if not Phase.BUNDLES <= view.phase <= Phase.VALID or block < since or not self.missing():
            return []
        return self.request(block)
