"""Every attack of `omninode demo --attack`, in one process, against the expectations that the demo judges by."""

from __future__ import annotations

import pytest

from omninode.demo.attackers import Order
from omninode.demo.catalogue import ATTACKS, plan
from omninode.demo.loot import Pocket
from protocols.sessions.params import Payout, Rule
from tests.simulation.siege import Siege


def played(attacks: tuple[str, ...], **changes: object) -> Siege:
    """The session after one in which the replayer's upload was kept."""
    loot = Pocket()
    if "replay" in attacks:
        before = Siege((), loot, number=6)
        before.tell(before.owners[-1].name, Order("keep"))
        before.run()
    return Siege(attacks, loot, **changes)


@pytest.mark.parametrize("attacks", [attacks for attacks in plan(list(ATTACKS)) if attacks], ids=", ".join)
def test_as_expected(attacks: tuple[str, ...]) -> None:
    for line in played(attacks).play():
        assert line.ok, (line.attack, line.problems, line)
