"""Certificate zk: the public part of every delivered update, and whether its record proves what it must.

The chain has the digest of a record only. Who got no upload of a data owner asks the others for what is public of it:
records are the same for everybody, and so is the verdict about them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from protocols.sessions.effects import Blame, Effect, Note, Reply
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_rebuild import ANSWERS
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.zk_pieces import Public, ZkPiece, ZkPieces
from protocols.wire.messages import PublicPart, PublicRequest
from protocols.zk.errors import Refused
from protocols.zk.range_check import Search, challenges
from protocols.zk.statement import Seen

PATIENCE = 3
"""Blocks of phase DELIVERED after which a prover has nothing better to do than to judge a record, each time."""
AT_ONCE = 16
"""Pairings in one step, a third of a second each. What is good takes one in all, 64 records take 80 at most, however
many are bad: five steps, a phase of eight blocks. Bad ones must not keep good ones out by taking the time to judge.
"""


@dataclass
class Records:
    """verdicts: by uploader, None for a record that proves its claims; final once it is there."""

    desk: Desk
    uploads: UploadDesk[ZkPiece]
    pieces: ZkPieces
    verdicts: dict[int, Refused | None] = field(default_factory=dict)
    _fetched: dict[int, Public] = field(default_factory=dict)
    _seen: dict[int, Seen] = field(default_factory=dict)
    _searches: list[tuple[list[int], Search]] = field(default_factory=list)  # those judged together, some of them bad
    _asked: set[int] = field(default_factory=set)
    _answered: Counter[tuple[int, int]] = field(default_factory=Counter)  # (point, index)

    def public(self, index: int) -> Public | None:
        """What is public of a delivered update; None while we have not got it."""
        piece = self.uploads.held.get(index)
        return piece.public if piece is not None else self._fetched.get(index)

    def known(self, index: int) -> Public:
        """The same where it is there (KeyError)."""
        piece = self.uploads.held.get(index)
        return piece.public if piece is not None else self._fetched[index]

    def passes(self, index: int) -> bool:
        """Whether its record is here and proves its claims."""
        return index in self.verdicts and self.verdicts[index] is None

    def refused(self, index: int) -> bool:
        """Whether its record is here and proves nothing."""
        return self.verdicts.get(index) is not None

    def seen(self, index: int) -> Seen:
        """Its record as the statement's transcript has it."""
        if index not in self._seen:
            record = self.known(index).record
            self._seen[index] = Seen(record.address, challenges(self.pieces.key, self.pieces.sess, record).t3)
        return self._seen[index]

    @property
    def waiting(self) -> bool:
        """Whether a record is not judged yet."""
        return any(k not in self.verdicts for k in self._delivered())

    def progress(self) -> list[Effect]:
        """The set of delivered updates is fixed: judge what is here, ask for what is not."""
        desk, effects = self.desk, list[Effect]()
        if desk.view.phase != Phase.VALID and not desk.settling:
            return effects
        missing = [k for k in self._delivered() if self.public(k) is None and k not in self._asked]
        self._asked |= set(missing)
        for k in missing:
            effects += desk.broadcast(PublicRequest(desk.identity.address, k))
        if desk.settling:
            return effects  # who has voted only needs what is public
        searched = {k for indices, _ in self._searches for k in indices}
        new = [k for k in self._delivered() if k not in self.verdicts and k not in searched and self.public(k)]
        return effects + self._judge(new)

    def tick(self, block: int) -> list[Effect]:
        """Somebody is late with its upload: judge meanwhile what is here, one record at a time and seldom, so that
        blocks are read as they come: the vote on what was delivered must not wait. Among others, in ``progress``, it
        is the bad ones that take time.
        """
        view = self.desk.view
        if block >= self.desk.cut() - 1:
            return []  # the vote goes out
        if view.phase == Phase.VALID and self._searches:
            return [Note("judging", (("groups", len(self._searches)),)), *self._advance()]
        waited = block - view.phase_block
        if view.phase != Phase.DELIVERED or not waited or waited % PATIENCE or block >= self.desk.cut() - PATIENCE:
            return []
        here = [k for k in sorted(view.upload_roots) if k in self.uploads.held and k not in self.verdicts]
        return [Note("judging_early", (("records", len(here)),)), *self._judge(here[:1])] if here else []

    def request(self, message: PublicRequest) -> list[Effect]:
        """Another prover got no upload."""
        desk, point, index = self.desk, self.desk.prover(message), message.index
        desk.not_before(Phase.VALID, message)
        if not desk.view.in_set(Bitmap.DELIVERED, index):
            raise desk.refuse("not-in-set", message, f"data owner {index} did not deliver")
        found = self.public(index)
        if found is None:
            raise desk.refuse("not-ready", message, "not here")
        if self._answered[point, index] >= ANSWERS:
            raise desk.refuse("too-many", message, f"asked for data owner {index} {ANSWERS} times")
        self._answered[point, index] += 1
        return [Reply(PublicPart(desk.identity.address, index, found.data))]

    def receive(self, message: PublicPart) -> list[Effect]:
        """What we asked for; the chain's digest says whether it is true."""
        desk, index = self.desk, message.index
        desk.prover(message)
        if index not in self._asked:
            raise desk.refuse("unasked", message, f"data owner {index}")
        if self.public(index) is None:
            try:
                self._fetched[index] = self.pieces.public(index, message.public)
            except ValueError as error:
                raise desk.refuse("bad-relay", message, str(error)) from None
        return []

    def _delivered(self) -> list[int]:
        return self.desk.members(Bitmap.DELIVERED)

    def _judge(self, indices: list[int]) -> list[Effect]:
        """Many at once: one pairing if all are right. Whoever made them cannot know our random factors."""
        if not indices:
            return []
        desk, pieces = self.desk, self.pieces
        records = [self.known(k).record for k in indices]
        seed = desk.random("zk-records", *(desk.view.upload_roots[k] for k in indices))
        search = Search(pieces.key, pieces.sess, records, seed, pieces.bound_squared)
        self._searches.append((indices, search))
        return self._advance()

    def _advance(self) -> list[Effect]:
        """Look on in what was found to hold bad records, the newest first: it is mostly a single one."""
        desk, effects = self.desk, list[Effect]()
        indices, search = self._searches[-1]
        search.advance(AT_ONCE)
        for place, verdict in sorted(search.verdicts.items()):
            k = indices[place]
            if k in self.verdicts:
                continue
            self.verdicts[k] = verdict
            if verdict is not None:
                effects.append(Blame(desk.view.uploader(k), "proof-failed", str(verdict.check)))
                effects.append(Note("proof_failed", (("data_owner", k), ("check", str(verdict.check)))))
        if search.done:
            self._searches.pop()
        return effects
