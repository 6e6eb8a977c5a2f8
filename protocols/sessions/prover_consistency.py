"""First of all: are the pieces of a data owner on one polynomial? Openings on chain, verdicts, published pieces.

Every prover posts its combinations on chain, where all see the same ones. What counts is fixed by block numbers alone:
all honest provers judge the same openings, and come to the same verdict P about each data owner, a polynomial of degree
t on which 2t + 1 openings or more are, and all but t at most. Outliers publish their committed piece, lowest index
first. A data owner whose published piece is off P at the time of the vote is out. An outlier whose published piece is
not what it opened is faulty; so is who has published nothing when U is fixed, and was shown right about no data owner.
Our own piece is good if and only if what it combines to is on P.

Why that is enough (n >= 4t + 1, at most t provers lie, crash or are late, any number of data owners lie; "delivered":
n - t provers say so or have signed a receipt, so 2t + 1 honest ones hold a committed piece).

- No honest data owner gets out. Its 2t + 1 honest holders open the truth. At most t other openings are wrong, so P is
  the true one (two such polynomials would share more than t points). Outliers are liars; a piece that one publishes is
  the committed one, hence on P, and convicts the outlier itself.
- Of an honest data owner's pieces nothing honest is ever published: only outliers publish, at most t of them.
- Nobody honest is framed. An honest outlier publishes what it opened: that shows the data owner, and however many data
  owners cheat it, one piece that arrives is enough. It is faulty only in the eyes of those whom it does not reach from
  the judgement (half of the phase up to the cut, see ``_until``) until phase BATCH begins, two blocks later at least;
  and n - t must say the same.
- A data owner of U can be served. It has the votes of 2t + 1 honest provers, so no honest outlier reached all of them
  in time: its 2t + 1 honest holders are on P, in every coordinate (but for 1/p, see ``sharing.consistency``). They
  trust their pieces and help the others, who believe 2t + 1 that agree; among those t + 1 are honest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P
from protocols.sessions.effects import Effect, Note, Remember, Transact
from protocols.sessions.params import Beacon, Bitmap, Phase
from protocols.sessions.prover_decode import name_liars
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sharing.consistency import Status, Verdict, check, combine_share, weights
from protocols.sharing.shamir import lagrange
from protocols.wire.messages import ShareOpening

LABEL = "consistency"
LEAST_BLOCKS = 3
"""Blocks that postings have to be mined, at least, where the phase is long enough."""
HEARING = 2
"""Blocks that published pieces have: until the vote, where the phase is long enough, and before silence counts."""


@dataclass
class Consistency:
    """verdicts: by data owner, where 2t + 1 openings count; None before we judge, then never changed.

    closed: we have voted. Pieces published after that, before U is fixed, still clear or convict their publisher.
    publishing: pieces go out in this step; what takes long is left to the next one.
    """

    desk: Desk
    uploads: UploadDesk[Any]
    verdicts: dict[int, Verdict] | None = None
    closed: bool = False
    publishing: bool = False
    _judged: int = 0  # block by which we judged; 0 if that was not in phase VALID
    _until: int = 0  # openings of later blocks do not count; 0 before they begin
    _ours: dict[int, int] = field(default_factory=dict)  # data owner -> what our piece combines to
    _good: set[int] = field(default_factory=set)  # data owners whose piece for us is on their polynomial
    _opened: dict[int, dict[int, int]] = field(default_factory=dict)  # data owner -> point -> value; what counts
    _published: dict[tuple[int, int], bool] = field(default_factory=dict)  # (data owner, point) -> opened what it holds

    # -- steps ------------------------------------------------------------------------------------------------------

    def progress(self) -> list[Effect]:
        """Open when the beacon is known, judge when everybody has opened or U is fixed (we are behind, then)."""
        view, effects = self.desk.view, list[Effect]()
        if view.phase == Phase.VALID and not self._until:
            effects += self._open()
        if self.desk.settling or len(view.openings) == self.desk.n:
            effects += self._judge(max((event.block for event in view.openings.values()), default=0))
        return effects

    def tick(self, block: int) -> list[Effect]:
        """Judge with what is there when the time for postings is over: every event of this block is known."""
        due = self.desk.view.phase == Phase.VALID and block >= self._until > 0
        return self._judge(block) if due else []

    def _weights(self, index: int) -> gl.Vector:
        view = self.desk.view
        label = self.desk.context.bind(LABEL, view.uploader(index))
        return weights(view.beacons[Beacon.QUERY], label, self.uploads.pieces.length - 1)

    def _open(self) -> list[Effect]:
        desk = self.desk
        owners = [k for k in desk.members(Bitmap.DELIVERED) if k in self.uploads.held]
        self._ours = {k: combine_share(self.uploads.held[k].share, self._weights(k)) for k in owners}
        values = gl.to_bytes(gl.vector(self._ours.values()))
        opening = Transact("postOpenings", (bitmap(owners), values), key="postOpenings")
        self._until = max(desk.share_of_window(1, 2), min(desk.view.phase_block + LEAST_BLOCKS, desk.cut() - HEARING))
        return [Remember("query-beacon", desk.view.beacons[Beacon.QUERY]), opening]

    def _judge(self, block: int) -> list[Effect]:
        """Once, at the end of this block. Outliers publish; where nothing fits nobody does."""
        desk = self.desk
        if self.verdicts is not None or not self._until:
            return []
        effects, delivered = self._read(), desk.members(Bitmap.DELIVERED)
        enough = [k for k in delivered if len(self._opened.get(k, {})) > 2 * desk.t]
        self.verdicts = {k: check(self._opened[k], desk.t) for k in enough}
        self._good = {k for k, value in self._ours.items() if self._expected(k) == value}
        counts = ("openings", self.spoken), ("owners", len(delivered)), ("judged", len(enough))
        effects.append(Note("consistency_judged", counts))
        if desk.view.phase != Phase.VALID:
            return effects
        self._judged = block
        for k in sorted(self.verdicts):
            if desk.point in self.verdicts[k].outliers and k in self._ours:
                self._published[k, desk.point] = self.publishing = True
                effects += desk.broadcast(self.uploads.held[k].opening(desk.identity.address, k))
        return effects

    def _read(self) -> list[Effect]:
        """Take what was posted in time. Who posted something that is no list of field elements posted nothing."""
        desk, unreadable = self.desk, set[int]()
        for seat, event in desk.view.openings.items():
            if event.block > self._until:
                continue
            try:
                opened = dict(zip(bits(event.present), gl.from_bytes(event.values).tolist(), strict=True))
            except ValueError:
                unreadable.add(seat + 1)
                continue
            for k, value in opened.items():
                self._opened.setdefault(k, {})[seat + 1] = value
        return name_liars(desk, unreadable, LABEL)

    def _expected(self, index: int) -> int | None:
        """What the polynomial of this data owner is at our point; None if there is none."""
        verdict, point = (self.verdicts or {}).get(index), self.desk.point
        if verdict is None or verdict.status == Status.INCONSISTENT:
            return None
        nodes = sorted(self.fitting(index) - {point})[: self.desk.t + 1]
        values = self._opened[index]
        return sum(c * values[x] for c, x in zip(lagrange(nodes, point), nodes, strict=True)) % P

    # -- published pieces -------------------------------------------------------------------------------------------

    def share_opening(self, message: ShareOpening) -> list[Effect]:
        """The committed piece of an outlier: did it open what it holds?"""
        desk, point, index = self.desk, self.desk.prover(message), message.index
        desk.not_before(Phase.VALID, message)
        if desk.view.phase > Phase.VALID:  # U is fixed, and who was silent is known
            return []
        if self.verdicts is None:  # we may know less than the sender; it tries again
            raise desk.refuse("too-early", message, "not judged yet")
        verdict = self.verdicts.get(index)
        if (index, point) in self._published or verdict is None or point not in verdict.outliers:
            return []
        share = self.uploads.pieces.published(message, point)
        self._published[index, point] = combine_share(share, self._weights(index)) == self._opened[index][point]
        return []

    # -- what follows -----------------------------------------------------------------------------------------------

    @property
    def spoken(self) -> int:
        """How many provers have posted their combinations."""
        return len(self.desk.view.openings)

    def fitting(self, index: int) -> set[int]:
        """Points whose opening is on the polynomial of this data owner.

        Any t + 1 honest ones fix a polynomial that all honest ones among them are on, in every coordinate.
        """
        verdict = (self.verdicts or {}).get(index)
        if verdict is None or verdict.status == Status.INCONSISTENT:
            return set()
        return self._opened[index].keys() - set(verdict.outliers)

    def trusted(self, index: int) -> bool:
        """Whether our piece of this data owner is on that polynomial: with another we would look like a liar."""
        return index in self._good

    @property
    def waiting(self) -> bool:
        """Whether an outlier has not spoken of whom that would change something."""
        verdicts = self.verdicts or {}
        return any((k, x) not in self._published for k, v in verdicts.items() for x in v.outliers if self.in_doubt(k))

    def in_doubt(self, index: int) -> bool:
        """Not yet shown to have dealt a piece that is off."""
        return not any(shown for (k, _), shown in self._published.items() if k == index)

    def contradicted(self) -> set[int]:
        """Outliers that published something else than what they opened."""
        return {x for (_, x), shown in self._published.items() if not shown}

    def silent(self) -> set[int]:
        """U is fixed: outliers that published nothing, if we have voted and had time to hear them.

        Who is silent while the data owner is shown to be a cheat may have been cheated, too. Who is shown right about
        one data owner may have been cheated by others; it has more to publish than one who lies.
        """
        if not self.closed or self.desk.view.phase_block < self._judged + HEARING:
            return set()
        doubtful = {(k, x) for k, v in (self.verdicts or {}).items() for x in v.outliers if self.in_doubt(k)}
        right = {x for (_, x), shown in self._published.items() if shown}
        return {x for k, x in doubtful if (k, x) not in self._published} - right
