"""The prover's side of a grouped session: one class, made of small parts, each with one concept.

Chain events, messages and blocks go in, effects come out. All randomness is derived from the seed by label, a step that
raises changes nothing, and a tick without effects changes nothing: so a fresh machine that is fed the journaled inputs
gives the same effects again, byte for byte.
"""

from __future__ import annotations

from typing import Any

from protocols.errors import RemoteProtocolError
from protocols.sessions import events as ev
from protocols.sessions.effects import Effect
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap
from protocols.sessions.prover_attest import Attestations
from protocols.sessions.prover_batch import BatchDesk
from protocols.sessions.prover_bundles import BundleDesk
from protocols.sessions.prover_clock import Clock
from protocols.sessions.prover_consistency import Consistency
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_output import OutputDesk
from protocols.sessions.prover_products import Products
from protocols.sessions.prover_projections import Projections
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.prover_sums import GroupSums
from protocols.sessions.prover_unmask import UnmaskDesk
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.setup import SeedSetup
from protocols.sessions.view import SessionView
from protocols.wire import messages as msg
from protocols.wire.context import Context


class ProverMachine:
    """One prover in one session. Before the draw, or if it is not drawn, it only pokes.

    seed: 32 secret bytes of this session, journaled before use.
    """

    def __init__(self, context: Context, identity: Identity, seed: bytes) -> None:
        desk = self._desk = Desk(context, identity, seed)
        self._clock = Clock(desk)
        self._setup = SeedSetup(desk)
        self._bundles = BundleDesk(desk)
        self._uploads = UploadDesk(desk, self._bundles)
        self._consistency = Consistency(desk, self._uploads)
        self._rebuild = Rebuild(desk, self._uploads, self._consistency, self._setup)
        self._unmask = UnmaskDesk(desk, self._bundles)
        self._sums = GroupSums(desk, self._bundles, self._unmask, self._rebuild)
        self._projections = Projections(desk, self._sums)
        self._products = Products(desk, self._sums, self._projections, self._setup)
        self._batch = BatchDesk(desk, self._projections, self._products)
        self._attestations = Attestations(desk, self._unmask)
        self._output = OutputDesk(desk, self._sums, self._batch)

    @property
    def view(self) -> SessionView:
        """The session as the chain tells it."""
        return self._desk.view

    def chain(self, event: ev.ChainEvent) -> list[Effect]:
        """Fold one chain event; events come in chain order, each once."""
        self.view.apply(event)
        effects: list[Effect] = []
        match event:
            case ev.PhaseChanged():
                effects = self._clock.entered()
            case ev.CommitteeDrawn() if self._desk.index is not None:
                effects = self._setup.start()
            case ev.SetFixed(kind=Bitmap.VALID, block=block):
                self._attestations.began = block
            case ev.UploadCommitted(index=index):
                self._uploads.committed(index)
        return effects + self._progress()

    def receive(self, message: msg.Message) -> list[Effect]:
        """One message whose sender the caller has authenticated. Raises RemoteProtocolError, and then nothing changed.

        What was already accepted is accepted again with the same reply.
        """
        if self._desk.index is None:
            raise self._desk.refuse("not-ready", message, "not drawn into the committee")
        return self._handle(message) + self._progress()

    def tick(self, block: int) -> list[Effect]:
        """The chain has reached ``block``. Changes nothing when it returns nothing."""
        effects = self._clock.tick(block)
        if self._desk.index is None:
            return effects
        parts = (
            self._bundles, self._uploads, self._consistency, self._unmask, self._projections,
            self._products, self._batch, self._attestations,
        )  # fmt: skip
        for part in parts:
            effects += part.tick(block)
        return effects + self._progress() if effects else []

    def status(self) -> dict[str, Any]:
        """Where we stand, for people: plain values, no secrets."""
        desk, batch = self._desk, self._batch.own
        return {
            "phase": self.view.phase.name.lower(),
            "point": desk.point if desk.index is not None else None,
            "seeds": len(self._setup.seeds()),
            "keys": sorted(self._bundles.keys),
            "pieces": sorted(self._uploads.held),
            "heard": sorted(desk.heard),
            "sums": sorted(self._sums.sums),
            "failed": sorted(r for r, passed in self._projections.outcome.items() if not passed),
            "passed": self._products.passed() if self._products.done else [],
            "signed": batch is not None,
            "digest": batch[3].hex() if batch is not None else None,
            "faulty": sorted(desk.address(x).hex() for x in desk.faulty),
        }

    def _handle(self, message: msg.Message) -> list[Effect]:
        match message:
            case msg.Announcement():
                return self._bundles.announcement(message)
            case msg.SeedDeal():
                return self._setup.receive(message)
            case msg.BundleSet():
                return self._bundles.bundle_set(message)
            case msg.BundleRequest():
                return self._bundles.request(message)
            case msg.Complaint():
                return self._bundles.complaint(message)
            case msg.BundleOpening():
                return self._bundles.opening(message)
            case msg.Upload():
                return self._uploads.receive(message)
            case msg.Opening():
                return self._opening(message)
            case msg.ShareOpening():
                return self._consistency.share_opening(message)
            case _:
                return self._handle_late(message)

    def _handle_late(self, message: msg.Message) -> list[Effect]:
        """What belongs to the batch and after."""
        match message:
            case msg.RebuildRequest():
                return self._rebuild.request(message)
            case msg.RebuildShare():
                return self._rebuild.receive(message)
            case msg.Unmask():
                return self._unmask.receive(message)
            case msg.UnmaskRequest():
                return self._unmask.request(message)
            case msg.UnmaskRelay():
                return self._unmask.relay(message)
            case msg.BatchSignature():
                return self._batch.receive(message)
            case msg.AttestationSignature():
                return self._attestations.receive(message)
            case msg.OutputRequest():
                return self._output.request(message)
            case _:
                raise RemoteProtocolError("unexpected-type", message.sender.hex(), type(message).__name__)

    def _opening(self, message: msg.Opening) -> list[Effect]:
        match message.label:
            case "consistency":
                return self._consistency.receive(message)
            case "projections":
                return self._projections.receive(message)
            case "gram":
                return self._products.receive(message)
            case _:
                raise self._desk.refuse("unknown-label", message, message.label)

    def _progress(self) -> list[Effect]:
        """Every next step that has become possible, in the order of the session."""
        if self._desk.index is None:
            return []
        effects = self._uploads.progress() + self._consistency.progress() + self._rebuild.progress()
        effects += self._unmask.progress()
        self._sums.update()
        effects += self._projections.progress() + self._products.progress() + self._batch.progress()
        return effects + self._attestations.progress()
