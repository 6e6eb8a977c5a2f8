"""Whose turn is it to post what everybody has signed: the first at once, the next ones two blocks apart."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.sessions.effects import Effect, Note, Transact
from protocols.sessions.prover_desk import Desk

STEP = 2
"""Blocks that each prover has before the next one posts; fewer where time is short."""


@dataclass
class Turn:
    """One transaction that any prover may send once it has a quorum of signatures. what: unique name of it.

    passed_over: bitmap over the committee: these have no turn (liars would not post what names them), nor has whom our
    own record shows lying.  in_phase: it must be mined in this phase: then t that keep still do not use up its time.
    """

    desk: Desk
    what: str
    passed_over: int = 0
    in_phase: bool = False
    _since: int | None = None
    _sent: bool = False

    def now(self, transaction: Transact) -> list[Effect]:
        """There is a quorum: the first in turn posts."""
        return self._send(transaction) if self._rank == 0 else []

    def tick(self, block: int, transaction: Transact) -> list[Effect]:
        """There still is a quorum and nothing on chain. The first tick starts the clock, with a note."""
        if self._sent:
            return []
        if self._since is None:
            self._since = block
            return [Note("quorum", (("of", self.what), ("block", block)))]
        return self._send(transaction) if block >= self._since + self._step(self._since) * self._rank else []

    def _step(self, since: int) -> int:
        """Blocks from turn to turn. The one after t others is in time; all are at once where none is left."""
        left = self.desk.cut() - since
        return min(STEP, max(0, left // self.desk.t)) if self.in_phase else STEP

    @property
    def _rank(self) -> int:
        """Our place among those that have a turn."""
        desk = self.desk
        before = [(desk.view.session + place) % desk.n for place in range(desk.rank)]
        return sum(not self.passed_over >> index & 1 and index + 1 not in desk.faulty for index in before)

    def _send(self, transaction: Transact) -> list[Effect]:
        if self._sent:
            return []
        self._sent = True
        return [transaction]
