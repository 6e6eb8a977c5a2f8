"""Mode verified: who is accepted, with which score, and the sum of those."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.gram.distances import distances
from protocols.selection import rules, scores
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Rule
from protocols.sessions.prover_batch import Statement
from protocols.sessions.prover_desk import Desk, bitmap
from protocols.sessions.prover_proved import ProvedPieces
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.prover_scores import DISTANCE_RULES, Scores

COPIES_SHIFT = 128
"""In the batch a data owner's value is its score plus its number of copies shifted by this."""


@dataclass
class Selection:
    """Judges from the decoded products, and sums the accepted."""

    desk: Desk
    pieces: ProvedPieces
    rebuild: Rebuild
    scores: Scores
    _sum: tuple[list[int], Vector] | None = field(default=None, repr=False)

    @property
    def done(self) -> bool:
        """Whether everything is opened, and our shares of all accepted are here: n - t such provers can serve."""
        if not self.scores.done:
            return False
        missing = {k for k in self.valid() if not self.rebuild.has(k)}
        return not missing or missing.isdisjoint(self.accepted())

    @property
    def referenced(self) -> bool:
        """Whether the owner's reference is used and valid; without it trust is none and contribution equal."""
        return self.desk.view.p.uses_reference and self.desk.view.in_set(Bitmap.VALID, REFERENCE)

    def valid(self) -> list[int]:
        """Valid data owners, ascending."""
        return [k for k in self.desk.members(Bitmap.VALID) if k != REFERENCE]

    def accepted(self) -> list[int]:
        """Valid and selected, ascending; nobody if the rule gives no output."""
        view, valid = self.desk.view, self.valid()
        if view.p.rule == Rule.TRUST and self.referenced:
            return scores.trust({k: self.scores.values[k, REFERENCE] for k in valid})
        if view.p.rule not in DISTANCE_RULES:
            return valid
        apart = distances(self._gram(valid), [1] * len(valid))
        kept = rules.select(
            int(view.p.rule), apart, len(view.members), len(valid), view.p.mu_bps, view.p.m_krum
        )  # fmt: skip
        return [valid[i] for i in kept or ()]

    def values(self, accepted: list[int]) -> tuple[int, ...]:
        """By contribution: score and copies of each accepted data owner; else nothing."""
        if self.desk.view.p.payout != Payout.CONTRIBUTION or not self.referenced:
            return ()
        phi = {k: max(0, self.scores.values[k, REFERENCE]) for k in accepted}
        copies = dict.fromkeys(accepted, 1)
        if self.desk.view.p.rule in DISTANCE_RULES:
            found = scores.copies(self._gram(accepted), range(len(accepted)))
            copies = {accepted[i]: count for i, count in found.items()}
        return tuple(phi[k] + (copies[k] << COPIES_SHIFT) for k in accepted)

    def statement(self) -> Statement:
        """Valid set, accepted set, scores, digest of what was decoded."""
        valid, accepted = self.desk.view.sets[Bitmap.VALID], self.accepted()
        opened = [self.scores.values[pair].to_bytes(16, "big", signed=True) for pair in self.scores.wanted]
        digest = self.desk.context.bind(
            "decoded-verified", valid.to_bytes(32, "big"), bitmap(accepted).to_bytes(32, "big"), b"".join(opened)
        )
        return valid, bitmap(accepted), self.values(accepted), digest

    def output(self, selected: list[int]) -> tuple[Vector, tuple[int, ...]] | None:
        """Our share of the sum of these updates, added up one after the other; None if a share is missing."""
        if not selected or not all(self.rebuild.has(k) for k in selected):
            return None
        if self._sum is None or self._sum[0] != selected:
            total = gl.zeros(self.desk.view.p.dimension)
            for k in selected:
                share = self.rebuild.share(k)
                assert share is not None
                gl.add_into(total, share[self.pieces.layout.x])
            self._sum = selected, total
        return self._sum[1], ()

    def _gram(self, owners: list[int]) -> list[list[int]]:
        return [[self.scores.values[min(k, j), max(k, j)] for j in owners] for k in owners]
