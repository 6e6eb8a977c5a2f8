"""What `DataMarket` does to a session of certificate zk: no beacon before VALID, and a batch only with its proof."""

from __future__ import annotations

from eth_hash.auto import keccak

from protocols.gram.distances import distances
from protocols.selection import scores
from protocols.selection.rules import select
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule
from protocols.zk.batch import Batch, Checked, check_batch
from protocols.zk.hashing import word
from protocols.zk.key import session_hash
from protocols.zk.params import Statement
from protocols.zk.record import record_bytes
from protocols.zk.statement import decode_values, triangle
from tests.simulation import proofs
from tests.simulation.market import Revert
from tests.simulation.verified_market import VerifiedMarket


class ZkMarket(VerifiedMarket):
    """``proof_of``: the arguments of the postProof that settled the session."""

    proof_of: tuple[bytes, bytes, bytes] | None = None

    def _close(self, when: int) -> None:
        if self.phase != Phase.DELIVERED:
            return super()._close(when)
        self._fix(Bitmap.DELIVERED, self.uploads)  # type: ignore[arg-type]
        return self._enter(Phase.VALID, self.block)

    def _postOpenings(self, sender: bytes, present: int, values: bytes) -> None:
        self._need(False)

    def _postBatch(self, sender: bytes, *args: object) -> None:
        self._need(False)

    @property
    def statement(self) -> Statement:
        """What must be proved of the set VALID."""
        missing = self.p.statement is Statement.SCORE and not self.referenced
        return Statement.NONE if missing else self.p.statement

    def _postProof(self, sender: bytes, dos: bytes, values: bytes, proof: bytes) -> None:
        self._seat(sender)
        self._need(self.phase == Phase.BATCH)
        order = sorted((k for k in self._members(Bitmap.VALID) if k != REFERENCE), key=self.owners.__getitem__)
        if len(order) < self.p.min_accepted:  # nothing to prove, nothing is looked at
            return self._abort("no output", self.block)
        self._match(dos, order)
        try:
            mask, opened = self._mask(values, len(order))
            used = (values, proof) if self.statement else (b"", b"")
            checked = self._checked(Batch(self.statement, dos, mask, *used))
        except ValueError:  # of which refusals are a kind
            raise Revert from None
        phi = {order[i]: max(0, v) for i, v in enumerate(opened) if mask >> i & 1}
        self.proof_of = dos, values, proof
        return self._settle(sorted(order[i] for i in range(len(order)) if mask >> i & 1), phi, checked)

    def _match(self, dos: bytes, order: list[int]) -> None:
        """The records are those of VALID, by address."""
        expected = [REFERENCE] * (self.statement is Statement.SCORE) + order
        size = record_bytes(self.p.statement is not Statement.GRAM)
        self._need(len(dos) == size * len(expected))
        for place, k in enumerate(expected):
            record = dos[place * size : (place + 1) * size]
            self._need(keccak(record) == self.uploads[k] and record[12:32] == self._uploader(k))

    def _mask(self, data: bytes, count: int) -> tuple[int, tuple[int, ...]]:
        values = decode_values(data)
        if self.statement is Statement.SCORE:
            self._need(len(values) == count)
            every = (1 << count) - 1
            return (sum(1 << k for k, v in enumerate(values) if v > 0) if self.p.rule == Rule.TRUST else every), values
        if self.statement is Statement.NONE:
            return (1 << count) - 1, ()
        gram = dict(zip(triangle(count), values, strict=True))
        within = [k for k in range(count) if 0 <= gram[k, k] <= self.p.bound**2]
        matrix = [[gram[max(k, j), min(k, j)] for j in within] for k in within]
        kept = select(
            self.p.rule, distances(matrix, [1] * len(within)), len(self.owners), len(within), self.p.mu_bps,
            self.p.m_krum,
        )  # fmt: skip
        return sum(1 << within[i] for i in kept or ()), ()

    def _checked(self, batch: Batch) -> Checked:
        p, context = self.p, self.context
        sess = session_hash(context.chain_id, context.contract, context.session, 0, p.proof_key, p.bound**2)
        return check_batch(proofs.key_of(p), sess, batch, p.bound**2)

    def _settle(self, accepted: list[int], phi: dict[int, int], checked: Checked) -> None:
        scored = self.statement is Statement.SCORE and self.p.payout == Payout.CONTRIBUTION
        if scored:
            capped = scores.weights([phi[k] for k in accepted], [1] * len(accepted), self.p.score_cap)
            self.weights = dict(zip(accepted, capped, strict=True))
        if len(accepted) < self.p.min_accepted or (scored and not any(self.weights.values())):
            return self._abort("no output", self.block)
        if scored:
            self._emit(ev.Scored, tuple(phi[k] + (1 << 128) for k in accepted))
        number, bits = self.context.session, sum(1 << k for k in accepted)
        assert self.proof_of is not None
        hashes = [checked.values_hash, keccak(self.proof_of[2])]
        batch_hash = keccak(b"".join([*map(word, (number, self.sets[Bitmap.VALID], bits)), *hashes]))
        self._emit(ev.Proved, checked.c_agg, checked.values_hash)
        self.batch = ev.BatchFinal(number, self.block, batch_hash, bits, bits, bits)
        self._events.append(self.batch)
        return self._enter(Phase.OUTPUT, self.block)
