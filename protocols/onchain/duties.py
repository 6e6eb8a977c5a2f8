"""What anybody may do for a session of the baseline: end what is overdue, measure the chunks, select."""

from __future__ import annotations

from protocols.onchain.params import State
from protocols.onchain.view import OnchainView
from protocols.sessions.effects import Transact

STAGGER = 2
"""Blocks between one helper's turn and the next one's."""
FIRST_TURN = 1
"""Of the data owners in what anybody may do: the session's owner comes first."""
AT_ONCE = 8
"""Transactions of one sender in one block, about."""


def sending(chunks: int) -> int:
    """Blocks in which one sender measures so many chunks."""
    return -(-chunks // AT_ONCE)


def overdue(view: OnchainView, block: int, turn: int) -> list[Transact]:
    """The poke that is due in ``block``, if it is our turn. turn: 0 is the first to act."""
    running = State.REGISTER <= view.state < State.PAYMENT
    if not running or block <= view.deadline + STAGGER * turn:
        return []
    return [Transact("poke", (), key=f"poke/{view.state.name}/{view.deadline}")]


def judging(view: OnchainView, block: int, turn: int) -> list[Transact]:
    """All chunks still to be measured, or the selection once they are; later turns wait in case nobody does it."""
    if view.state != State.OUTLIER_SUPPRESSION or block > view.deadline:
        return []
    if turn and block < view.since + sending(view.p.chunks) + STAGGER * turn:
        return []
    missing = [c for c in range(view.p.chunks) if c not in view.measured]
    if missing:
        return [Transact("measure", (c,), key=f"measure/{c}") for c in missing]
    return [Transact("select", (), key="select")]
