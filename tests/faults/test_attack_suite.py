"""Every attack of `omninode demo --attack`, in one process, against the expectations that the demo judges by."""

from __future__ import annotations

import pytest

from omninode.demo.catalogue import ATTACKS, plan
from omninode.demo.loot import Pocket
from omninode.demo.orders import Order
from protocols.sessions.params import Payout, Phase, Rule
from protocols.wire.messages import AttestationSignature
from tests.simulation.attacks import swallow
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


def test_a_liar_whose_turn_is_first_is_named_before_the_session_is_over() -> None:
    siege = played(("lie-products",))
    liar = siege.parts.seat
    assert liar == siege.context.session % 5  # rank 0: it would post first whatever is to be posted
    siege.run_until(Phase.OUTPUT)
    while siege.market.phase == Phase.OUTPUT:
        siege.step()
    assert siege.market.named == 1 << liar


def test_a_prover_has_something_left_to_do_until_its_statement_is_on_chain() -> None:
    siege = played(("lie-products",))
    siege.play()
    assert not any(getattr(node.machine, "pending", None) for node in siege.committee())
    siege = played(("lie-products",))
    liar = siege.run_until(Phase.REGISTER).committee()[siege.parts.seat]
    honest = [node for node in siege.committee() if node is not liar]
    for node in honest[:2]:
        node.twist = swallow(AttestationSignature)  # nobody hears n - t say the same
    siege.run()
    assert siege.market.phase == Phase.FINISHED and not siege.market.named
    assert all(getattr(node.machine, "pending", None) for node in honest)
