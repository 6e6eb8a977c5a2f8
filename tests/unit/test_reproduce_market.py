"""Simulated sessions of a split model: the paper's counts, the server's steps, the sums of the real machines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from omninode.learning import data
from omninode.learning.presets import MNIST
from omninode.learning.public_part import choose
from omninode.learning.split import Deal, deal
from omninode.reproduce import learning_run, server
from omninode.reproduce.market import Market, play
from omninode.reproduce.setting import NOISE, OWNER_SAMPLES, PAPER_DIMENSION, READINGS, ROOT, RULES, Setting
from protocols.sessions.params import Rule
from tests.simulation.session import Session

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = Setting(
    public=1, owners=8, group_size=2, share=1.0, pre_epochs=4, epochs=1, sessions=1, bounded=True, task="digits"
)  # fmt: skip


@pytest.fixture(scope="module")
def digits() -> data.Samples:
    return data.load_digits()


def dealt(digits: data.Samples, setting: Setting, seed: int = 0) -> data.Split:
    owner = 40 + (ROOT if setting.rule == "trust" else 0)
    return deal(digits, seed, setting.deal, owner, 30, setting.owners, 200)


def test_the_papers_counts_and_shares_exactly() -> None:
    shares = {1: 0.71, 2: 7.29, 3: 15.54, 4: 15.96}
    for count, dimension in PAPER_DIMENSION.items():
        part = choose(MNIST.model, count)
        assert part.dimension == dimension and part.total == 36_697
        if count in shares:
            # 15.535: the paper rounds up
            assert abs(100 * part.share - shares[count]) <= 0.0051
    assert choose(MNIST.model, 3).dimension == 5_701


def test_a_session_is_deterministic_and_says_what_happened(digits: data.Samples) -> None:
    setting = replace(SMALL, sessions=2)
    one, two = (play(setting, dealt(digits, setting), 0) for _ in range(2))
    assert one == two
    assert one["public"] == 310 and len(one["accuracy"]) == 2
    assert one["units"] == [4, 4] and one["honest"] == one["honest_kept"] == [8, 8] and one["bad"] == [0, 0]
    assert play(setting, dealt(digits, setting, 1), 1) != one


def test_nothing_public_is_the_owner_by_itself(digits: data.Samples) -> None:
    setting = replace(SMALL, sessions=3)
    result = play(replace(setting, public=0), dealt(digits, setting), 0)
    assert result["public"] == 0 and len(result["accuracy"]) == 3
    market = play(setting, dealt(digits, setting), 0)
    assert (market["alone"], market["alone_after"]) == (result["alone"], result["accuracy"][-1])
    assert result["alone_after"] == result["accuracy"][-1]


def test_every_rule_gets_the_same_data(digits: data.Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_run, "HELD_OUT", 200)
    monkeypatch.setattr(learning_run, "PARTY_SAMPLES", 30)
    none, trust = (learning_run.dealt(digits, replace(SMALL, rule=rule), 0) for rule in ("none", "trust"))
    assert len(none.owner) == OWNER_SAMPLES and len(trust.owner) == OWNER_SAMPLES + ROOT
    assert (none.owner.x == trust.owner.x[:OWNER_SAMPLES]).all() and (none.test.x == trust.test.x).all()
    assert all((a.x == b.x).all() for a, b in zip(none.parties, trust.parties, strict=True))


@pytest.mark.parametrize("reading", READINGS)
def test_only_the_public_part_of_the_owner_ever_changes_by_others(digits: data.Samples, reading: str) -> None:
    setting = replace(SMALL, reading=reading, adapt_epochs=0, share=0.5)
    market = Market(setting, dealt(digits, setting), 0)
    before = market.model.copy()
    market.session(0)
    changed = np.flatnonzero(market.model != before)
    (span,) = choose(setting.preset.model, ["fc3"]).spans[:1]
    assert len(changed) and changed.min() >= span[0]


def test_readings_start_where_they_say(digits: data.Samples) -> None:
    def private(reading: str) -> tuple[Market, list[Any]]:
        setting = replace(SMALL, reading=reading)
        market = Market(setting, dealt(digits, setting), 0)
        begins = [market._private(0).copy()]
        market.session(0)
        return market, [*begins, market._private(0)]

    market, (first, second) = private("stateless")
    assert (first == market.start).all() and (second == market.start).all()
    market, (first, second) = private("kept")
    assert (first == market.start).all() and (second != market.start).any()
    market, (first, second) = private("own")
    assert (first != market.start).any() and (second != first).any()


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_and_every_deal_runs(digits: data.Samples, rule: str) -> None:
    for how in (Deal(), Deal("dirichlet", 0.1), Deal("labels", 2), Deal("sizes")):
        setting = replace(SMALL, rule=rule, deal=how, attack="sign-flip", inside=True, rate=0.25)
        result = play(setting, dealt(digits, setting), 0)
        assert result["hostile"] == [2] and result["honest"] == [6]
        assert result["passed"] == result["units"] == [8 if rule == "trust" else 4]


def test_oversized_groups_are_refused_only_where_there_is_a_bound(digits: data.Samples) -> None:
    attacked = replace(SMALL, attack=NOISE, factor=1.0, rate=0.125)
    bounded = play(attacked, dealt(digits, attacked), 0)
    assert bounded["passed"] == [3] and bounded["bad_kept"] == [0]
    free = replace(attacked, bounded=False)
    assert play(free, dealt(digits, free), 0)["bad_kept"] == [1]


def test_settings_survive_json() -> None:
    setting = replace(SMALL, deal=Deal("labels", 2), attack=NOISE)
    assert Setting.decode(setting.encode()) == setting
    with pytest.raises(ValueError, match="unknown"):
        Setting(rule="other")


@pytest.mark.parametrize(("rule", "name"), [(Rule.MULTI_KRUM, "multi-krum"), (Rule.OUTLIER, "outlier")])
def test_sums_are_those_of_the_protocols_own_machines(digits: data.Samples, rule: Rule, name: str) -> None:
    """Real updates of a session, one attacker among them, through provers, masks, shares and a chain's selection."""
    setting = replace(SMALL, group_size=2, attack="random", inside=True, rate=0.125)
    market = Market(setting, dealt(digits, setting), 0)
    uploads = {k: market.upload(k, 0, market.update(k, 0)) for k in range(8)}
    session = Session(
        5, dimension=310, frac_bits=16, bound=market.bound, groups=4, group_size=2, rule=rule, mu_bps=2500, pool=8
    )
    for k, node in enumerate(session.owners):
        node.update = uploads[k]
    session.run()
    index = {node.address: k for k, node in enumerate(session.owners)}
    groups = [[index[session.market.owners[k]] for k in group] for group in session.market.groups]
    expected = server.grouped(uploads, groups, market.bound, name, 2500)
    output = session.owner.machine.result  # type: ignore[attr-defined]
    assert expected.total is not None and (output.total == expected.total).all()
    assert output.sizes == expected.sizes and output.norms == expected.squares
    assert output.count == len(expected.members)
