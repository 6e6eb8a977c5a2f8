"""Seeds of pseudo-random sharings: one per set of n - t provers, dealt by one member, the same for all its members.

A deal carries its dealer's signature and every member hands the first one it gets on, so two different seeds of one
attempt reach all members together and prove that the dealer lied; then, or when a dealer keeps silent, the next member
deals. What counts is the lowest attempt of which exactly one seed is known. A dealer must be heard before the upload
phase ends and relays by one phase later, so nobody can slip a seed to some members only at the last moment.
"""

from __future__ import annotations

from protocols.errors import RemoteProtocolError
from protocols.sessions.effects import Effect
from protocols.sessions.params import Phase
from protocols.sessions.prover_desk import Desk
from protocols.sharing.zero import subsets
from protocols.wire.messages import SeedDeal

PATIENCE = 3
"""Blocks that each dealer of a set has before the next member deals."""

Points = tuple[int, ...]


class SeedSetup:
    """The seeds of the sets that hold our point."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._drawn = 0
        self._known: dict[Points, dict[int, dict[bytes, SeedDeal]]] = {}

    def start(self, block: int) -> list[Effect]:
        """The committee is drawn: deal to the sets that we are the first member of."""
        self._drawn = block
        own = [s for s in subsets(self._desk.n, self._desk.t) if self._desk.point in s]
        self._known = {members: {} for members in own}
        return [effect for members in own if members[0] == self._desk.point for effect in self._deal(members, 0)]

    def seeds(self) -> dict[Points, bytes]:
        """Set -> seed, for the sets of ours that have one."""
        found = {}
        for members, attempts in self._known.items():
            live = [a for a in sorted(attempts) if len(attempts[a]) == 1]
            if live:
                found[members] = next(iter(attempts[live[0]]))
        return found

    @property
    def complete(self) -> bool:
        """Whether every set of ours has its seed."""
        return bool(self._known) and len(self.seeds()) == len(self._known)

    def receive(self, message: SeedDeal) -> list[Effect]:
        """A deal, from its dealer or handed on by another member."""
        desk, sender = self._desk, self._desk.prover(message)
        self._check(message, sender)
        seeds = self._known[message.points].setdefault(message.attempt, {})
        if message.seed in seeds or len(seeds) == 2:  # two are proof enough
            return []
        seeds[message.seed] = message
        dealer = self._dealer(message.points, message.attempt)
        relay = SeedDeal(desk.identity.address, message.points, message.attempt, message.seed, message.signature)
        effects = desk.to_points(set(message.points) - {sender, dealer}, relay)
        return effects + (self._after_conflict(message.points) if len(seeds) == 2 else [])

    def tick(self, block: int) -> list[Effect]:
        """Deal where the members before us had their time and no seed is known."""
        if not self._known or self._desk.view.phase >= Phase.UPLOAD:
            return []
        effects: list[Effect] = []
        seeds = self.seeds()
        for members, attempts in self._known.items():
            turn = (block - self._drawn) // PATIENCE
            ours = members.index(self._desk.point)
            if members not in seeds and ours <= turn and ours not in attempts:
                effects += self._deal(members, ours)
        return effects

    def _after_conflict(self, members: Points) -> list[Effect]:
        """Deal at once if every attempt before ours is proven bad."""
        attempts, ours = self._known[members], members.index(self._desk.point)
        dead = all(len(attempts.get(a, {})) == 2 for a in range(ours))
        return self._deal(members, ours) if dead and ours not in attempts else []

    @staticmethod
    def _dealer(members: Points, attempt: int) -> int:
        return members[attempt]

    def _digest(self, members: Points, attempt: int, seed: bytes) -> bytes:
        return self._desk.context.bind("seed-deal", bytes(members), bytes([attempt]), seed)

    def _deal(self, members: Points, attempt: int) -> list[Effect]:
        desk = self._desk
        seed = desk.random("set-seed", bytes(members), bytes([attempt]))
        signature = desk.identity.sign(self._digest(members, attempt, seed))
        deal = SeedDeal(desk.identity.address, members, attempt, seed, signature)
        self._known[members][attempt] = {seed: deal}
        return desk.to_points(set(members), deal)

    def _check(self, message: SeedDeal, sender: int) -> None:
        desk = self._desk
        if message.points not in self._known or sender not in message.points:
            raise desk.refuse("wrong-set", message, "no set of n - t points that holds both of us")
        if message.attempt >= len(message.points):
            raise desk.refuse("wrong-attempt", message, f"attempt {message.attempt}")
        dealer = self._dealer(message.points, message.attempt)
        desk.not_after(Phase.UPLOAD if sender == dealer else Phase.DELIVERED, message)
        if not self._signed(message, desk.address(dealer)):
            raise RemoteProtocolError("bad-signature", message.sender.hex(), "seed not signed by its dealer")

    def _signed(self, message: SeedDeal, dealer: bytes) -> bool:
        digest = self._digest(message.points, message.attempt, message.seed)
        try:
            return self._desk.identity.recover(digest, message.signature) == dealer
        except ValueError:
            return False
