"""Data owners that die, come back or cheat with what they upload."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.sessions.params import Bitmap, Phase, Rule
from tests.simulation.attacks import cheat_with_pieces, mute_from, without_calls
from tests.simulation.session import Session

STEPS = [phase for phase in Phase if Phase.KEYS <= phase <= Phase.OUTPUT]


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
def test_a_data_owner_that_dies_at_any_step(phase: Phase) -> None:
    session = Session(int(phase))
    session.run_until(phase)
    victim = session.owners[4]
    session.network.kill(victim)
    session.run()
    result = session.assert_exact()
    assert result.count >= 5 and session.market.named == 0


def test_a_group_of_three_completes_with_two_after_key_sharing() -> None:
    session = Session(20)
    victim = session.owners[0]
    victim.twist = mute_from(Phase.UPLOAD)
    session.run()
    result = session.assert_exact()
    assert sorted(result.sizes) == [2, 3] and session.index_of(victim) not in session.accepted()


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
def test_a_data_owner_comes_back_from_its_journal_at_any_step(phase: Phase) -> None:
    session = Session(30 + phase, loss=0.2)
    session.run_until(phase)
    victim = session.owners[2]
    session.network.kill(victim)
    session.step()
    session.network.restart(victim)
    session.run()
    assert session.assert_exact().count == 6


def test_the_owner_comes_back_from_its_journal() -> None:
    session = Session(40)
    session.network.kill(session.owner)
    session.run_until(Phase.OUTPUT)
    session.step()
    session.network.restart(session.owner)
    session.run()
    assert session.assert_exact().count == 6


@pytest.mark.parametrize("points", [[2], [1, 2], [1, 2, 3]], ids=str)
def test_pieces_that_are_not_on_one_polynomial_put_their_dealer_out(
    points: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(44)
    cheat = session.owners[1]
    cheat_with_pieces(monkeypatch, session.params.dimension, cheat, points)
    session.run()
    result = session.assert_exact()
    assert result.count == 5 and session.index_of(cheat) not in session.in_set(Bitmap.VALID)
    assert session.market.named == 0 and session.market.slashed == set()
    for prover in session.provers:
        assert {(b.peer, b.rule) for b in prover.blames} == {(cheat.address, "inconsistent-sharing")}


def test_a_random_vector_ten_times_too_long_fails_with_its_group() -> None:
    session = Session(45, groups=4, rule=Rule.OUTLIER, mu_bps=2500)
    attacker = session.owners[5]
    assert attacker.update is not None
    attacker.update = attacker.update * 10
    session.run()
    assert session.assert_exact().count == 9
    bad = session.market.groups[next(r for r, g in enumerate(session.market.groups) if session.index_of(attacker) in g)]
    assert not set(bad) & set(session.accepted())
    assert session.market.batch is not None and session.market.batch.passed.bit_count() == 3


def test_a_vector_that_wraps_around_the_field_is_caught() -> None:
    session = Session(46, groups=4)
    attacker = session.owners[0]
    attacker.update = np.zeros(session.params.dimension, dtype=np.int64)
    attacker.update[:2] = 2**62
    session.run()
    assert session.assert_exact().count == 9
    assert ("why", "the sum wraps around") in session.provers[0].notes[-2].fields or any(
        ("why", "the sum wraps around") in note.fields for note in session.provers[0].notes
    )


def test_selection_drops_a_group_that_points_elsewhere() -> None:
    session = Session(47, groups=4, rule=Rule.OUTLIER, mu_bps=2500)
    direction = session.honest_update(0)
    for node in session.owners:
        node.update = direction.copy()
    session.run_until(Phase.KEYS)
    for k in session.market.groups[2]:
        node = session.registered()[k]
        if not node.trained:
            node.update = -direction
    session.run()
    result = session.assert_exact()
    flipped = any(session.registered()[k].update[0] != direction[0] for k in session.market.groups[2])  # type: ignore[index]
    assert result.count == (9 if flipped else 12)


@pytest.mark.parametrize("windows", [(10, 10), (20, 10), (10, 25)], ids=str)
@pytest.mark.parametrize("missing", ["commitShares", "commitUpload"])
def test_phases_that_begin_late_leave_the_provers_time(windows: tuple[int, int], missing: str) -> None:
    """One data owner is silent, so phases run to their deadlines; nobody honest misses a bitmap."""
    session = Session(70, upload_blocks=windows[0], settle_blocks=windows[1])
    session.owners[0].twist = without_calls(missing)
    session.run()
    assert session.assert_exact().count == 5 and session.market.slashed == set()
