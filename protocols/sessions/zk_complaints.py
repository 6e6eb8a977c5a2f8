"""Certificate zk: are our pieces what their owners committed to? If not: complaints, published pieces, verdicts.

Everybody can compute the commitment of every share, so a prover checks its own pieces alone, all at once, and says
which do not fit, without showing them. When all have spoken, or half of the phase is over: if more than t complain of
one data owner it is out and nothing is published, since one of them is honest. Otherwise who complained publishes, and
everybody judges: not the committed piece, or one that fits, and the prover lied; the committed piece and it does not
fit, and the data owner did (PROOFS, section 5).

Nothing honest gets out: of an honest data owner only liars complain, t at most, and what they publish convicts them. No
honest prover publishes a piece that fits. A data owner of U can be served: it has the votes of 2t + 1 honest provers,
whom no upheld complaint of an honest one had reached, so its 2t + 1 honest holders have shares that fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.errors import RemoteProtocolError
from protocols.sessions.effects import Blame, Effect, Note
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_consistency import HEARING, LEAST_BLOCKS
from protocols.sessions.prover_decode import name_liars
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.zk_pieces import ZkPiece, ZkPieces
from protocols.sessions.zk_records import Records
from protocols.wire.messages import PieceComplaint, ShareOpening
from protocols.zk.share_check import check_shares, check_sum

LABEL = "complaint"


@dataclass
class Complaints:
    """bad: data owners whose piece for us does not fit; None before we looked, then never changed.

    convicted: data owners of whom a committed piece is known that does not fit.  settled: time for complaints is over.
    """

    desk: Desk
    uploads: UploadDesk[ZkPiece]
    pieces: ZkPieces
    records: Records
    bad: set[int] | None = None
    convicted: set[int] = field(default_factory=set)
    settled: bool = False
    _good: set[int] = field(default_factory=set)
    _until: int = 0  # block at whose tick complaints are settled
    _spoken: dict[int, int] = field(default_factory=dict)  # point -> data owners that it complains of, in time
    _heard: set[tuple[int, int]] = field(default_factory=set)  # (data owner, point) whose piece is published

    def progress(self) -> list[Effect]:
        """Look at our pieces, once, as soon as it is fixed who delivered. Publish when all have spoken."""
        if self.desk.view.phase != Phase.VALID:
            return []
        effects = self._check() if self.bad is None else []
        return effects + (self._settle() if len(self._spoken) == self.desk.n and not self.settled else [])

    def tick(self, block: int) -> list[Effect]:
        """Publish what we complained of, when every complaint in time is known."""
        due = self.desk.view.phase == Phase.VALID and not self.settled and self.bad is not None
        return self._settle() if due and block >= self._until else []

    def trusted(self, index: int) -> bool:
        """Whether our piece is here and fits."""
        return index in self._good

    def out(self, index: int) -> bool:
        """Whether this data owner dealt pieces that do not fit: it is shown, or more than t provers say so."""
        return index in self.convicted or len(self._complainants(index)) > self.desk.t

    @property
    def waiting(self) -> bool:
        """Whether complaints may still come, or one has come that says nothing of who lied."""
        if not self.settled:
            return True
        said = {(k, x) for x, bad in self._spoken.items() if x not in self.desk.faulty for k in bits(bad)}
        return any(not self.out(k) for k, _ in said - self._heard)

    def _complainants(self, index: int) -> set[int]:
        return {x for x, bad in self._spoken.items() if bad >> index & 1}

    # -- our own pieces ---------------------------------------------------------------------------------------------

    def _check(self) -> list[Effect]:
        """All at once, by a factor for each that no data owner can foresee."""
        desk, pieces = self.desk, self.pieces
        held = [k for k in desk.members(Bitmap.DELIVERED) if k in self.uploads.held and self.records.passes(k)]
        dealings = [self.uploads.held[k].public.dealing for k in held]
        seed = desk.random("zk-shares", *(desk.view.upload_roots[k] for k in held))
        wrong = check_shares(pieces.key, desk.point, lambda i: self.uploads.held[held[i]].share, dealings, seed)
        self.bad = {held[i] for i in wrong}
        self._good = set(held) - self.bad
        self._until = max(desk.share_of_window(1, 2), min(desk.view.phase_block + LEAST_BLOCKS, desk.cut() - HEARING))
        effects: list[Effect] = [Note("pieces_checked", (("held", len(held)), ("bad", len(self.bad))))]
        self._spoken[desk.point] = bitmap(self.bad)
        return effects + desk.broadcast(PieceComplaint(desk.identity.address, bitmap(self.bad)))

    def _settle(self) -> list[Effect]:
        desk, self.settled = self.desk, True
        said = {k for bad in self._spoken.values() for k in bits(bad)}
        effects: list[Effect] = [Note("complaints_settled", (("spoken", len(self._spoken)), ("about", len(said))))]
        for k in sorted(self.bad or ()):
            if len(self._complainants(k)) <= desk.t:
                effects += desk.broadcast(self.uploads.held[k].opening(desk.identity.address, k))
                effects += self._convict(k)
            self._heard.add((k, desk.point))
        return effects

    # -- what others say --------------------------------------------------------------------------------------------

    def receive(self, message: PieceComplaint) -> list[Effect]:
        """What another prover found. It counts until complaints are settled."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.VALID, message)
        if message.bad & ~desk.view.sets.get(Bitmap.DELIVERED, 0):
            raise desk.refuse("not-in-set", message, "complains of data owners that did not deliver")
        if desk.view.phase > Phase.VALID or (self.settled and point not in self._spoken):
            return []
        if self._spoken.setdefault(point, message.bad) != message.bad:
            raise desk.refuse("opened-twice", message, "another complaint came before")
        return []

    def share_opening(self, message: ShareOpening) -> list[Effect]:
        """The piece that another prover complains of. Who has lied once is not heard again: judging costs time."""
        desk, point, index = self.desk, self.desk.prover(message), message.index
        desk.not_before(Phase.VALID, message)
        if not desk.view.in_set(Bitmap.DELIVERED, index):
            raise desk.refuse("not-in-set", message, f"data owner {index} did not deliver")
        if desk.view.phase > Phase.VALID or (index, point) in self._heard or point in desk.faulty:
            return []
        if message.root != desk.view.upload_roots[index]:
            raise desk.refuse("wrong-root", message, "not the root on chain")
        self._heard.add((index, point))
        if self._fits(message, point):
            return name_liars(desk, {point}, LABEL)
        return self._convict(index)

    def _fits(self, message: ShareOpening, point: int) -> bool:
        """Whether it is not the committed piece, or one that was rightly dealt."""
        try:
            share = self.pieces.published(message, point)
        except RemoteProtocolError:
            return True
        dealing = self.pieces.public(message.index, message.public).dealing
        return check_sum(self.pieces.key, point, share, [dealing])

    def _convict(self, index: int) -> list[Effect]:
        if index in self.convicted:
            return []
        self.convicted.add(index)
        return [
            Blame(self.desk.view.uploader(index), "inconsistent-sharing"), Note("share_off", (("data_owner", index),)),
        ]  # fmt: skip
