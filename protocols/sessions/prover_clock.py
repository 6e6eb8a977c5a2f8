"""What a prover does for the session as a whole, by phase and block alone: poke, post the drawn order, claim."""

from __future__ import annotations

from protocols.sessions.draw import group_order
from protocols.sessions.effects import Effect, Transact
from protocols.sessions.params import Beacon, Phase
from protocols.sessions.prover_desk import Desk

BEACON_PHASES = (Phase.COMMITTEE, Phase.DRAW, Phase.QUERY)
ENDS = (Phase.FINISHED, Phase.ABORTED)


class Clock:
    """Beacons and deadlines that have passed: every prover pokes at once; after that one by one, in turn."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._groups_posted = False
        self._overdue: Phase | None = None  # the phase of which we have said that its time is over

    def entered(self) -> list[Effect]:
        """A phase has begun."""
        phase = self._desk.view.phase
        if phase == Phase.COMMITTEE or (phase in BEACON_PHASES and self._desk.index is not None):
            return [Transact("poke", (), key=f"poke-{phase.name}")]
        if phase in ENDS and self._desk.index is not None:
            return [Transact("claim", (), key="claim")]
        return []

    def tick(self, block: int) -> list[Effect]:
        """Poke what hangs or has run out of time; post the order of the groups when it is our turn."""
        view, index = self._desk.view, self._desk.index
        if view.phase in (Phase.NONE, *ENDS):
            return []
        late = block >= view.deadline > 0  # what we send now is mined after the deadline
        if view.phase == Phase.GROUPS and index is not None and not late:
            return self._post_groups(block)
        if late and self._overdue != view.phase and index is not None:
            self._overdue = view.phase
            return [Transact("poke", (), key=f"poke-{view.phase.name}-late")]
        hangs = view.phase in BEACON_PHASES and block >= view.phase_block + 3
        if (hangs or late) and self._our_turn(block):
            return [Transact("poke", (), key=f"poke-{view.phase.name}-{block}")]
        return []

    def _post_groups(self, block: int) -> list[Effect]:
        view = self._desk.view
        if self._groups_posted or block < view.phase_block + self._desk.rank:
            return []
        self._groups_posted = True
        order = group_order(view.beacons[Beacon.GROUPS], [m.address for m in view.members])
        return [Transact("postGroups", (order,), key="postGroups")]

    def _our_turn(self, block: int) -> bool:
        if self._desk.index is None:  # before the draw nobody has a rank
            return block % 4 == 0
        return block % self._desk.n == self._desk.rank
