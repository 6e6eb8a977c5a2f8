"""What all parts of the data-owner machine share: who we are, what the chain says, where we stand in our group."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.errors import RemoteProtocolError
from protocols.secagg.keys import SessionKeys
from protocols.sessions.effects import Effect, Send
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap, mask_threshold
from protocols.sessions.view import SessionView
from protocols.wire.context import Context
from protocols.wire.messages import Message


@dataclass(frozen=True, slots=True)
class Place:
    """Our seat after the draw.

    index: our registration index.  group: number of our group.  members, addresses: of the group, in drawn order.
    """

    index: int
    group: int
    members: tuple[int, ...]
    addresses: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Members of the group as drawn."""
        return len(self.members)

    @property
    def position(self) -> int:
        """Our position in the group, from 0."""
        return self.members.index(self.index)

    @property
    def threshold(self) -> int:
        """T: shares that rebuild a secret."""
        return mask_threshold(self.size)

    @property
    def quorum(self) -> int:
        """Fewer members than this in V or U: the group fails, and so masks and unmask shares stay here."""
        return max(self.threshold, 2)

    @property
    def peers(self) -> tuple[int, ...]:
        """Registration indices of the others."""
        return tuple(member for member in self.members if member != self.index)

    def address_of(self, index: int) -> bytes:
        """Wallet of a member of the group."""
        return self.addresses[self.members.index(index)]


class Core:
    """Constants of one data owner in one session, and the questions that every part asks."""

    def __init__(self, context: Context, identity: Identity, seed: bytes) -> None:
        self.context, self.identity, self.seed = context, identity, seed
        self.address = identity.address
        self.keys = SessionKeys.derive(seed, context, identity.address)
        self.view = SessionView(context.session)
        self.place: Place | None = None

    def take_place(self) -> Place | None:
        """Find our seat after the draw; None if we are not registered."""
        own = self.view.member_of(self.address)
        if own is not None:
            group = self.view.group_of(own.index)
            members = tuple(self.view.groups[group])
            addresses = tuple(self.view.members[k].address for k in members)
            self.place = Place(own.index, group, members, addresses)
        return self.place

    def secret(self, label: str, *parts: bytes) -> bytes:
        """32 bytes of our randomness, the same every time, for one purpose."""
        return self.context.bind("data-owner/" + label, self.address, *parts, self.seed)

    def to_provers(self, message: Message) -> list[Effect]:
        """The message, to every committee member."""
        return [Send(prover.address, message) for prover in self.view.committee]

    def survivors(self, kind: Bitmap) -> list[int]:
        """Members of our group in a fixed set, if we are in it and they are enough to go on; else none."""
        place = self.place
        if place is None or kind not in self.view.sets or not self.view.in_set(kind, place.index):
            return []
        within = self.view.within(kind, place.group)
        return within if len(within) >= place.quorum else []

    def from_peer(self, sender: bytes) -> tuple[Place, int]:
        """Our place and the registration index of a sender that must be of our group."""
        place = self.drawn(sender)
        if sender not in place.addresses or sender == self.address:
            raise RemoteProtocolError("wrong-role", sender.hex(), "not a member of our group")
        return place, place.members[place.addresses.index(sender)]

    def from_prover(self, sender: bytes) -> int:
        """Committee index of a sender that must be a prover of the session."""
        index = self.view.prover_index(sender)
        if index is None:
            raise RemoteProtocolError("wrong-role", sender.hex(), "not a prover of this session")
        return index

    def drawn(self, sender: bytes) -> Place:
        """Our place; a message that comes before we know it has to be sent again."""
        if self.place is None:
            raise RemoteProtocolError("not-ready", sender.hex(), "the groups are not drawn here yet")
        return self.place
