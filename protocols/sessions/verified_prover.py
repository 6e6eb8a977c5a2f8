"""The prover's side of a verified session: one class, made of small parts, most of them those of mode grouped."""

from __future__ import annotations

from typing import Any

from protocols.sessions.effects import Effect
from protocols.sessions.identity import Identity
from protocols.sessions.params import REFERENCE
from protocols.sessions.prover_attest import Attestations
from protocols.sessions.prover_batch import BatchDesk
from protocols.sessions.prover_consistency import Consistency
from protocols.sessions.prover_desk import bits
from protocols.sessions.prover_machine import CommitteeMachine
from protocols.sessions.prover_output import OutputDesk
from protocols.sessions.prover_proofs import Proofs
from protocols.sessions.prover_proved import ProvedPiece, ProvedPieces
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.prover_scores import Scores
from protocols.sessions.prover_selection import Selection
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.prover_vote import Vote
from protocols.sessions.shelf import MemoryShelf, Shelf
from protocols.sharing.consistency import Status
from protocols.wire import messages as msg
from protocols.wire.context import Context


class VerifiedProverMachine(CommitteeMachine):
    """One prover in one verified session; see ``prover_machine``.

    shelf: where share vectors lie, of this session alone; memory if none is given. It is only a cache: a fresh machine
    that is replayed puts everything again.
    """

    _consistency: Consistency
    _batch: BatchDesk

    def __init__(self, context: Context, identity: Identity, seed: bytes, shelf: Shelf | None = None) -> None:
        super().__init__(context, identity, seed)
        desk, shelf = self._desk, MemoryShelf() if shelf is None else shelf
        pieces = ProvedPieces(desk, shelf)
        self._uploads: UploadDesk[ProvedPiece] = UploadDesk(desk, pieces)
        self._consistency = Consistency(desk, self._uploads)
        self._proofs = Proofs(desk, self._uploads, pieces, self._consistency)
        self._vote = Vote(desk, self._consistency, self._proofs)
        self._rebuild = Rebuild(desk, self._uploads, self._consistency, self._setup, shelf)
        self._scores = Scores(desk, pieces, self._rebuild, self._setup, shelf)
        self._selection = Selection(desk, pieces, self._rebuild, self._scores)
        self._batch = BatchDesk(desk, self._selection)
        self._attestations = Attestations(desk)
        self._output = OutputDesk(desk, self._selection)
        self._openings = {"proofs": self._proofs.receive, "products": self._scores.receive}
        self._parts = (
            self._uploads, self._consistency, self._proofs, self._vote, self._scores, self._batch,
            self._attestations,
        )  # fmt: skip

    def _standing(self) -> dict[str, Any]:
        outcome, known, verdicts = self._proofs.outcome, self._batch.known, self._consistency.verdicts or {}
        shown = {k for k in verdicts if not self._consistency.in_doubt(k)}
        return {
            "opened": [self._consistency.spoken, self._proofs.spoken, self._scores.spoken],
            "inconsistent": sorted(shown | {k for k, v in verdicts.items() if v.status == Status.INCONSISTENT}),
            "proved": sorted(k for k, good in outcome.items() if good),
            "refused": sorted(k for k, good in outcome.items() if not good),
            "products": {str(k): phi for (k, ref), phi in self._scores.values.items() if ref == REFERENCE},
            "accepted": bits(known[1]) if known is not None else [],
        }

    def _handle_own(self, message: msg.Message) -> list[Effect]:
        if isinstance(message, msg.Announcement):
            return []  # gossip reaches everybody; nobody's keys are needed here
        return super()._handle_own(message)

    def _steps(self) -> list[Effect]:
        effects = self._uploads.progress() + self._consistency.progress() + self._proofs.progress()
        effects += self._vote.progress() + self._rebuild.progress() + self._scores.progress()
        return effects + self._batch.progress() + self._attestations.progress()
