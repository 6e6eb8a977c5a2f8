"""The wrap-around test: 64 random projections of each group's sum are opened; none may leave its window."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.fields.prg import ternary
from protocols.gram.projections import PROJECTIONS, project, within_wrap_bound
from protocols.sessions.effects import Effect, Note, Remember
from protocols.sessions.params import Beacon, Bitmap, Phase
from protocols.sessions.prover_decode import name_liars, read_values, settled
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_sums import GroupSums
from protocols.wire.messages import Opening


@dataclass
class Projections:
    """values: group -> (64,) decoded, for groups that n - t provers opened alike.  outcome: group -> passed, or not."""

    desk: Desk
    sums: GroupSums
    values: dict[int, Vector] = field(default_factory=dict)
    outcome: dict[int, bool] = field(default_factory=dict)
    _opened: dict[int, dict[int, Vector]] = field(default_factory=dict)  # point -> group -> values

    def receive(self, message: Opening) -> list[Effect]:
        """Another prover's projections."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.BATCH, message)
        groups = bits(message.present)
        if groups and groups[-1] >= len(desk.view.groups):
            raise desk.refuse("wrong-set", message, "a group that does not exist")
        values = read_values(desk, message, PROJECTIONS * len(groups))
        opened = {r: values[i * PROJECTIONS : (i + 1) * PROJECTIONS] for i, r in enumerate(groups)}
        if point in self._opened:
            return []
        self._opened[point] = opened
        return self._blame() if self.done else []

    @property
    def done(self) -> bool:
        """Whether the fate of every group is known."""
        return bool(self.outcome) and len(self.outcome) == len(self.desk.view.groups)

    def progress(self) -> list[Effect]:
        """Open ours when all groups are resolved; decode what has arrived."""
        desk = self.desk
        if not desk.settling:
            return []
        effects: list[Effect] = []
        if desk.point not in self._opened and self.sums.resolved:
            effects += self._open()
        if self._opened and not self.done:
            effects += self._decode()
        return effects

    def tick(self, block: int) -> list[Effect]:
        """Open without groups of which a piece never came; later on, a group that could not be decoded has failed."""
        desk = self.desk
        if desk.view.phase != Phase.BATCH or self.done:
            return []
        if desk.point not in self._opened and block >= desk.share_of_window(5, 8):
            return self._open()
        if block < desk.share_of_window(3, 4):
            return []
        lost = [r for r in range(len(desk.view.groups)) if r not in self.outcome]
        self.outcome.update(dict.fromkeys(lost, False))
        return [Note("group_failed", (("group", r), ("why", "too few openings"))) for r in lost]

    def _open(self) -> list[Effect]:
        desk = self.desk
        opened = {r: project(self.sums.sums[r], self._ternary(r)) for r in sorted(self.sums.sums)}
        self._opened[desk.point] = opened
        values = b"".join(gl.to_bytes(v) for v in opened.values())
        message = Opening(desk.identity.address, "projections", bitmap(list(opened)), values)
        valid = desk.view.sets[Bitmap.VALID].to_bytes(32, "big")
        return [Remember("valid-set", valid), *desk.broadcast(message)]

    def _ternary(self, group: int) -> npt.NDArray[np.int8]:
        view = self.desk.view
        seed = self.desk.context.bind("projections", view.beacons[Beacon.QUERY], bytes([group]))
        return ternary(seed, PROJECTIONS, view.p.dimension)

    def _shares(self, group: int) -> dict[int, Vector]:
        return {point: opened[group] for point, opened in self._opened.items() if group in opened}

    def _decode(self) -> list[Effect]:
        desk, effects = self.desk, list[Effect]()
        for r in range(len(desk.view.groups)):
            if r in self.outcome:
                continue
            shares = self._shares(r)
            decoded = settled(shares, desk.t, desk.n - desk.t)
            if decoded is not None:
                self.values[r] = decoded.values
                self.outcome[r] = self._within(r)
                effects += [] if self.outcome[r] else [failed(r, "the sum wraps around")]
            elif len(self._opened) - len(shares) > desk.t:  # an honest prover among them says that the group has failed
                self.outcome[r] = False
                effects.append(failed(r, "not unmasked"))
        return effects + (self._blame() if self.done else [])

    def _within(self, group: int) -> bool:
        survivors = len(self.desk.view.within(Bitmap.VALID, group))
        signed = gl.to_signed(self.values[group]).tolist()
        return all(within_wrap_bound(value, survivors, self.desk.view.p.bound) for value in signed)

    def _blame(self) -> list[Effect]:
        """Name whoever opened something else than what was decoded, also those that speak late."""
        wrong: set[int] = set()
        for r in self.values:
            decoded = settled(self._shares(r), self.desk.t, self.desk.n - self.desk.t)
            wrong |= set(decoded.error_points) if decoded else set()
        return name_liars(self.desk, wrong, "projections")


def failed(group: int, why: str) -> Note:
    """For the operator: this group takes no further part."""
    return Note("group_failed", (("group", group), ("why", why)))
