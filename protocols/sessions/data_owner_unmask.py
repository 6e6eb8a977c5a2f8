"""Unmasking: our shares of what the provers need for U, once, and of no data owner both kinds."""

from __future__ import annotations

from protocols.errors import LocalProtocolError
from protocols.secagg.shares import MASK_KEY, SELF_SEED, Bundle
from protocols.sessions.data_owner_bundles import BundleIntake
from protocols.sessions.data_owner_core import Core, Place
from protocols.sessions.data_owner_keys import KeySharing
from protocols.sessions.effects import Effect, Note, Remember
from protocols.sessions.params import Bitmap
from protocols.wire import messages as msg


def set_bytes(bits: int) -> bytes:
    """The canonical bytes of a set, as the safety journal keeps them."""
    return bits.to_bytes(32, "big")


class Unmasking:
    """Answers the first U that it is told, and no other, ever."""

    def __init__(self, core: Core, keys: KeySharing, bundles: BundleIntake) -> None:
        self._core, self._keys, self._bundles = core, keys, bundles
        self._valid: int | None = None
        self.sent = False

    def fixed(self, bits: int) -> list[Effect]:
        """U is fixed. LocalProtocolError if another U was fixed before: both secrets of somebody might leave us."""
        if self._valid is not None:
            if self._valid != bits:
                raise LocalProtocolError("a second set U in one session")
            return []
        self._valid = bits
        place, survivors = self._core.place, self._core.survivors(Bitmap.VALID)
        if place is None or not survivors or place.index not in self._core.survivors(Bitmap.BUNDLES):
            return []
        message = self._message(place, bits)
        self.sent = True
        missing = len(self._core.view.within(Bitmap.BUNDLES, place.group)) - len(message.dealers)
        notes: list[Effect] = [Note("shares_missing", (("count", missing),))] if missing else []
        return [Remember("U", set_bytes(bits)), *notes, *self._core.to_provers(message)]

    def _message(self, place: Place, bits: int) -> msg.Unmask:
        """Shares of b_k for U, of the mask key for V without U, as far as we hold them."""
        dealers, kinds, proven = [], [], []
        for k in self._core.view.within(Bitmap.BUNDLES, place.group):
            bundle = self._bundle(place, k)
            if bundle is not None:
                kind = SELF_SEED if bits >> k & 1 else MASK_KEY
                dealers.append(k)
                kinds.append(kind)
                proven.append(bundle.of(kind))
        return msg.Unmask(
            self._core.address,
            bits,
            tuple(dealers),
            tuple(kinds),
            tuple(share.share for share in proven),
            tuple(share.salt for share in proven),
            tuple(share.proof for share in proven),
        )

    def _bundle(self, place: Place, dealer: int) -> Bundle | None:
        if dealer == place.index:
            return self._keys.dealt.bundles[place.position] if self._keys.dealt else None
        return self._bundles.held.get(dealer)
