"""A session of the baseline as the chain tells it. Folding the same events gives the same view."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.onchain import events as ev
from protocols.onchain.params import OnchainTerms, State, Training

UNSELECTED = "not selected in time: all complete rounds were paid, none used"
"""Of an ``OnchainView.unselected``: its sum holds what m-Krum would have left out."""


@dataclass
class Member:
    """A data owner. key: its X25519 key, b"" before it is posted.  uploaded: chunks."""

    address: bytes
    place: int
    peer_key: bytes
    key: bytes = b""
    uploaded: set[int] = field(default_factory=set)


class OnchainView:
    """terms is None until the creation was seen, training until the start. since: block in which the state began.

    listed: only who is in ``whitelist`` may register; an empty list admits nobody.
    """

    def __init__(self, session: int) -> None:
        self.session = session
        self.clear()

    def clear(self) -> None:
        """Forget every event, as after a reorganisation: whoever holds this view sees what is folded next."""
        self.state = State.SETUP
        self.deadline = self.since = 0
        self.head = b""
        self.terms: OnchainTerms | None = None
        self.training: Training | None = None
        self.created = 0
        self.members: list[Member] = []
        self.listed = False
        self.whitelist: set[bytes] = set()
        self.posted: set[int] = set()
        self.measured: set[int] = set()
        self.live = self.complete = self.selected = 0
        self.share = 0
        self.claimed: dict[bytes, int] = {}
        self.refund = 0

    @property
    def p(self) -> OnchainTerms:
        """The terms; only where the creation was seen."""
        assert self.terms is not None
        return self.terms

    @property
    def unselected(self) -> bool:
        """Whether nobody selected in time: the contract then pays all complete rounds, also more than m-Krum keeps."""
        return self.selected.bit_count() > self.p.m_krum

    @property
    def ended(self) -> bool:
        """Whether nothing but claims is left (the owner may still have to take its rest)."""
        return self.state >= State.PAYMENT

    def member_of(self, address: bytes) -> Member | None:
        """The data owner with this wallet, if registered."""
        return next((m for m in self.members if m.address == address), None)

    def admits(self, address: bytes) -> bool:
        """Whether the owner lets this wallet register."""
        return not self.listed or address in self.whitelist

    def round_of(self, place: int) -> int:
        """Number of the round that a place is in."""
        assert self.training is not None
        return place // self.training.group_size

    def peers_of(self, member: Member) -> list[Member]:
        """The other data owners of its round so far."""
        mine = self.round_of(member.place)
        return [m for m in self.members if m is not member and self.round_of(m.place) == mine]

    def rounds(self, bitmap: int) -> list[int]:
        """Numbers of the rounds in a bitmap, ascending."""
        return [r for r in range(bitmap.bit_length()) if bitmap >> r & 1]

    def apply(self, event: ev.OnchainEvent) -> None:
        """Fold one event. What is not of this session is not looked at."""
        if event.session != self.session:
            return
        match event:
            case ev.Created(head=head, terms=terms, block=block):
                self.head, self.terms, self.created = head, terms, block
            case ev.ModelPosted(chunk=chunk):
                self.posted.add(chunk)
            case ev.Whitelisted(who=who):
                self.listed = True
                self.whitelist |= set(who)
            case ev.Started(training=training, deadline=deadline):
                self.training = training
                self._enter(State.REGISTER, event.block, deadline)
            case ev.Registered(who=who, place=place, peer_key=peer_key):
                self.members.append(Member(who, place, peer_key))
            case ev.KeyPosted(place=place, key=key):
                self.members[place].key = key
            case ev.Uploaded(place=place, chunk=chunk):
                self.members[place].uploaded.add(chunk)
            case _:
                self._apply_end(event)

    def _apply_end(self, event: ev.OnchainEvent) -> None:
        match event:
            case ev.AggregationOpened(live=live, deadline=deadline):
                self.live = live
                self._enter(State.MODEL_AGGREGATE, event.block, deadline)
            case ev.RoundComplete(round=number):
                self.complete |= 1 << number
            case ev.SuppressionOpened(complete=complete, deadline=deadline):
                self.complete = complete
                self._enter(State.OUTLIER_SUPPRESSION, event.block, deadline)
            case ev.Measured(chunk=chunk):
                self.measured.add(chunk)
            case ev.Selected(selected=selected, share=share):
                self.selected, self.share = selected, share
                self._enter(State.PAYMENT, event.block, 0)
            case ev.Claimed(who=who, amount=amount):
                self.claimed[who] = self.claimed.get(who, 0) + amount
            case ev.Exited(amount=amount):
                self.refund = amount
                self._enter(State.FINISHED, event.block, 0)

    def _enter(self, state: State, block: int, deadline: int) -> None:
        self.state, self.since, self.deadline = state, block, deadline
