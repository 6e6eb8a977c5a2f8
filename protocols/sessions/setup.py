"""Seeds of pseudo-random sharings: one per set of n - t provers, dealt by a member, the same for all its members.

The first t + 1 members of a set each deal a seed of their own at once (attempts 0 .. t): one of them is honest and
alive. The lowest attempt of which exactly one seed is known counts. Who equivocates is therefore skipped, provided that
all honest members know the same seeds of every attempt. That is broadcast with signatures (Dolev, Strong 1983): every
member that learns a seed signs it too and hands it on, and what comes later needs more signatures: one until the end of
phase UPLOAD, two until that of DELIVERED, and so on up to t + 1, which are enough until the end of VALID. Among t + 1
signers one is honest, and it has told everybody. Two seeds of one attempt are proof enough; more are ignored.

That takes t + 1 rounds: UPLOAD, DELIVERED, QUERY, VALID. Certificate zk skips QUERY, so there t is at most 2, say
``limits`` and the contract: with t = 3 a deal of two signatures at the end of DELIVERED would reach one honest prover
that can convince nobody any more, and that opens something else than all others.
"""

from __future__ import annotations

from protocols.errors import LocalProtocolError
from protocols.sessions.effects import Effect
from protocols.sessions.limits import MOST_FAULTY_PROVED
from protocols.sessions.params import Phase
from protocols.sessions.prover_desk import Desk
from protocols.sharing.zero import subsets
from protocols.wire.messages import SeedDeal

Points = tuple[int, ...]


class SeedSetup:
    """The seeds of the sets that hold our point. Used from phase BATCH on, when they can no longer change."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: dict[Points, dict[int, list[bytes]]] = {}  # set -> attempt -> at most two seeds

    def start(self) -> list[Effect]:
        """The committee is drawn: deal to the sets that we are among the first t + 1 members of.

        Seeds and signatures are bound to the committee: a chain that is reorganised may draw another one.
        """
        point, params = self._desk.point, self._desk.view.p
        if params.zk and params.threshold > MOST_FAULTY_PROVED:
            raise LocalProtocolError(f"there is no round for {params.threshold} faulty provers to agree on seeds in")
        self._known = {members: {} for members in subsets(self._desk.n, self._desk.t) if point in members}
        turns = [(members, members.index(point)) for members in self._known]
        return [e for members, attempt in turns if attempt <= self._desk.t for e in self._deal(members, attempt)]

    def seeds(self) -> dict[Points, bytes]:
        """Set -> seed, for the sets of ours that have one."""
        found = {}
        for members, attempts in self._known.items():
            live = [attempts[a][0] for a in sorted(attempts) if len(attempts[a]) == 1]
            if live:
                found[members] = live[0]
        return found

    @property
    def complete(self) -> bool:
        """Whether every set of ours has its seed."""
        return bool(self._known) and len(self.seeds()) == len(self._known)

    def receive(self, message: SeedDeal) -> list[Effect]:
        """A deal, from its dealer or handed on by another member. What is new is signed and handed on, once."""
        desk, sender = self._desk, self._desk.prover(message)
        if message.points not in self._known or sender not in message.points:
            raise desk.refuse("wrong-set", message, "no set of n - t points that holds both of us")
        if message.attempt > desk.t:
            raise desk.refuse("wrong-attempt", message, f"attempt {message.attempt}")
        desk.not_after(Phase.VALID, message)
        seeds = self._known[message.points].get(message.attempt, [])
        if message.seed in seeds or len(seeds) == 2:
            return []
        signers = self._signers(message)
        if len(signers) < self._wanted:
            raise desk.refuse("late", message, f"{len(signers)} signatures, {self._wanted} are needed by now")
        self._known[message.points][message.attempt] = [*seeds, message.seed]
        if len(signers) > desk.t:
            return []  # an honest one among them has told everybody
        return self._send(message.points, message.attempt, message.seed, message.signatures, signers)

    @property
    def _wanted(self) -> int:
        """Signatures that a deal must carry now."""
        return min(self._desk.t + 1, 1 + max(0, self._desk.view.phase - Phase.UPLOAD))

    def _deal(self, members: Points, attempt: int) -> list[Effect]:
        seed = self._desk.random("set-seed", self._desk.wallets, bytes(members), bytes([attempt]))
        self._known[members][attempt] = [seed]
        return self._send(members, attempt, seed, (), set())

    def _send(
        self, members: Points, attempt: int, seed: bytes, signatures: tuple[bytes, ...], signers: set[int]
    ) -> list[Effect]:
        desk = self._desk
        ours = desk.identity.sign(self._digest(members, attempt, seed))
        deal = SeedDeal(desk.identity.address, members, attempt, seed, (*signatures, ours))
        return desk.to_points(set(members) - signers, deal)

    def _digest(self, members: Points, attempt: int, seed: bytes) -> bytes:
        return self._desk.context.bind("seed-deal", self._desk.wallets, bytes(members), bytes([attempt]), seed)

    def _signers(self, message: SeedDeal) -> set[int]:
        """Points that signed. RemoteProtocolError unless they are different members, the dealer first."""
        desk, digest = self._desk, self._digest(message.points, message.attempt, message.seed)
        allowed = {desk.address(x): x for x in message.points}
        signers: list[int] = []
        for signature in message.signatures:
            try:
                signers.append(allowed[desk.identity.recover(digest, signature)])
            except (ValueError, KeyError):
                raise desk.refuse("bad-signature", message, "not signed by a member of the set") from None
        if not signers or len(set(signers)) < len(signers) or signers[0] != message.points[message.attempt]:
            raise desk.refuse("bad-signature", message, "not signed by its dealer first, and by others once")
        return set(signers)
