"""What provers of both modes are: chain events, messages and blocks go in, effects come out.

All randomness is derived from the seed by label, a step that raises changes nothing, and a tick without effects changes
nothing: so a fresh machine that is fed the journaled inputs gives the same effects again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from protocols.errors import RemoteProtocolError
from protocols.sessions import events as ev
from protocols.sessions.effects import Effect
from protocols.sessions.identity import Identity
from protocols.sessions.params import REFERENCE, Bitmap
from protocols.sessions.prover_attest import Attestations
from protocols.sessions.prover_clock import Clock
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_output import OutputDesk
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.setup import SeedSetup
from protocols.sessions.view import SessionView
from protocols.wire import messages as msg
from protocols.wire.context import Context


class Part(Protocol):
    """Something with deadlines."""

    def tick(self, block: int) -> list[Effect]:
        """The chain has reached ``block``. Changes nothing when it returns nothing."""


class PieceJudge(Protocol):
    """Judges pieces that are published because they do not fit."""

    def progress(self) -> list[Effect]:
        """Every next step that has become possible."""

    def share_opening(self, message: msg.ShareOpening) -> list[Effect]:
        """A published piece."""


class Helper(Protocol):
    """Helps others to shares that they lack, and is helped."""

    def progress(self) -> list[Effect]:
        """Every next step that has become possible."""

    def request(self, message: msg.RebuildRequest) -> list[Effect]:
        """Another prover lacks a share."""

    def receive(self, message: msg.RebuildShare) -> list[Effect]:
        """Help that we asked for."""


class Certified(Protocol):
    """Where the batch comes from. digest: of what was decoded, once that is known."""

    def progress(self) -> list[Effect]:
        """Every next step that has become possible."""

    @property
    def signed(self) -> bool:
        """Whether we stand for it."""

    @property
    def digest(self) -> bytes | None: ...

    def receive(self, message: msg.BatchSignature) -> list[Effect]:
        """Another prover stands for one."""


class CommitteeMachine:
    """One prover in one session. Before the draw, or if it is not drawn, it only pokes.

    seed: 32 secret bytes of this session, journaled before use. Subclasses set the parts, say what else they are told
    than provers of every mode, and which steps are possible.  _openings: label -> who takes openings of it.
    """

    _uploads: UploadDesk[Any]
    _consistency: PieceJudge
    _rebuild: Helper
    _batch: Certified
    _attestations: Attestations
    _output: OutputDesk
    _openings: Mapping[str, Callable[[msg.Opening], list[Effect]]]
    _parts: Sequence[Part]

    def __init__(self, context: Context, identity: Identity, seed: bytes) -> None:
        self._desk = Desk(context, identity, seed)
        self._clock = Clock(self._desk)
        self._setup = SeedSetup(self._desk)

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
            case ev.ReferenceCommitted():
                self._uploads.committed(REFERENCE)
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
        for part in self._parts:
            effects += part.tick(block)
        return effects + self._progress() if effects else []

    @property
    def pending(self) -> bool:
        """Whether something is left to do after the end: an attestation is taken then, too."""
        return self._attestations.pending

    def status(self) -> dict[str, Any]:
        """Where we stand, for people: plain values, no secrets."""
        desk, digest = self._desk, self._batch.digest
        return {
            "phase": self.view.phase.name.lower(),
            "point": desk.point if desk.index is not None else None,
            "seeds": len(self._setup.seeds()),
            "pieces": sorted(self._uploads.held),
            **self._standing(),
            "signed": self._batch.signed,
            "digest": digest.hex() if digest is not None else None,
            "faulty": sorted(desk.address(x).hex() for x in desk.faulty),
        }

    def _progress(self) -> list[Effect]:
        return self._steps() if self._desk.index is not None else []

    def _handle(self, message: msg.Message) -> list[Effect]:
        match message:
            case msg.SeedDeal():
                return self._setup.receive(message)
            case msg.Upload():
                return self._uploads.receive(message)
            case msg.Opening():
                return self._opening(message)
            case msg.ShareOpening():
                return self._consistency.share_opening(message)
            case msg.RebuildRequest():
                return self._rebuild.request(message)
            case msg.RebuildShare():
                return self._rebuild.receive(message)
            case msg.BatchSignature():
                return self._batch.receive(message)
            case msg.AttestationSignature():
                return self._attestations.receive(message)
            case msg.OutputRequest():
                return self._output.request(message)
            case _:
                return self._handle_own(message)

    def _handle_own(self, message: msg.Message) -> list[Effect]:
        """What only this mode's provers are told."""
        raise RemoteProtocolError("unexpected-type", message.sender.hex(), type(message).__name__)

    def _opening(self, message: msg.Opening) -> list[Effect]:
        if message.label not in self._openings:
            raise self._desk.refuse("unknown-label", message, message.label)
        return self._openings[message.label](message)

    def _steps(self) -> list[Effect]:
        """Every next step that has become possible, in the order of the session."""
        raise NotImplementedError

    def _standing(self) -> dict[str, Any]:
        """What the status says of this mode's parts."""
        raise NotImplementedError
