"""Naming those who cheated: provers that opened lies, data owners of U that kept silent. n - t must say the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from protocols.sessions.effects import Effect, Transact
from protocols.sessions.params import Phase
from protocols.sessions.prover_desk import Desk, bitmap
from protocols.sessions.prover_turns import Turn
from protocols.wire.eip712 import attestation_digest
from protocols.wire.messages import AttestationSignature

GRACE = 3
"""Blocks since the batch phase began before a data owner that is not heard counts as silent."""

Named = tuple[int, int]  # bitmap over the committee, bitmap over data owners


@dataclass
class Attestations:
    """From our own record only: a statement per liar (once the batch phase begins), one about silent data owners.

    One per liar, t at most: who lies to one prover alone does not keep the others from saying the same of the rest.
    silent: data owners that owe shares and gave none, by now (mode verified: none owes any).
    """

    desk: Desk
    silent: Callable[[], list[int]] = list[int]
    began: int = 0  # block in which the batch phase began
    _own: dict[Named, None] = field(default_factory=dict)
    _signed: dict[Named, dict[int, bytes]] = field(default_factory=dict)
    _turns: dict[Named, Turn] = field(default_factory=dict)
    _silence_judged: bool = False

    def receive(self, message: AttestationSignature) -> list[Effect]:
        """Another prover's statement; it counts once our own record says the same."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.BATCH, message)
        named = (message.provers, message.data_owners)
        digest = attestation_digest(desk.context, *named)
        try:
            signer = desk.identity.recover(digest, message.signature)
        except ValueError:
            signer = b""
        if signer != message.sender:
            raise desk.refuse("bad-signature", message, "attestation")
        if message.provers >> (point - 1) & 1:
            raise desk.refuse("bad-attestation", message, "names its own signer")
        stated = sum(point in signers for signers in self._signed.values())
        if named not in self._signed and stated > desk.n + len(desk.view.members):
            raise desk.refuse("too-many", message, "attestations")
        self._signed.setdefault(named, {})[point] = message.signature
        return []

    @property
    def pending(self) -> bool:
        """Whether we have stated something that is not on chain yet."""
        view = self.desk.view
        return any(named[0] & ~view.named_provers or named[1] & ~view.silent_owners for named in self._own)

    def progress(self) -> list[Effect]:
        """State what our record shows; post what n - t state."""
        desk = self.desk
        if desk.view.phase < Phase.BATCH or desk.view.phase == Phase.ABORTED:
            return []
        effects: list[Effect] = []
        for point in sorted(desk.faulty) if len(desk.faulty) <= desk.t else ():
            effects += self._state((1 << point - 1, 0))
        for named in self._own:
            transaction = self._transaction(named)
            effects += self._turns[named].now(transaction) if transaction else []
        return effects

    def tick(self, block: int) -> list[Effect]:
        """Judge silence once, some blocks into the batch phase; post in our turn."""
        desk, effects = self.desk, list[Effect]()
        if desk.view.phase < Phase.BATCH or desk.view.phase == Phase.ABORTED:
            return []
        silent = self.silent()
        if silent and block >= self.began + GRACE and not self._silence_judged:
            self._silence_judged = True
            effects += self._state((0, bitmap(silent)))
        for named in self._own:
            transaction = self._transaction(named)
            effects += self._turns[named].tick(block, transaction) if transaction else []
        return effects

    def _state(self, named: Named) -> list[Effect]:
        desk = self.desk
        if named in self._own:
            return []
        self._own[named] = None
        self._turns[named] = Turn(desk, "attestation", named[0])
        signature = desk.identity.sign(attestation_digest(desk.context, *named))
        self._signed.setdefault(named, {})[desk.point] = signature
        return desk.broadcast(AttestationSignature(desk.identity.address, *named, signature))

    def _transaction(self, named: Named) -> Transact | None:
        """The attestation, if n - t provers signed it and it names anybody whom the chain does not yet."""
        desk, view, signed = self.desk, self.desk.view, self._signed[named]
        new = (named[0] & ~view.named_provers) | (named[1] & ~view.silent_owners)
        liars = named[0] | view.named_provers  # the contract takes no signature of a prover that it has named
        honest = [x for x in sorted(signed) if not liars >> (x - 1) & 1]
        honest.sort(key=desk.faulty.__contains__)  # one whom another statement names may be named first
        chosen = honest[: desk.n - desk.t]
        if not new or len(chosen) < desk.n - desk.t:
            return None
        signers, signatures = bitmap([x - 1 for x in chosen]), tuple(signed[x] for x in sorted(chosen))
        key = f"attest-{named[0]:x}-{named[1]:x}"
        return Transact("attest", (*named, signers, signatures), key=key)
