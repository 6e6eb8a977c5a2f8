"""What the demo saw: one record per session, filled from the chain alone, so that no node can embellish it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from protocols.sessions.events import ChainEvent, PhaseChanged
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.view import SessionView

# Phases as a reader of the papers knows them.
PHASE_NAMES = {
    Phase.COMMITTEE: "committee",
    Phase.REGISTER: "register",
    Phase.DRAW: "draw",
    Phase.GROUPS: "draw",
    Phase.KEYS: "key sharing",
    Phase.BUNDLES: "key sharing",
    Phase.UPLOAD: "train + upload",
    Phase.DELIVERED: "delivery",
    Phase.QUERY: "check",
    Phase.VALID: "check",
    Phase.BATCH: "unmask + batch",
    Phase.OUTPUT: "open the sum",
}


@dataclass
class SessionRecord:
    """One session. seconds: wall time per phase; gas: summed per function; escrow: wei sent at creation."""

    session: int
    view: SessionView
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    gas: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    claimed: dict[bytes, int] = field(default_factory=dict)
    slashed: dict[bytes, int] = field(default_factory=dict)
    bytes_moved: dict[str, int] = field(default_factory=dict)
    escrow: int = 0
    accuracy: float | None = None
    _since: float = 0.0

    def apply(self, event: ChainEvent, now: float) -> None:
        """Fold one event seen at ``now`` (monotonic seconds)."""
        before = self.view.phase
        self.view.apply(event)
        if isinstance(event, PhaseChanged):
            if before in PHASE_NAMES:
                self.seconds[PHASE_NAMES[before]] += now - self._since
            self._since = now

    @property
    def ended(self) -> bool:
        """Whether the chain has closed the session."""
        return self.view.phase in (Phase.FINISHED, Phase.ABORTED)

    def fate(self, index: int) -> str:
        """What became of the data owner registered ``index``-th, in a word or two."""
        view = self.view
        if view.batch is None:
            return "no batch"
        if view.batch.accepted >> index & 1:
            return "accepted"
        if not view.in_set(Bitmap.BUNDLES, index):
            return "no key shares"
        if index not in view.upload_roots:
            return "no upload"
        if not view.in_set(Bitmap.DELIVERED, index):
            return "not delivered"
        if not view.in_set(Bitmap.VALID, index):
            return "inconsistent shares"
        group = view.group_of(index)
        if not view.batch.passed >> group & 1:
            return "group refused"
        return "group not selected"

    def groups(self) -> list[dict[str, Any]]:
        """Members, survivors (U) and acceptance per group, addresses in hex."""
        view, batch = self.view, self.view.batch
        return [
            {
                "members": [_hex(view.members[k].address) for k in group],
                "survivors": [_hex(view.members[k].address) for k in view.within(Bitmap.VALID, r)],
                "accepted": bool(batch and batch.selected >> r & 1),
            }
            for r, group in enumerate(view.groups)
        ]

    def payouts(self) -> dict[bytes, int]:
        """Reward per accepted data owner: floor(reward / data owners drawn), as the contract pays it."""
        view = self.view
        share = view.p.reward // max(len(view.members), 1)
        accepted = view.batch.accepted if view.batch else 0
        return {m.address: share if accepted >> m.index & 1 else 0 for m in view.members}

    def as_json(self) -> dict[str, Any]:
        """The session's part of result.json. paid: what each wallet claimed beyond its own returned deposit."""
        view = self.view
        deposits = {m.address: view.p.deposit for m in view.members if not view.silent_owners >> m.index & 1}
        paid = {_hex(who): wei - deposits.get(who, 0) for who, wei in self.claimed.items() if who != view.p.owner}
        return {
            "id": self.session,
            "aborted": view.aborted,
            "accuracy": self.accuracy,
            "groups": self.groups(),
            "paid": paid,
            "escrow": self.escrow,
            "refund": self.claimed.get(view.p.owner, 0),
            "slashed": {_hex(who): wei for who, wei in self.slashed.items()},
            "gas": dict(self.gas),
            "calls": dict(self.calls),
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
            "bytes": dict(self.bytes_moved),
        }


def _hex(address: bytes) -> str:
    return "0x" + address.hex()
