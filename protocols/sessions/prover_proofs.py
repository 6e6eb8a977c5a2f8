"""Mode verified: the proofs of those that are consistent, checked together. Each prover sees shares only.

A prover opens its share of the verifier message of each data owner whose pieces are consistent. Shares count from
provers only that are on the polynomial of the consistency check (``Consistency.fitting``).

What t liars can do. All honest holders of an honest data owner's piece, 2t + 1 at least, fit and open the truth, so
2t + 1 agree at every coordinate: with t + 1 honest ones among them nothing that comes later changes the message, and
the liars are named, whether they speak first, last or not at all. What cannot be decoded by the cut is therefore no
honest data owner's, as long as honest openings arrive; it gets no bit (an update that is not shown to be proved must
not be summed) and no blame. Nobody honest is ever named: honest provers that fit are on one polynomial in every
coordinate, so are their verifier messages, and t + 1 of them decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.proof import Querier, decide
from protocols.pine.transcript import query_rand
from protocols.sessions.effects import Blame, Effect, Note
from protocols.sessions.params import Beacon, Bitmap, Phase
from protocols.sessions.prover_consistency import Consistency
from protocols.sessions.prover_decode import name_liars, read_values, settled
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_proved import ProvedPiece, ProvedPieces
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sharing.consistency import Status
from protocols.wire.messages import Opening

LABEL = "proofs"


@dataclass
class Proofs:
    """outcome: index -> accepted, or refused; final once it is there."""

    desk: Desk
    uploads: UploadDesk[ProvedPiece]
    pieces: ProvedPieces
    consistency: Consistency
    outcome: dict[int, bool] = field(default_factory=dict)
    _opened: dict[int, dict[int, Vector]] = field(default_factory=dict)  # point -> index -> verifier message share
    _seen: int = 0  # openings when we last decoded

    def receive(self, message: Opening) -> list[Effect]:
        """Another prover's shares. Its first word counts; late ones only tell whether it lies."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.VALID, message)
        if message.present & ~desk.view.sets[Bitmap.DELIVERED]:
            raise desk.refuse("wrong-set", message, "proofs of data owners that did not deliver")
        owners = bits(message.present)
        length = self.pieces.params.verifier_length if owners else 0
        values = read_values(desk, message, len(owners) * length)
        opened = {k: values[i * length : (i + 1) * length] for i, k in enumerate(owners)}
        known = self._opened.setdefault(point, opened)
        if known.keys() != opened.keys() or any((known[k] != opened[k]).any() for k in opened):
            raise desk.refuse("opened-twice", message, "another opening came before")
        return []

    def progress(self) -> list[Effect]:
        """Once consistency is judged: open ours, decode what has come, name who lied."""
        desk, effects = self.desk, list[Effect]()
        if self.consistency.verdicts is None or desk.view.phase < Phase.VALID:
            return effects
        if self.consistency.publishing:  # pieces leave first: verifier messages may take longer than a block
            self.consistency.publishing = False
        else:
            effects += self._open()
        if len(self._opened) != self._seen:
            self._seen = len(self._opened)
            effects += self._decode()
        return effects

    def tick(self, block: int) -> list[Effect]:
        """Open ours, if nothing has come since we published pieces."""
        return [] if self.consistency.verdicts is None or self.consistency.publishing else self._open()

    @property
    def spoken(self) -> int:
        """How many provers have opened their shares of verifier messages."""
        return len(self._opened)

    @property
    def waiting(self) -> bool:
        """Whether a proof is neither accepted nor refused yet."""
        return any(k not in self.outcome for k in self._wanted())

    def refused(self, index: int) -> bool:
        """Whether this proof failed, or could not be decoded by now."""
        return not self.outcome.get(index, False)

    def _wanted(self) -> list[int]:
        verdicts = self.consistency.verdicts or {}
        fine = [k for k, verdict in verdicts.items() if verdict.status != Status.INCONSISTENT]
        return [k for k in fine if self.consistency.in_doubt(k)]

    def _open(self) -> list[Effect]:
        """Once, before we vote. One data owner after the other: only verifier messages stay in memory."""
        desk = self.desk
        if desk.point in self._opened or desk.view.phase != Phase.VALID or self.consistency.closed:
            return []
        mine = [k for k in self._wanted() if self.consistency.trusted(k)]
        opened = self._shares(mine) if mine else {}  # where the bound cannot be proved there is no querier
        self._opened[desk.point] = opened
        values = b"".join(gl.to_bytes(share) for share in opened.values())
        return desk.broadcast(Opening(desk.identity.address, LABEL, bitmap(mine), values))

    def _shares(self, mine: list[int]) -> dict[int, Vector]:
        params, view = self.pieces.params, self.desk.view
        querier = Querier(params, query_rand(params, self.desk.context, view.beacons[Beacon.QUERY]))
        return {k: self._share(querier, self.uploads.held[k]) for k in mine}

    def _share(self, querier: Querier, piece: ProvedPiece) -> Vector:
        share, layout = piece.share, self.pieces.layout
        proof = share[layout.proof]
        return querier.verifier(share[layout.x], share[layout.bits], piece.results, proof, piece.joint_rand)

    def _decode(self) -> list[Effect]:
        desk, effects, wrong = self.desk, list[Effect](), set[int]()
        for k in self._wanted():
            fitting = self.consistency.fitting(k)
            shares = {x: opened[k] for x, opened in self._opened.items() if k in opened and x in fitting}
            decoded = settled(shares, desk.t, 2 * desk.t + 1)
            if decoded is None:
                continue
            wrong |= set(decoded.error_points)
            if k not in self.outcome:
                self.outcome[k] = decide(self.pieces.params, decoded.values)
                effects += self._said(k)
        return effects + name_liars(desk, wrong, LABEL)

    def _said(self, index: int) -> list[Effect]:
        if self.outcome[index]:
            return []
        address = self.desk.view.uploader(index)
        return [Blame(address, "proof-failed"), Note("proof_failed", (("data_owner", index),))]
