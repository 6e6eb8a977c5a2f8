"""The data owner's machine through whole sessions: sums are exact whoever drops out, and a replay gives the same
bytes.
"""

from __future__ import annotations

import numpy as np
import pytest

from protocols.errors import LocalProtocolError
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.params import Bitmap, Phase
from protocols.wire import messages as msg
from tests.unit.grouped import COMMITTEE, DIMENSION, World, feed, owner


def of(effects: list[fx.Effect], kind: type[fx.Effect]) -> list[fx.Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


def finish(world: World, valid: set[int], alive: set[int]) -> None:
    """From the uploads to the end; V without U is dead."""
    world.dead |= set(world.machines) - alive
    world.phase(Phase.DELIVERED)
    for k in alive:
        for i in range(COMMITTEE):
            world.send(k, world.receipt(k, i))
    world.fix(Bitmap.DELIVERED, alive)
    world.phase(Phase.VALID)
    world.fix(Bitmap.VALID, alive)
    world.phase(Phase.BATCH)


@pytest.mark.parametrize(
    ("size", "valid", "alive"),
    [
        (2, {0, 1}, {0, 1}),
        (3, {0, 1, 2}, {0, 1, 2}),
        (3, {0, 1, 2}, {0, 2}),
        (3, {0, 2}, {0, 2}),
        (5, {0, 1, 2, 3, 4}, {1, 2, 4}),
        (5, {0, 1, 3, 4}, {0, 3, 4}),
        (7, {0, 1, 2, 3, 4, 5, 6}, {0, 2, 4, 6}),
    ],
)
def test_the_sum_of_the_survivors_is_exact(size: int, valid: set[int], alive: set[int]) -> None:
    world = World(size)
    world.to_upload(valid)
    finish(world, valid, alive)
    for i in (0, COMMITTEE - 1):
        assert np.array_equal(world.collect(valid, alive, i), world.expected(alive))
    assert not any(of(effects, fx.Blame) for effects in world.effects.values())


def test_a_data_owner_that_never_shares_keys_is_left_behind() -> None:
    world = World(5)
    world.register()
    world.dead = {2}
    world.draw()
    world.commit_roots()
    alive = {0, 1, 3, 4}
    for k in alive:
        sets = [m for _, m in world.to_provers[0] if isinstance(m, msg.BundleSet) and m.sender == owner(k)]
        assert [len(s) > 0 for s in sets[-1].sealed] == [m not in (2, k) for m in world.order]
    world.fix(Bitmap.BUNDLES, alive)
    world.phase(Phase.UPLOAD)
    world.train()
    finish(world, alive, alive)
    assert np.array_equal(world.collect(alive, alive), world.expected(alive))


def test_effects_of_a_quiet_session() -> None:
    world = World(3)
    world.to_upload({0, 1, 2})
    finish(world, {0, 1, 2}, {0, 1, 2})
    world.emit(ev.BatchFinal(7, world.block, bytes(32), 1, 1, 0b111))
    world.phase(Phase.OUTPUT)
    world.phase(Phase.FINISHED)
    world.phase(Phase.FINISHED)
    world.tick()
    for k in range(3):
        assert list(world.transactions[k]) == ["register", "commitShares", "commitUpload", "claim"]
        assert world.transactions[k]["register"].value == 5
        effects = world.effects[k]
        assert len(of(effects, fx.Train)) == 1
        assert [(e.key, e.value) for e in effects if isinstance(e, fx.Remember)] == [
            ("session", world.machines[k].view.p.digest),
            ("V", (7).to_bytes(32, "big")),
            ("U", (7).to_bytes(32, "big")),
        ]
        kinds = [type(e.message).__name__ for e in effects if isinstance(e, fx.Send)]
        assert {kind: kinds.count(kind) for kind in kinds} == {"Bundle": 2, "BundleSet": 5, "Upload": 5, "Unmask": 5}
        status = world.machines[k].status()
        assert (status["accepted"], status["why"], status["phase"]) == (True, "", "finished")
        assert status["receipts"] == [0, 1, 2, 3, 4]


def test_remember_comes_before_what_depends_on_it() -> None:
    world = World(3)
    world.to_upload({0, 1, 2})
    finish(world, {0, 1, 2}, {0, 1})
    effects = world.effects[0]
    for key, kind in (("V", msg.Upload), ("U", msg.Unmask)):
        written = next(i for i, e in enumerate(effects) if isinstance(e, fx.Remember) and e.key == key)
        first = next(i for i, e in enumerate(effects) if isinstance(e, fx.Send) and isinstance(e.message, kind))
        assert written < first


def test_a_replay_gives_the_same_effects() -> None:
    world = World(4, deaf={1})
    world.to_upload({0, 1, 2, 3})
    world.tick(3)
    finish(world, {0, 1, 2, 3}, {0, 2, 3})
    for k, steps in world.steps.items():
        fresh = world.machine(k)
        assert [e for step in steps for e in feed(fresh, step)] == world.effects[k]
        assert fresh.status() == world.machines[k].status()


def test_ticks_without_effects_leave_no_trace() -> None:
    world = World(4, deaf={1})
    world.to_upload({0, 1, 2, 3})
    world.tick(5)
    for k, steps in world.steps.items():
        full, sparse = world.machine(k), world.machine(k)
        for step in steps:
            effects = feed(full, step)
            if effects or step[0] != "tick":
                assert feed(sparse, step) == effects
        assert sparse.status() == full.status()


def test_updates_may_come_before_v_or_after() -> None:
    early, late = World(3), World(3)
    for world, first in ((early, True), (late, False)):
        world.register()
        world.draw()
        if first:
            world.train()
        world.commit_roots()
        world.fix(Bitmap.BUNDLES, {0, 1, 2})
        world.phase(Phase.UPLOAD)
        if not first:
            assert "commitUpload" not in world.transactions[0]
            world.train()
    assert [early.root(k) for k in range(3)] == [late.root(k) for k in range(3)]


def test_an_update_after_the_deadline_stays_here() -> None:
    world = World(3)
    world.register()
    world.draw()
    world.commit_roots()
    world.fix(Bitmap.BUNDLES, {0, 1, 2})
    world.phase(Phase.UPLOAD)
    world.phase(Phase.DELIVERED)
    world.train()
    assert all("commitUpload" not in done for done in world.transactions.values())


def test_only_members_of_v_upload_and_only_if_they_are_enough() -> None:
    world = World(5)
    world.to_upload({0, 1, 2})
    assert ["commitUpload" in world.transactions[k] for k in range(5)] == [True] * 3 + [False] * 2
    assert world.machines[3].status()["why"] == "our key shares did not reach the provers in time"
    world = World(5)
    world.to_upload({0, 1})
    assert not any("commitUpload" in done for done in world.transactions.values())
    remembered = {e.key for effects in world.effects.values() for e in of(effects, fx.Remember)}
    assert remembered == {"session"}
    assert world.machines[0].status()["why"] == "too few of our group shared keys"


def test_wrong_updates_are_our_own_fault() -> None:
    world = World(2)
    world.register()
    machine = world.machines[0]
    for update in (np.zeros(DIMENSION - 1, np.int64), np.zeros(DIMENSION, np.int32), np.full(DIMENSION, 2**63 - 1)):
        with pytest.raises(ValueError):
            machine.update_ready(update)
    machine.update_ready(world.updates[0])
    with pytest.raises(LocalProtocolError):
        machine.update_ready(world.updates[0])


def test_the_policy_can_leave_after_the_draw() -> None:
    world = World(3)
    world.register()
    machine = World.machine(0)
    machine._membership.policy = lambda view: f"{len(view.members)} members are too few"
    for step in world.steps[0]:
        feed(machine, step)
    effects = machine.chain(ev.GroupsDrawn(7, world.block, world.order, 1))
    assert [type(e) for e in effects] == [fx.Note]
    assert machine.chain(ev.PhaseChanged(7, world.block, Phase.KEYS, 200)) == []
    assert machine.status()["why"] == "3 members are too few"
    claim = machine.chain(ev.PhaseChanged(7, world.block, Phase.ABORTED, 0))
    assert of(claim, fx.Transact) == [fx.Transact("claim", (), key="claim")]


def test_a_session_without_us() -> None:
    world = World(3)
    world.register()
    stranger = World.machine(9)
    for kind, value in world.steps[0]:
        feed(stranger, (kind, value))
    assert stranger.chain(ev.GroupsDrawn(7, world.block, world.order, 1)) == []
    assert stranger.status()["why"] == "not registered"
    assert stranger.chain(ev.PhaseChanged(7, world.block, Phase.FINISHED, 0)) == []


@pytest.mark.parametrize(
    ("passed", "selected", "accepted", "why"),
    [(0, 0, 0, "the sum of our group is out of bounds"), (1, 0, 0, "our group was not selected"), (1, 1, 7, "")],
)
def test_the_outcome_is_said(passed: int, selected: int, accepted: int, why: str) -> None:
    world = World(3)
    world.to_upload({0, 1, 2})
    finish(world, {0, 1, 2}, {0, 1, 2})
    world.emit(ev.BatchFinal(7, world.block, bytes(32), passed, selected, accepted))
    assert world.machines[0].status()["why"] == why
    notes = [e for e in world.effects[0] if isinstance(e, fx.Note) and e.name == "settled"]
    assert [dict(note.fields)["why"] for note in notes] == [why]


def test_an_aborted_session_is_claimed_and_said() -> None:
    world = World(2)
    world.register()
    world.emit(ev.SessionAborted(7, world.block, "no groups"))
    world.phase(Phase.ABORTED)
    assert "claim" in world.transactions[0]
    assert any(isinstance(e, fx.Note) and e.name == "session_aborted" for e in world.effects[0])
    world.tick(3)
    assert list(world.transactions[0]) == ["register", "claim"]
