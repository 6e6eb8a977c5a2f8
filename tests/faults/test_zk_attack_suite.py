"""Every attack of `omninode demo --certificate zk --hostile`, in one process, against the demo's own expectations."""

from __future__ import annotations

import pytest

from omninode.demo.catalogue import HOSTILE_PROVED, PROVED, hostile_proved
from omninode.demo.loot import Pocket
from omninode.demo.orders import Order
from protocols.sessions.params import Payout, Rule
from tests.simulation.zk_attacks import quick_pairings
from tests.simulation.zk_siege import ZkSiege


def test_every_attack_is_played() -> None:
    assert {*sum(HOSTILE_PROVED, ()), *sum(hostile_proved(True), ())} == set(PROVED)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_pairings(monkeypatch)


@pytest.mark.parametrize("attacks", [attacks for attacks in HOSTILE_PROVED if attacks], ids=", ".join)
def test_as_expected(attacks: tuple[str, ...]) -> None:
    for line in ZkSiege(attacks, Pocket()).play():
        assert line.ok, (line.attack, line.problems, line)


@pytest.mark.parametrize("attacks", [hostile_proved(True)[1], ("zk-batch",)], ids=", ".join)
def test_rules_on_distances_stop_the_same(attacks: tuple[str, ...]) -> None:
    terms = {"rule": Rule.MULTI_KRUM, "payout": Payout.EQUAL, "mu_bps": 1000}
    for line in ZkSiege(attacks, Pocket(), **terms).play():
        assert line.ok, (line.attack, line.problems, line)


@pytest.mark.parametrize("attack", ["zk-norm", "zk-copy", "zk-frame", "zk-batch"])
def test_the_suite_sees_when_an_attack_does_not_take_place(attack: str) -> None:
    siege = ZkSiege((attack,), Pocket())
    for node in [*siege.provers, *siege.owners]:
        siege.tell(node.name, Order())
    line = siege.play()[0]
    assert not line.ok
    assert line.problems


@pytest.mark.parametrize("label", ["values", "S", "output"])
def test_a_lie_in_any_opening(label: str) -> None:
    siege = ZkSiege((), Pocket())
    siege.tell(siege.provers[2].name, Order(f"zk-lie-{label}"))
    siege.run()
    siege.assert_exact()
    assert siege.market.proof_of is not None  # type: ignore[attr-defined]
    blamed = siege._blamed().get(siege.provers[2].address, {})
    assert blamed, label
