"""What `DataMarket` does to a session of mode verified: fewer phases, the owner's reference, scores and payouts."""

from __future__ import annotations

from protocols.selection import scores
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule, SessionParams
from protocols.wire import eip712
from protocols.wire.context import Context
from tests.simulation.market import FakeMarket, Recover

LOW = (1 << 128) - 1


class VerifiedMarket(FakeMarket):
    """``payouts``: wei of the reward by registration index, once the session is finished."""

    def __init__(
        self, context: Context, params: SessionParams, provers: list[ev.ProverInfo], recover: Recover, seed: int
    ) -> None:
        super().__init__(context, params, provers, recover, seed)
        self.payouts: dict[int, int] = {}
        self.weights: dict[int, int] = {}

    # -- phases -----------------------------------------------------------------------------------------------------

    def _close_register(self, when: int) -> None:
        if len(self.owners) < self.p.min_accepted:
            return self._abort("too few data owners", when)
        self.groups = [[k] for k in range(len(self.owners))]
        self.window = self.block
        self.sets[Bitmap.BUNDLES] = (1 << len(self.owners)) - 1
        self._emit(ev.SetFixed, Bitmap.BUNDLES, self.sets[Bitmap.BUNDLES])
        return self._enter(Phase.UPLOAD, self.block)

    def _enter(self, phase: Phase, when: int) -> None:
        super()._enter(phase, when)
        if phase == Phase.FINISHED:
            self.payouts = self._payouts()

    def _full(self) -> bool:
        return len(self.owners) == self.p.groups and (not self.p.uses_reference or REFERENCE in self.uploads)

    def _members(self, kind: Bitmap) -> list[int]:
        return [k for k in range(256) if self.sets[kind] >> k & 1]

    @property
    def referenced(self) -> bool:
        """Whether the owner's reference is valid."""
        return bool(self.sets.get(Bitmap.VALID, 0) >> REFERENCE & 1)

    # -- transactions -----------------------------------------------------------------------------------------------

    def _register(self, sender: bytes, peer_key: bytes, digest: bytes, proof: tuple[bytes, ...]) -> None:
        self._need(self.phase == Phase.REGISTER and sender not in self.owners and len(self.owners) < self.p.groups)
        self._need(sender != self.p.owner and all(sender != prover.address for prover in self.committee))
        self._emit(ev.Registered, len(self.owners), sender, peer_key, digest)
        self.owners.append(sender)
        if self._full():
            self._close_register(self.block)

    def _commitReference(self, sender: bytes, root: bytes) -> None:
        self._need(self.phase == Phase.REGISTER and sender == self.p.owner and self.p.uses_reference)
        self._need(REFERENCE not in self.uploads)
        self.uploads[REFERENCE] = root
        self._emit(ev.ReferenceCommitted, root)
        if self._full():
            self._close_register(self.block)

    def _commitUpload(self, sender: bytes, root: bytes) -> None:
        index = self._index(sender)
        self._need(self.phase == Phase.UPLOAD and index not in self.uploads)
        self.uploads[index] = root
        self._emit(ev.UploadCommitted, index, root)
        if self.uploads.keys() >= set(range(len(self.owners))):
            self._close(self.block)

    def _uploader(self, index: int) -> bytes:
        return self.p.owner if index == REFERENCE else self.owners[index]

    def _allowed(self) -> int:
        return (1 << len(self.owners)) - 1 | (1 << REFERENCE if REFERENCE in self.uploads else 0)

    def _postBatch(
        self, sender: bytes, passed: int, values: tuple[int, ...], digest: bytes, signers: int, sigs: tuple[bytes, ...]
    ) -> None:
        self._need(self.phase == Phase.BATCH)
        valid = self.sets[Bitmap.VALID]
        self._quorum(eip712.batch_digest(self.context, valid, passed, values, digest), signers, sigs)
        owners = valid & ~(1 << REFERENCE)
        self._need(passed & ~owners == 0)
        refuses = self.referenced if self.p.rule == Rule.TRUST else self.p.rule != Rule.NONE
        self._need(refuses or passed == owners)
        accepted = [k for k in range(len(self.owners)) if passed >> k & 1]
        scored = self.referenced and self.p.payout == Payout.CONTRIBUTION
        self._need(len(values) == (len(accepted) if scored else 0))
        self.weights = dict(zip(accepted, self._weigh(values), strict=True)) if scored else {}
        if len(accepted) < self.p.min_accepted or (scored and not any(self.weights.values())):
            return self._abort("no output", self.block)
        if scored:
            self._emit(ev.Scored, values)
        struct = eip712.batch_struct(self.context, valid, passed, values, digest)
        self.batch = ev.BatchFinal(self.context.session, self.block, struct, passed, passed, passed)
        self._events.append(self.batch)
        return self._enter(Phase.OUTPUT, self.block)

    def _weigh(self, values: tuple[int, ...]) -> list[int]:
        most = len(values) if self.p.rule not in (Rule.NONE, Rule.TRUST) else 1
        self._need(all(v & LOW < 1 << 127 and 1 <= v >> 128 <= most for v in values))
        return scores.weights([v & LOW for v in values], [v >> 128 for v in values], self.p.score_cap)

    def _attest(self, sender: bytes, provers: int, owners: int, signers: int, signatures: tuple[bytes, ...]) -> None:
        self._need(owners == 0)
        super()._attest(sender, provers, owners, signers, signatures)

    # -- money ------------------------------------------------------------------------------------------------------

    def _payouts(self) -> dict[int, int]:
        """By score; else the same for the accepted, under `trust` for all that are valid."""
        assert self.batch is not None
        if self.weights:
            shares = scores.payouts(self.p.reward, list(self.weights.values()))
            assert shares is not None
            return dict(zip(self.weights, shares, strict=True))
        paid = self.sets[Bitmap.VALID] if self.p.rule == Rule.TRUST else self.batch.accepted
        share = scores.equal_pay(self.p.reward, len(self.owners))
        return {k: share for k in range(len(self.owners)) if paid >> k & 1}
