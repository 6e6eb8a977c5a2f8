"""The bitmap U: who is delivered, consistent and, in mode verified, proved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from protocols.sessions.effects import Blame, Effect, Transact
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_consistency import LABEL, Consistency
from protocols.sessions.prover_decode import name_liars
from protocols.sessions.prover_desk import Desk, bitmap
from protocols.sharing.consistency import Status


class SecondLook(Protocol):
    """What else is judged of those that are consistent."""

    @property
    def waiting(self) -> bool:
        """Whether anybody's fate is open."""

    def refused(self, index: int) -> bool:
        """Whether this data owner is not shown to be good."""


@dataclass
class Vote:
    """Votes when every outlier has spoken and everything is judged, at the cut in any case.

    Outliers that contradict themselves are named at once, silent ones when phase BATCH begins.
    """

    desk: Desk
    consistency: Consistency
    second: SecondLook | None = None
    _silence_judged: bool = False

    def progress(self) -> list[Effect]:
        """Name who lied; vote if nothing is open."""
        effects = name_liars(self.desk, self.consistency.contradicted(), LABEL)
        if self.desk.view.phase == Phase.BATCH and not self._silence_judged:
            self._silence_judged = True
            effects += name_liars(self.desk, self.consistency.silent(), LABEL)
        open_ends = self.consistency.waiting or (self.second is not None and self.second.waiting)
        return effects + (self._vote() if self._due and not open_ends else [])

    def tick(self, block: int) -> list[Effect]:
        """Vote when time runs out."""
        return self._vote() if self._due and block >= self.desk.cut() else []

    @property
    def _due(self) -> bool:
        judged = self.consistency.verdicts is not None
        return judged and self.desk.view.phase == Phase.VALID and not self.consistency.closed

    def _vote(self) -> list[Effect]:
        self.consistency.closed = True
        desk, effects = self.desk, list[Effect]()
        good: set[int] = set()
        for k, verdict in (self.consistency.verdicts or {}).items():
            if verdict.status == Status.INCONSISTENT or not self.consistency.in_doubt(k):
                effects.append(Blame(desk.view.uploader(k), "inconsistent-sharing"))
            elif self.second is None or not self.second.refused(k):
                good.add(k)
        vote = Transact("postBitmap", (int(Bitmap.VALID), bitmap(good)), key="postBitmap-VALID")
        return [*effects, vote]
