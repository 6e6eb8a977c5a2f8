"""Certificate zk: the batch with its proof, checked as the contract checks it, and posted by whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from eth_hash.auto import keccak

from protocols.bn254 import fr, g1, poly
from protocols.sessions.effects import Effect, Note, Transact
from protocols.sessions.params import REFERENCE, Phase
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_turns import Turn
from protocols.sessions.zk_pieces import ZkPieces
from protocols.sessions.zk_records import Records
from protocols.sessions.zk_statement import Openings
from protocols.wire.messages import BatchSignature
from protocols.zk.batch import Batch, check_batch, make_batch
from protocols.zk.errors import Refused
from protocols.zk.params import Statement
from protocols.zk.statement import Claim, Proof


@dataclass
class ZkBatchDesk:
    """batch: what all have opened, once it is there.  proved: whether we have checked it, and it holds."""

    desk: Desk
    pieces: ZkPieces
    records: Records
    openings: Openings
    batch: Batch | None = None
    proved: bool = False
    _turn: Turn = field(init=False)

    def __post_init__(self) -> None:
        self._turn = Turn(self.desk, "proof", in_phase=True)

    @property
    def signed(self) -> bool:
        """Whether we stand for it."""
        return self.proved

    @property
    def digest(self) -> bytes | None:
        """keccak256 of the opened values, as the event Proved has it."""
        return keccak(self.batch.values) if self.batch is not None else None

    def receive(self, message: BatchSignature) -> list[Effect]:
        """Nobody signs batches here."""
        raise self.desk.refuse("unexpected-type", message, "batches of this session are proved")

    def progress(self) -> list[Effect]:
        """Check the proof when everything is opened; the first in turn posts it."""
        if self.desk.view.phase != Phase.BATCH or not self.openings.done:
            return []
        effects = self._check() if self.batch is None else []
        transaction = self._transaction()
        return effects + (self._turn.now(transaction) if transaction else [])

    def tick(self, block: int) -> list[Effect]:
        """Post in our turn, if those before us did not."""
        transaction = self._transaction() if self.desk.view.phase == Phase.BATCH else None
        return self._turn.tick(block, transaction) if transaction else []

    def _check(self) -> list[Effect]:
        """Once. Only more than t liars make a batch that does not hold."""
        pieces, batch = self.pieces, self._made()
        self.batch = batch
        if not self.openings.enough:  # the contract looks at nothing then, and refunds
            self.proved = True
            return [Note("no_output", (("valid", len(self.openings.owners)),))]
        try:
            check_batch(pieces.key, pieces.sess, batch, pieces.bound_squared)
        except Refused as error:
            return [Note("batch_refused", (("check", str(error.check)), ("record", error.index)))]
        self.proved = True
        return [Note("batch_proved", (("statement", batch.statement.name.lower()), ("mask", batch.mask)))]

    def _made(self) -> Batch:
        openings, known = self.openings, self.records.known
        if not openings.enough:
            return Batch(openings.statement, b"", 0)
        records = [known(k).record for k in openings.owners]
        reference = known(REFERENCE).record if openings.statement == Statement.SCORE else None
        proof = self._proof() if openings.values else b""
        return make_batch(openings.statement, records, openings.mask, openings.products, proof, reference)

    def _proof(self) -> bytes:
        """Put together from what was opened; P(z) is public."""
        openings, key = self.openings, self.pieces.key
        _, c_s, c_q, at_z, masked, w = openings.values
        transcript = self._claim().transcript()
        (s_point,), (q_point,), w_points = (g1.to_integers(x) for x in (c_s, c_q, w))
        transcript.absorb(s_point)
        z = transcript.absorb(q_point)
        evaluations = (*fr.integers(at_z), *fr.integers(masked), poly.evaluate(key.p_poly, z))
        return Proof(s_point, q_point, evaluations, *w_points).encode()

    def _claim(self) -> Claim:
        openings, seen = self.openings, self.records.seen
        score = openings.statement == Statement.SCORE
        return Claim(
            openings.statement, self.pieces.sess, tuple(seen(k) for k in openings.owners),
            seen(REFERENCE) if score else None, openings.products, 0 if score else openings.mask,
        )  # fmt: skip

    def _transaction(self) -> Transact | None:
        if self.batch is None or not self.proved:
            return None
        return Transact("postProof", (self.batch.dos, self.batch.values, self.batch.proof), key="postProof")
