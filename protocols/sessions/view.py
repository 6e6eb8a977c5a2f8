"""One session as the chain tells it: a fold over typed events. Every machine owns one; nobody else writes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.errors import LocalProtocolError
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Beacon, Bitmap, Mode, Phase, SessionParams


@dataclass(frozen=True, slots=True)
class Member:
    """A registered data owner. index: registration index."""

    index: int
    address: bytes
    peer_key: bytes
    key_digest: bytes


@dataclass
class SessionView:
    """State of one session. Lists go by registration index; ``groups[r]`` holds registration indices in drawn order.

    Mode verified: group k is the data owner registered k-th; ``upload_roots[REFERENCE]`` is the owner's reference.
    """

    session: int
    params: SessionParams | None = None
    phase: Phase = Phase.NONE
    phase_block: int = 0
    deadline: int = 0
    committee: tuple[ev.ProverInfo, ...] = ()
    members: list[Member] = field(default_factory=list)
    beacons: dict[Beacon, bytes] = field(default_factory=dict)
    groups: list[list[int]] = field(default_factory=list)
    share_roots: dict[int, bytes] = field(default_factory=dict)
    upload_roots: dict[int, bytes] = field(default_factory=dict)
    bitmaps: dict[Bitmap, dict[int, int]] = field(default_factory=dict)
    openings: dict[int, ev.OpeningsPosted] = field(default_factory=dict)
    sets: dict[Bitmap, int] = field(default_factory=dict)
    batch: ev.BatchFinal | None = None
    scores: tuple[int, ...] = ()
    proved: ev.Proved | None = None
    named_provers: int = 0
    silent_owners: int = 0
    aborted: str | None = None

    @property
    def p(self) -> SessionParams:
        """The parameters; a session without them is a bug of the driver."""
        if self.params is None:
            raise LocalProtocolError("session without parameters: SessionCreated must come first")
        return self.params

    def clear(self) -> None:
        """Forget every event, as after a reorganisation: whoever holds this view sees what is folded next."""
        vars(self).update(vars(SessionView(self.session)))

    def apply(self, event: ev.ChainEvent) -> None:
        """Fold one event. Raises LocalProtocolError on an event of another session."""
        if event.session != self.session:
            raise LocalProtocolError(f"event of session {event.session} fed to session {self.session}")
        match event:
            case ev.SessionCreated(params=params):
                self.params = params
            case ev.PhaseChanged(phase=phase, deadline=deadline, block=block):
                self.phase, self.deadline, self.phase_block = phase, deadline, block
                if phase == Phase.UPLOAD and self.p.mode == Mode.VERIFIED:
                    self.groups = [[member.index] for member in self.members]
            case ev.BeaconSet(purpose=purpose, value=value):
                self._beacon(purpose, value)
            case ev.CommitteeDrawn(provers=provers):
                self.committee = provers
            case ev.Registered(index=index, data_owner=address, peer_key=peer_key, key_digest=digest):
                self.members.append(Member(index, address, peer_key, digest))
            case ev.GroupsDrawn(order=order, group_count=count):
                self.groups = split_groups(order, self.p.group_size, count)
            case ev.ShareRootCommitted(index=index, root=root):
                self.share_roots[index] = root
            case ev.UploadCommitted(index=index, root=root):
                self.upload_roots[index] = root
            case ev.BitmapPosted(kind=kind, prover=prover, bits=bits):
                self.bitmaps.setdefault(kind, {})[prover] = bits
            case ev.OpeningsPosted(prover=prover):
                self.openings.setdefault(prover, event)
            case ev.SetFixed(kind=kind, bits=bits):
                self.sets[kind] = bits
            case ev.ReferenceCommitted(root=root):
                self.upload_roots[REFERENCE] = root
            case ev.Scored(values=values):
                self.scores = values
            case ev.Proved():
                self.proved = event
            case ev.BatchFinal():
                self.batch = event
            case ev.Attested(provers=provers, data_owners=owners):
                self.named_provers |= provers
                self.silent_owners |= owners
            case ev.SessionAborted(reason=reason):
                self.aborted = reason
            case _:
                raise LocalProtocolError(f"unknown chain event {type(event).__name__}")

    def _beacon(self, purpose: Beacon, value: bytes) -> None:
        """One beacon per purpose: a second one for the same pad would open a second linear combination of it."""
        if self.beacons.setdefault(purpose, value) != value:
            raise LocalProtocolError(f"second {purpose.name} beacon in session {self.session}")

    def member_of(self, address: bytes) -> Member | None:
        """The data owner with this wallet, if registered."""
        return next((m for m in self.members if m.address == address), None)

    def uploader_of(self, address: bytes) -> int | None:
        """Index under which this wallet uploads: a data owner's, or REFERENCE for the owner of a verified session."""
        member = self.member_of(address)
        if member is not None:
            return member.index
        verified = self.params is not None and self.params.mode == Mode.VERIFIED
        return REFERENCE if verified and address == self.p.owner else None

    def uploader(self, index: int) -> bytes:
        """The wallet that uploads under this index; inverse of ``uploader_of``."""
        return self.p.owner if index == REFERENCE and self.p.mode == Mode.VERIFIED else self.members[index].address

    def prover_index(self, address: bytes) -> int | None:
        """Committee index of this wallet (its evaluation point less 1), if it is in the committee."""
        return next((i for i, p in enumerate(self.committee) if p.address == address), None)

    def group_of(self, index: int) -> int:
        """The group of the data owner registered ``index``-th."""
        return next(r for r, group in enumerate(self.groups) if index in group)

    def in_set(self, kind: Bitmap, index: int) -> bool:
        """Whether the fixed set of this kind holds the data owner."""
        return bool(self.sets.get(kind, 0) >> index & 1)

    def within(self, kind: Bitmap, group: int) -> list[int]:
        """Members of ``group`` in the fixed set of this kind, in group order."""
        return [k for k in self.groups[group] if self.in_set(kind, k)]


def split_groups(order: tuple[int, ...], size: int, count: int) -> list[list[int]]:
    """Cut the drawn order into ``count`` groups of ``size``; the last takes the remainder (sizes N .. 2N - 1)."""
    groups: list[list[int]] = [[] for _ in range(count)]
    for position, index in enumerate(order):
        groups[min(position // size, count - 1)].append(index)
    return groups
