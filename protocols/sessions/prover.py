"""The prover's side of a grouped session: one class, made of small parts, each with one concept."""

from __future__ import annotations

from typing import Any

from protocols.sessions.effects import Effect
from protocols.sessions.identity import Identity
from protocols.sessions.prover_attest import Attestations
from protocols.sessions.prover_batch import BatchDesk
from protocols.sessions.prover_bundles import BundleDesk
from protocols.sessions.prover_consistency import Consistency
from protocols.sessions.prover_groups import GroupJudge
from protocols.sessions.prover_machine import CommitteeMachine
from protocols.sessions.prover_masked import MaskedPieces
from protocols.sessions.prover_output import OutputDesk
from protocols.sessions.prover_products import Products
from protocols.sessions.prover_projections import Projections
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.prover_sums import GroupSums
from protocols.sessions.prover_unmask import UnmaskDesk
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.prover_vote import Vote
from protocols.wire import messages as msg
from protocols.wire.context import Context


class ProverMachine(CommitteeMachine):
    """One prover in one grouped session; see ``prover_machine``."""

    def __init__(self, context: Context, identity: Identity, seed: bytes) -> None:
        super().__init__(context, identity, seed)
        desk = self._desk
        self._bundles = BundleDesk(desk)
        self._uploads = UploadDesk(desk, MaskedPieces(desk, self._bundles))
        self._consistency = Consistency(desk, self._uploads)
        self._vote = Vote(desk, self._consistency)
        self._rebuild = Rebuild(desk, self._uploads, self._consistency, self._setup)
        self._unmask = UnmaskDesk(desk, self._bundles)
        self._sums = GroupSums(desk, self._bundles, self._unmask, self._rebuild)
        self._projections = Projections(desk, self._sums)
        self._products = Products(desk, self._sums, self._projections, self._setup)
        judge = GroupJudge(desk, self._sums, self._projections, self._products)
        self._batch = BatchDesk(desk, judge)
        self._attestations = Attestations(desk, self._unmask.silent)
        self._output = OutputDesk(desk, judge)
        self._openings = {"projections": self._projections.receive, "gram": self._products.receive}
        self._parts = (
            self._bundles, self._uploads, self._consistency, self._vote, self._unmask, self._projections,
            self._products, self._batch, self._attestations,
        )  # fmt: skip

    def _standing(self) -> dict[str, Any]:
        return {
            "keys": sorted(self._bundles.keys),
            "heard": sorted(self._desk.heard),
            "sums": sorted(self._sums.sums),
            "failed": sorted(r for r, passed in self._projections.outcome.items() if not passed),
            "passed": self._products.passed() if self._products.done else [],
        }

    def _handle_own(self, message: msg.Message) -> list[Effect]:
        match message:
            case msg.Announcement():
                return self._bundles.announcement(message)
            case msg.BundleSet():
                return self._bundles.bundle_set(message)
            case msg.BundleRequest():
                return self._bundles.request(message)
            case msg.Complaint():
                return self._bundles.complaint(message)
            case msg.BundleOpening():
                return self._bundles.opening(message)
            case msg.Unmask():
                return self._unmask.receive(message)
            case msg.UnmaskRequest():
                return self._unmask.request(message)
            case msg.UnmaskRelay():
                return self._unmask.relay(message)
            case _:
                return super()._handle_own(message)

    def _steps(self) -> list[Effect]:
        effects = self._uploads.progress() + self._consistency.progress() + self._vote.progress()
        effects += self._rebuild.progress() + self._unmask.progress()
        self._sums.update()
        effects += self._projections.progress() + self._products.progress() + self._batch.progress()
        return effects + self._attestations.progress()
