"""The batch: what every honest prover computes alike, signed once, posted with n - t signatures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from protocols.sessions.effects import Effect, Note, Remember, Transact
from protocols.sessions.params import Phase
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_turns import Turn
from protocols.wire.eip712 import batch_digest, values_hash
from protocols.wire.messages import BatchSignature

Statement = tuple[int, int, tuple[int, ...], bytes]  # U, passed, values, digest


class Judge(Protocol):
    """Where a batch comes from: what was opened, and what follows from it."""

    @property
    def done(self) -> bool:
        """Whether everything is opened."""

    def statement(self) -> Statement:
        """The batch; only once it is done."""


@dataclass
class BatchDesk:
    """own: what we signed.  known: what we decoded, which may be too late to sign."""

    desk: Desk
    judge: Judge
    own: Statement | None = None
    known: Statement | None = None
    _signed: dict[int, tuple[Statement, bytes]] = field(default_factory=dict)
    _turn: Turn = field(init=False)

    def __post_init__(self) -> None:
        self._turn = Turn(self.desk, "batch", in_phase=True)

    @property
    def signed(self) -> bool:
        """Whether we have signed one."""
        return self.own is not None

    @property
    def digest(self) -> bytes | None:
        """Of what was decoded; None while it is not."""
        return self.known[3] if self.known is not None else None

    def receive(self, message: BatchSignature) -> list[Effect]:
        """Another prover's batch. A second, different one is a crime that the contract punishes."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.BATCH, message)
        statement = (message.valid_set, message.passed, message.values, message.digest)
        if not self._signed_by(statement, message.signature, message.sender):
            raise desk.refuse("bad-signature", message, "batch")
        known, signature = self._signed.setdefault(point, (statement, message.signature))
        if known == statement:
            return []
        evidence = (self._header(known), signature, self._header(statement), message.signature)
        return [Transact("slashDoubleSign", evidence, key=f"slashDoubleSign-{point}")]

    def _header(self, statement: Statement) -> tuple[int, int, bytes, bytes]:
        valid_set, passed, flat, digest = statement
        return valid_set, passed, values_hash(flat), digest

    def _signed_by(self, statement: Statement, signature: bytes, address: bytes) -> bool:
        try:
            return self.desk.identity.recover(batch_digest(self.desk.context, *statement), signature) == address
        except ValueError:
            return False

    def progress(self) -> list[Effect]:
        """Sign when everything is opened; post when n - t agree."""
        if not self.desk.settling or not self.judge.done:
            return []
        self.known = self.known or self.judge.statement()
        if self.desk.view.phase != Phase.BATCH:
            return []
        effects = self._sign(self.known) if self.own is None else []
        transaction = self._transaction()
        return effects + (self._turn.now(transaction) if transaction else [])

    def tick(self, block: int) -> list[Effect]:
        """Post in our turn, if those before us did not."""
        transaction = self._transaction() if self.desk.view.phase == Phase.BATCH else None
        return self._turn.tick(block, transaction) if transaction else []

    def _sign(self, statement: Statement) -> list[Effect]:
        desk, self.own = self.desk, statement
        digest = batch_digest(desk.context, *statement)
        signature = desk.identity.sign(digest)
        self._signed[desk.point] = (statement, signature)
        message = BatchSignature(desk.identity.address, *statement, signature)
        note = Note("batch_signed", (("passed", tuple(bits(statement[1]))),))
        return [Remember("batch", digest), note, *desk.broadcast(message)]

    def _transaction(self) -> Transact | None:
        desk = self.desk
        if self.own is None:
            return None
        agreeing = {point: s for point, (statement, s) in self._signed.items() if statement == self.own}
        chosen = sorted(agreeing)[: desk.n - desk.t]
        if len(chosen) < desk.n - desk.t:
            return None
        _, passed, flat, digest = self.own
        signers, signatures = bitmap([x - 1 for x in chosen]), tuple(agreeing[x] for x in chosen)
        return Transact("postBatch", (passed, flat, digest, signers, signatures), key="postBatch")
