"""What the demo saw: one record per session, filled from the chain alone, so that no node can embellish it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from omninode.roles import outcome
from omninode.roles.outcome import hexed
from protocols.sessions.events import ChainEvent, PhaseChanged
from protocols.sessions.params import Bitmap, Mode, Phase
from protocols.sessions.view import SessionView
from protocols.zk.params import Statement, choose

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
VERIFIED_NAMES = {**PHASE_NAMES, Phase.QUERY: "proofs", Phase.VALID: "proofs", Phase.BATCH: "batch"}
PROVED_NAMES = {**PHASE_NAMES, Phase.VALID: "records + shares", Phase.BATCH: "prove + verify"}


@dataclass
class SessionRecord:
    """One session. seconds: wall time per phase; gas: summed per function; escrow: wei sent at creation.

    reverted: wallet -> errors of proofs that the contract refused.  proof_gas: of the one that it accepted.
    """

    session: int
    view: SessionView
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    gas: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    claimed: dict[bytes, int] = field(default_factory=dict)
    slashed: dict[bytes, int] = field(default_factory=dict)
    reverted: dict[bytes, list[str]] = field(default_factory=dict)
    bytes_moved: dict[str, int] = field(default_factory=dict)
    escrow: int = 0
    proof_gas: int = 0
    accuracy: float | None = None
    _since: float = 0.0

    def apply(self, event: ChainEvent, now: float) -> None:
        """Fold one event seen at ``now`` (monotonic seconds)."""
        before = self.view.phase
        self.view.apply(event)
        if isinstance(event, PhaseChanged):
            names = (PROVED_NAMES if self.zk else VERIFIED_NAMES) if self.verified else PHASE_NAMES
            if before in names:
                self.seconds[names[before]] += now - self._since
            self._since = now

    @property
    def verified(self) -> bool:
        """Whether every update stands alone."""
        return self.view.params is not None and self.view.p.mode == Mode.VERIFIED

    @property
    def zk(self) -> bool:
        """Whether the contract itself checks a proof of the batch."""
        return self.view.params is not None and self.view.p.zk

    def proof(self) -> dict[str, Any] | None:
        """Certificate zk: what the contract has checked, and its gas; None before or without that."""
        view = self.view
        if view.proved is None:
            return None
        reference = outcome.reference_counts(view)
        statement = view.p.statement if reference or view.p.statement == Statement.GRAM else Statement.NONE
        return {
            "statement": statement.name.lower(),
            "data_owners": outcome.owners_in(view.sets[Bitmap.VALID]),
            "rows": choose(view.p.dimension, view.p.bound).size,
            "aggregate": [hex(c) for c in view.proved.aggregate],
            "values_hash": hexed(view.proved.values_hash),
            "gas": self.proof_gas,
        }

    @property
    def ended(self) -> bool:
        """Whether the chain has closed the session."""
        return self.view.phase in (Phase.FINISHED, Phase.ABORTED)

    def groups(self) -> list[dict[str, Any]]:
        """Mode grouped: members, survivors (U) and acceptance per group, addresses in hex."""
        return outcome.groups(self.view)

    def as_json(self) -> dict[str, Any]:
        """The session's part of result.json. paid: what each wallet claimed beyond its own returned deposit."""
        view = self.view
        deposits = {m.address: view.p.deposit for m in view.members if not view.silent_owners >> m.index & 1}
        paid = {hexed(who): wei - deposits.get(who, 0) for who, wei in self.claimed.items() if who != view.p.owner}
        return {
            "id": self.session,
            "aborted": view.aborted,
            "accuracy": self.accuracy,
            "mode": view.p.mode.name.lower(),
            "certificate": "zk" if view.p.zk else "attested",
            "proof": self.proof(),
            **({"data_owners": outcome.data_owners(view)} if self.verified else {"groups": self.groups()}),
            "paid": paid,
            "escrow": self.escrow,
            "refund": self.claimed.get(view.p.owner, 0),
            "slashed": {hexed(who): wei for who, wei in self.slashed.items()},
            "reverted": {hexed(who): errors for who, errors in self.reverted.items()},
            "gas": dict(self.gas),
            "calls": dict(self.calls),
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
            "bytes": dict(self.bytes_moved),
        }
