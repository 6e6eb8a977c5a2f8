"""Certificate zk: are our pieces what their owners committed to? If not they are published, and everybody judges.

Everybody can compute the commitment of every share, so a prover checks its own pieces alone, all at once. What does not
fit it publishes at once, whatever others say. The committed piece, and it does not fit: the data owner lied. Not the
committed one, or one that fits: the prover did (PROOFS, section 5). Besides, it says in one message which pieces are
bad; none is an answer, too. When all have spoken and what they name is published, nobody waits any longer. Who is
silent, or names and does not publish, is waited for until half of the phase. More than t that name a data owner put it
out without a piece: one of them is honest.

Why that is enough (n >= 4t + 1, at most t provers lie; "delivered" as in ``prover_consistency``: 2t + 1 honest provers
hold a committed piece; what honest ones say when the phase begins arrives before half of it is over).

- Nothing honest gets out. Pieces of an honest data owner fit, so no honest prover publishes one; only liars name it, t
  at most, and what they publish convicts them.
- A data owner of U can be served. It has the votes of 2t + 1 honest provers, so no honest one published a piece of it:
  that would have reached all of them. So all its honest holders, 2t + 1 or more, have shares that fit.
- Words to some and not to others change votes, no more. A liar can show a bad piece of its own, or complain, to some
  honest provers only. They vote against that data owner; if n - t others, liars too, vote for it, it is in U, and what
  was just said holds. Who voted against it has a good piece as well, and opens and helps with it.
- Where so much is bad that finding it takes several blocks, the rest is published when it is found, for some too late.
  With more than 2^17 rows time may not suffice, and good ones are left out beside many bad ones. Who has not checked a
  piece votes against it. Votes of n - t leave out t holders at most: t + 1 honest ones have shares that fit, as many
  as it takes to rebuild the others'.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.sessions.effects import Blame, Effect, Note
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_consistency import HEARING, LEAST_BLOCKS
from protocols.sessions.prover_decode import name_liars
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.zk_pieces import ZkPiece, ZkPieces
from protocols.sessions.zk_records import Records
from protocols.wire.messages import PieceComplaint, ShareOpening
from protocols.zk.share_check import Search

LABEL = "complaint"
WORK, LEAST = 1 << 21, 4
"""Rows that one step commits to, some 8 s, and the fewest multi-scalar multiplications: where many pieces are bad,
finding them must not keep us from what others say, nor from our vote. K pieces take K multiplications at most, so that
up to 2^17 rows five steps judge 64 of them, however many are bad: a phase of eight blocks.
"""


@dataclass
class Complaints:
    """bad: data owners whose piece for us does not fit; None before we looked, then never changed.

    convicted: data owners of whom a committed piece is known that does not fit.  settled: nothing is waited for.
    """

    desk: Desk
    uploads: UploadDesk[ZkPiece]
    pieces: ZkPieces
    records: Records
    bad: set[int] | None = None
    convicted: set[int] = field(default_factory=set)
    settled: bool = False
    _held: list[int] = field(default_factory=list)  # of whom we look at pieces, in the order of the search
    _search: Search | None = None
    _good: set[int] = field(default_factory=set)
    _until: int = 0  # block at whose tick waiting ends
    _spoken: dict[int, int] = field(default_factory=dict)  # point -> data owners that it complains of
    _heard: set[tuple[int, int]] = field(default_factory=set)  # (data owner, point) whose piece is published

    def progress(self) -> list[Effect]:
        """Look at our pieces, once, as soon as it is fixed who delivered. Done when all have spoken."""
        if self.desk.view.phase != Phase.VALID:
            return []
        effects = self._begin() if self.bad is None else []
        return effects + ([] if self.settled or self._outstanding else self._settle())

    def tick(self, block: int) -> list[Effect]:
        """Check on, where much is bad, but not in the block of our vote; and wait no longer when it is time."""
        if self.desk.view.phase != Phase.VALID or self.bad is None:
            return []
        effects: list[Effect] = []
        if self._checking and block < self.desk.cut() - 1:
            effects += [Note("checking_pieces", (("bad", len(self.bad)),)), *self._look()]
        if not self.settled and block >= self._until:
            effects += self._speak() + self._settle()
        return effects

    def trusted(self, index: int) -> bool:
        """Whether our piece is here and fits."""
        return index in self._good

    def unchecked(self, index: int) -> bool:
        """Whether our piece is here, and it is not known yet whether it fits."""
        return index in self._held and index not in self._good and index not in (self.bad or ())

    def out(self, index: int) -> bool:
        """Whether this data owner dealt pieces that do not fit: it is shown, or more than t provers say so."""
        complaining = sum(bad >> index & 1 for bad in self._spoken.values())
        return index in self.convicted or complaining > self.desk.t

    @property
    def waiting(self) -> bool:
        """Whether a vote may still change by what others say soon, or by what we find."""
        return not self.settled or self._checking

    @property
    def _checking(self) -> bool:
        return self._search is not None and not self._search.done

    @property
    def _outstanding(self) -> bool:
        """Whether somebody has not spoken, or has named a data owner and not shown what it got."""
        if len(self._spoken) < self.desk.n:
            return True
        said = {(k, x) for x, bad in self._spoken.items() if x not in self.desk.faulty for k in bits(bad)}
        return any(not self.out(k) for k, _ in said - self._heard)

    def _settle(self) -> list[Effect]:
        self.settled = True
        said = {k for bad in self._spoken.values() for k in bits(bad)}
        return [Note("complaints_settled", (("spoken", len(self._spoken)), ("about", len(said))))]

    # -- our own pieces ---------------------------------------------------------------------------------------------

    def _begin(self) -> list[Effect]:
        """All at once, by a factor for each that no data owner can foresee."""
        desk, pieces = self.desk, self.pieces
        held = self._held = self._candidates()
        dealings = [self.uploads.held[k].public.dealing for k in held]
        seed = desk.random("zk-shares", *(desk.view.upload_roots[k] for k in held))
        self._search = Search(pieces.key, desk.point, lambda i: self.uploads.held[held[i]].share, dealings, seed)
        self._until = max(desk.share_of_window(1, 2), min(desk.view.phase_block + LEAST_BLOCKS, desk.cut() - HEARING))
        self.bad = set()
        return self._look()

    def _candidates(self) -> list[int]:
        """Pieces that are here, but for those of whom it is known that their record proves nothing."""
        delivered = self.desk.members(Bitmap.DELIVERED)
        return [k for k in delivered if k in self.uploads.held and not self.records.refused(k)]

    def _look(self) -> list[Effect]:
        """What does not fit is published in this step: what others say of it may have been said to us alone."""
        desk, search, known = self.desk, self._search, self.bad or set()
        assert search is not None
        search.advance(max(LEAST, WORK // self.pieces.key.params.size))
        self._good = {self._held[i] for i in search.good}
        self.bad = {self._held[i] for i in search.bad}
        effects = self._speak() if search.done else []
        for k in sorted(self.bad - known):
            self._heard.add((k, desk.point))
            effects += desk.broadcast(self.uploads.held[k].opening(desk.identity.address, k)) + self._convict(k)
        return effects

    def _speak(self) -> list[Effect]:
        """Say which are bad, once: when all are checked, or time for waiting is over."""
        desk, bad = self.desk, self.bad or set()
        if desk.point in self._spoken:
            return []
        self._spoken[desk.point] = bitmap(bad)
        note = Note("pieces_checked", (("held", len(self._held)), ("bad", len(bad))))
        return [note, *desk.broadcast(PieceComplaint(desk.identity.address, bitmap(bad)))]

    # -- what others say --------------------------------------------------------------------------------------------

    def receive(self, message: PieceComplaint) -> list[Effect]:
        """What another prover found."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.VALID, message)
        if message.bad & ~desk.view.sets.get(Bitmap.DELIVERED, 0):
            raise desk.refuse("not-in-set", message, "complains of data owners that did not deliver")
        if desk.view.phase > Phase.VALID:
            return []
        if self._spoken.setdefault(point, message.bad) != message.bad:
            raise desk.refuse("opened-twice", message, "another complaint came before")
        return []

    def share_opening(self, message: ShareOpening) -> list[Effect]:
        """A piece that does not fit, says another prover. Judging costs time: who has lied once is not heard again, and
        of a data owner that is convicted nothing more is.
        """
        desk, point, index = self.desk, self.desk.prover(message), message.index
        desk.not_before(Phase.VALID, message)
        if not desk.view.in_set(Bitmap.DELIVERED, index):
            raise desk.refuse("not-in-set", message, f"data owner {index} did not deliver")
        known = (index, point) in self._heard or index in self.convicted
        if desk.view.phase > Phase.VALID or known or point in desk.faulty:
            return []
        if message.root != desk.view.upload_roots[index]:
            raise desk.refuse("wrong-root", message, "not the root on chain")
        self._heard.add((index, point))
        if self.pieces.convicts(message, point):
            return self._convict(index)
        return name_liars(desk, {point}, LABEL)

    def _convict(self, index: int) -> list[Effect]:
        if index in self.convicted:
            return []
        self.convicted.add(index)
        return [
            Blame(self.desk.view.uploader(index), "inconsistent-sharing"), Note("share_off", (("data_owner", index),)),
        ]  # fmt: skip
