"""Inner products of groups' sums, opened with pseudo-random sharings of zero; only distances leave the committee."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations_with_replacement

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.gram.exact import gram
from protocols.gram.projections import within_norm_bound
from protocols.sessions.effects import Effect
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_decode import name_liars, read_values, settled
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_projections import Projections
from protocols.sessions.prover_sums import GroupSums
from protocols.sessions.setup import SeedSetup
from protocols.sharing.zero import zero_share
from protocols.wire.messages import Opening

Pair = tuple[int, int]


@dataclass
class Products:
    """values: pair r <= s of groups that passed the projections -> decoded inner product as a signed integer."""

    desk: Desk
    sums: GroupSums
    projections: Projections
    setup: SeedSetup
    values: dict[Pair, int] = field(default_factory=dict)
    _opened: dict[int, dict[Pair, int]] = field(default_factory=dict)

    @property
    def wanted(self) -> list[Pair]:
        """All pairs of groups that passed the projections."""
        return pairs([r for r, passed in sorted(self.projections.outcome.items()) if passed])

    @property
    def done(self) -> bool:
        """Whether every inner product is known."""
        return self.projections.done and set(self.wanted) <= self.values.keys()

    def receive(self, message: Opening) -> list[Effect]:
        """Another prover's products, each plus its share of zero."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.BATCH, message)
        groups = bits(message.present)
        if groups and groups[-1] >= len(desk.view.groups):
            raise desk.refuse("wrong-set", message, "a group that does not exist")
        values = read_values(desk, message, len(pairs(groups)))
        self._opened.setdefault(point, dict(zip(pairs(groups), values.tolist(), strict=True)))
        return self._blame() if self.done else []

    def progress(self) -> list[Effect]:
        """Open ours when the projections have judged and we have all the sums; decode what has arrived."""
        desk = self.desk
        if not desk.settling or not self.projections.done:
            return []
        effects: list[Effect] = []
        if all(r in self.sums.sums for r, passed in self.projections.outcome.items() if passed):
            effects += self._open()
        if not self.done:
            self._decode()
            effects += self._blame() if self.done else []
        return effects

    def tick(self, block: int) -> list[Effect]:
        """Late in the phase, open without the sums that we could not compute."""
        desk = self.desk
        late = desk.view.phase == Phase.BATCH and self.projections.done and block >= desk.share_of_window(7, 8)
        return self._open() if late else []

    def _open(self) -> list[Effect]:
        desk, count = self.desk, len(self.desk.view.groups)
        if desk.point in self._opened or not self.setup.complete:
            return []
        held = [r for r, passed in sorted(self.projections.outcome.items()) if passed and r in self.sums.sums]
        table = gram([self.sums.sums[r] for r in held])
        every = pairs(list(range(count)))
        label = desk.label("gram")
        zeros = zero_share(self.setup.seeds(), desk.point, desk.n, desk.t, label, len(every))
        zero = dict(zip(every, zeros.tolist(), strict=True))
        opened = {(r, s): (int(table[held.index(r), held.index(s)]) + zero[r, s]) % gl.P for r, s in pairs(held)}
        self._opened[desk.point] = opened
        values = gl.to_bytes(gl.vector(opened.values()))
        return desk.broadcast(Opening(desk.identity.address, "gram", bitmap(held), values))

    def _shares(self, pair: Pair) -> dict[int, Vector]:
        return {point: gl.vector([opened[pair]]) for point, opened in self._opened.items() if pair in opened}

    def _decode(self) -> None:
        desk = self.desk
        for pair in self.wanted:
            if pair not in self.values:
                decoded = settled(self._shares(pair), 2 * desk.t, desk.n - desk.t)
                if decoded is not None:
                    self.values[pair] = gl.lift(int(decoded.values[0]))

    def _blame(self) -> list[Effect]:
        desk = self.desk
        wrong: set[int] = set()
        for pair in self.wanted:
            decoded = settled(self._shares(pair), 2 * desk.t, desk.n - desk.t)
            wrong |= set(decoded.error_points) if decoded else set()
        return name_liars(desk, wrong, "gram")

    def passed(self) -> list[int]:
        """Groups whose squared norm is within bounds too, ascending."""
        view = self.desk.view
        return [
            r for r, s in self.wanted
            if r == s and within_norm_bound(self.values[r, r], len(view.within(Bitmap.VALID, r)), view.p.bound)
        ]  # fmt: skip


def pairs(groups: list[int]) -> list[Pair]:
    """All pairs r <= s, row by row."""
    return list(combinations_with_replacement(groups, 2))
