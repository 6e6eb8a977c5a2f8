"""Certificate zk: the bitmap of valid data owners. Delivered, proved, and dealt as committed."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.sessions.effects import Blame, Effect, Transact
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_desk import Desk, bitmap
from protocols.sessions.zk_complaints import Complaints
from protocols.sessions.zk_records import Records


@dataclass
class ZkVote:
    """Votes when every record is judged and complaints are settled, by half of the phase unless much is bad. At the cut
    in any case, and against what is not judged by then. What is shown before we vote counts.
    """

    desk: Desk
    records: Records
    complaints: Complaints
    voted: bool = False

    def progress(self) -> list[Effect]:
        """Vote if nothing is open."""
        return [] if self.records.waiting or self.complaints.waiting else self._vote()

    def tick(self, block: int) -> list[Effect]:
        """Vote when time runs out; a record that is not here by now does not count."""
        return self._vote() if self.desk.view.phase == Phase.VALID and block >= self.desk.cut() else []

    def _vote(self) -> list[Effect]:
        desk = self.desk
        if self.voted or desk.view.phase != Phase.VALID:
            return []
        self.voted = True
        delivered = desk.members(Bitmap.DELIVERED)
        passing = [k for k in delivered if self.records.passes(k) and not self.complaints.unchecked(k)]
        out = [k for k in passing if self.complaints.out(k)]
        said = [k for k in out if k not in self.complaints.convicted]  # by more than t provers
        blames = [Blame(desk.view.uploader(k), "inconsistent-sharing", "complaints") for k in said]
        good = set(passing) - set(out)
        return [*blames, Transact("postBitmap", (int(Bitmap.VALID), bitmap(good)), key="postBitmap-VALID")]
