"""Every attack of `omninode demo --attack`, in one process, against the expectations that the demo judges by."""

from __future__ import annotations

import pytest

from omninode.demo.catalogue import ATTACKS, plan
from omninode.demo.loot import Pocket
from omninode.demo.orders import Order
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


@pytest.mark.parametrize(
    "attack", ["random", "inconsistent", "missing", "lie-proofs", "lie-output", "crash-valid", "foreign-proof"]
)
def test_the_suite_sees_when_an_attack_does_not_take_place(attack: str) -> None:
    siege = played((attack,))
    for node in [*siege.provers, *siege.owners]:
        siege.tell(node.name, Order())
    line = siege.play()[0]
    assert not line.ok
    assert line.problems


def test_more_than_t_liars_are_not_as_expected() -> None:
    siege = played(("lie-proofs",))
    for node in siege.provers[:3]:
        siege.tell(node.name, Order("lie-proofs"))
    assert not siege.play()[0].ok


@pytest.mark.parametrize("terms", [{"rule": Rule.NONE, "payout": Payout.EQUAL}, {"rule": Rule.OUTLIER, "mu_bps": 2500}])
def test_other_terms_stop_the_same(terms: dict[str, object]) -> None:
    for line in played(("random", "scaled", "wrapped"), **terms).play():
        assert line.ok, (line.attack, line.problems)


def test_equal_pay_under_trust_pays_whoever_proved() -> None:
    (line,) = played(("sign-flip",), payout=Payout.EQUAL).play()
    assert line.ok, line.problems
    assert (line.rejected, line.paid) == ("3 of 3 against reference", "3 of 3")
