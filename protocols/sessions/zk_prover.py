"""The prover's side of a session with certificate zk: the contract checks a proof that all provers make together.

Only sessions with such a certificate load this module: behind it is the arithmetic of the curve.
"""

from __future__ import annotations

from typing import Any

from protocols.bn254 import fr
from protocols.errors import LocalProtocolError
from protocols.sessions import events as ev
from protocols.sessions.effects import Effect, Remember
from protocols.sessions.identity import Identity
from protocols.sessions.limits import check_params
from protocols.sessions.prover_attest import Attestations
from protocols.sessions.prover_machine import CommitteeMachine
from protocols.sessions.prover_output import OutputDesk
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.shelf import MemoryShelf, Shelf
from protocols.sessions.zk_abstain import ABSTAINS, KEY, PLAYS, Abstention
from protocols.sessions.zk_batch import ZkBatchDesk
from protocols.sessions.zk_complaints import Complaints
from protocols.sessions.zk_keys import Keys
from protocols.sessions.zk_output import ZkSum
from protocols.sessions.zk_pieces import ZkPiece, ZkPieces
from protocols.sessions.zk_rebuild import FrHelp
from protocols.sessions.zk_records import Records
from protocols.sessions.zk_statement import LABEL, NAMES, Openings
from protocols.sessions.zk_vote import ZkVote
from protocols.wire import messages as msg
from protocols.wire.context import Context


class ZkProverMachine(CommitteeMachine):
    """One prover in one session of certificate zk; see ``prover_machine``.

    shelf: where shares lie, of this session alone; memory if none is given.  keys: where the key of the proofs comes
    from. It is made when we are drawn, not before: every prover of the market looks on until then. Who cannot make it
    abstains (``zk_abstain``).
    """

    _rebuild: Rebuild
    _batch: ZkBatchDesk

    def __init__(self, context: Context, identity: Identity, seed: bytes, shelf: Shelf | None, keys: Keys) -> None:
        super().__init__(context, identity, seed)
        desk, shelf = self._desk, MemoryShelf() if shelf is None else shelf
        self._pieces = pieces = ZkPieces(desk, shelf, keys)
        self._abstention: Abstention | None = None
        self._uploads: UploadDesk[ZkPiece] = UploadDesk(desk, pieces)
        self._records = Records(desk, self._uploads, pieces)
        self._complaints = self._consistency = Complaints(desk, self._uploads, pieces, self._records)
        self._vote = ZkVote(desk, self._records, self._complaints)
        self._rebuild = Rebuild(
            desk, self._uploads, self._complaints, self._setup, shelf, FrHelp(pieces, self._records)
        )
        self._proof = Openings(desk, pieces, self._records, self._rebuild, self._setup)
        self._batch = ZkBatchDesk(desk, pieces, self._records, self._proof)
        self._attestations = Attestations(desk)
        self._output = OutputDesk(desk, ZkSum(pieces, self._rebuild, self._proof), fr.to_bytes)
        self._openings = {LABEL + name: self._proof.receive for name in NAMES}
        self._parts = (self._uploads, self._records, self._complaints, self._vote, self._batch, self._attestations)

    def chain(self, event: ev.ChainEvent) -> list[Effect]:
        """Fold one chain event. Being drawn decides whether we play or abstain, and that is remembered first of all."""
        effects: list[Effect] = []
        drawn = isinstance(event, ev.CommitteeDrawn) and self._desk.identity.address in (
            prover.address for prover in event.provers
        )
        if drawn and (why := self._unready()):
            self._abstention = Abstention(self._desk, self._clock, why)
        if drawn:
            effects.append(Remember(KEY, ABSTAINS if self._abstention else PLAYS))
        if self._abstention is None:
            return effects + super().chain(event)
        self.view.apply(event)
        return effects + self._abstention.chain(event)

    def receive(self, message: msg.Message) -> list[Effect]:
        """As of every prover; who abstains refuses all."""
        return super().receive(message) if self._abstention is None else self._abstention.receive(message)

    def tick(self, block: int) -> list[Effect]:
        """The chain has reached ``block``. Changes nothing when it returns nothing."""
        return super().tick(block) if self._abstention is None else self._abstention.tick(block)

    def status(self) -> dict[str, Any]:
        """Where we stand, for people."""
        return super().status() if self._abstention is None else self._abstention.status()

    def _unready(self) -> str:
        """Why we cannot play. Numbers are looked at before anything is made of them."""
        try:
            check_params(self.view.p)
            self._pieces.key  # noqa: B018
        except (ValueError, LocalProtocolError) as error:
            return str(error)
        return ""

    def _standing(self) -> dict[str, Any]:
        verdicts, opened = self._records.verdicts, len(self._proof.values)
        return {
            "proved": sorted(k for k, refused in verdicts.items() if refused is None),
            "refused": sorted(k for k, refused in verdicts.items() if refused is not None),
            "complained": sorted(self._complaints.bad or ()),
            "convicted": sorted(self._complaints.convicted),
            "opened": list(NAMES[:opened]),
            "accepted": self._accepted(),
        }

    def _accepted(self) -> list[int]:
        """Registration indices, once the batch is proved."""
        batch = self._batch.batch
        if batch is None or not self._batch.proved:
            return []
        return sorted(k for place, k in enumerate(self._proof.owners) if batch.mask >> place & 1)

    def _handle_own(self, message: msg.Message) -> list[Effect]:
        match message:
            case msg.Announcement():
                return []  # gossip reaches everybody; nobody's keys are needed here
            case msg.PieceComplaint():
                return self._complaints.receive(message)
            case msg.PublicRequest():
                return self._records.request(message)
            case msg.PublicPart():
                return self._records.receive(message)
            case _:
                return super()._handle_own(message)

    def _steps(self) -> list[Effect]:
        effects = self._uploads.progress() + self._records.progress() + self._complaints.progress()
        effects += self._vote.progress()
        if self._proof.ready:  # what is rebuilt is held against what is public of it
            effects += self._rebuild.progress()
        return effects + self._proof.progress() + self._batch.progress() + self._attestations.progress()
