"""The simulation: its rules on hand-made numbers, and the accuracy that the market promises on real digits."""

from __future__ import annotations

import pytest

from omninode.learning import data
from omninode.learning.presets import DIGITS
from omninode.learning.simulate import OWNER, Options, Plan, draw, pooled_accuracy, select_outlier, simulate
from omninode.learning.simulate_table import hostile, main

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def split() -> data.Split:
    return data.split(data.load_digits(), 0)


def test_groups_are_drawn_afresh_and_hold_everybody() -> None:
    plans = draw(14, 3, 4, seed=1)
    for plan in plans:
        assert sorted(k for group in plan.groups for k in group) == list(range(14))
        assert [len(group) for group in plan.groups] == [3, 3, 3, 5]
    assert len({plan.groups for plan in plans}) == 4
    assert draw(14, 3, 4, seed=1) == plans


def test_outlier_rule_on_hand_made_distances() -> None:
    near, far = 1.0, 100.0
    odd = [[0.0 if r == s else far if 3 in (r, s) else near for s in range(4)] for r in range(4)]
    even = [[0.0 if r == s else near for s in range(4)] for r in range(4)]
    assert select_outlier(odd, 4, 0.25, refused=0) == [0, 1, 2]
    assert select_outlier(odd, 4, 0.25, refused=1) == [0, 1, 2, 3]
    assert select_outlier(even, 4, 0.25, refused=0) == [0, 1, 2, 3]
    assert select_outlier([row[:3] for row in even[:3]], 4, 0.25, refused=0) == []
    assert select_outlier([row[:3] for row in even[:3]], 4, 0.25, refused=1) == [0, 1, 2]


def test_five_sessions_reach_what_the_market_promises(split: data.Split) -> None:
    plans = draw(12, 3, 5, seed=0)
    exact = simulate(DIGITS, split, 0, plans, Options(integers=True))
    plain = simulate(DIGITS, split, 0, plans)
    assert exact.final >= 0.84
    assert exact.gain >= 0.08
    assert 0.55 <= exact.owner_alone <= 0.75
    assert abs(exact.final - plain.final) <= 0.01
    assert exact.final <= pooled_accuracy(DIGITS, split, 0) + 0.01


def test_hostile_session_loses_its_group_and_nothing_else(split: data.Split) -> None:
    plans = hostile(draw(12, 3, 4, seed=0))
    run = simulate(DIGITS, split, 0, plans, Options(integers=True))
    assert [session.accepted for session in run.sessions[:2]] == [(0, 1, 2, 3)] * 2
    assert run.sessions[2].accepted == (1, 2, 3)
    assert run.final >= run.owner_alone + 0.08


def test_without_bounds_the_same_attack_breaks_the_model(split: data.Split) -> None:
    """The control: the attack is wired, and it is the bound and the rule that stop it."""
    plans = [Plan(plan.groups, hostile=frozenset(plan.groups[0][:1])) for plan in draw(12, 3, 1, seed=0)]
    open_door = simulate(DIGITS, split, 0, plans, Options(clip=False, mu=0.0))
    assert open_door.final < open_door.owner_alone
    assert simulate(DIGITS, split, 0, plans).final > open_door.owner_alone


def test_too_few_groups_left_gives_no_output(split: data.Split) -> None:
    plan = draw(12, 3, 1, seed=0)[0]
    silent = Plan(plan.groups, dropped=frozenset(k for group in plan.groups[:2] for k in group[:2]))
    run = simulate(DIGITS, split, 0, [silent])
    assert run.sessions[0].accepted == ()


def test_training_seeds_can_be_replayed(split: data.Split) -> None:
    asked: list[tuple[int, int]] = []

    def seed_of(session: int, party: int) -> int:
        asked.append((session, party))
        return session * 100 + party + 1

    plans = draw(12, 3, 2, seed=0)
    first = simulate(DIGITS, split, 0, plans, seed_of=seed_of)
    assert sorted(asked) == [(s, k) for s in range(2) for k in range(OWNER, 12)]
    assert simulate(DIGITS, split, 0, plans, seed_of=seed_of) == first


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--seeds", "1", "--sessions", "1"])
    shown = capsys.readouterr().out
    assert "fixed point, clip at B" in shown
    assert "all data in one place: mean 0.9" in shown
