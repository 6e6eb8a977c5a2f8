"""The fold over all sessions: history for late drivers, where to resume, and what a reorganisation takes back."""

from __future__ import annotations

from omninode.roles.chainlog import ChainLog
from omninode.roles.events_codec import pack_events
from omninode.roles.replay import without_rolled_back
from protocols.sessions import events as ev
from protocols.sessions.params import Phase
from protocols.sessions.view import SessionView


def _phase(session: int, block: int, phase: Phase) -> ev.PhaseChanged:
    return ev.PhaseChanged(session, block, phase, block + 10)


def test_events_are_grouped_by_session_and_registry_events_left_out() -> None:
    log = ChainLog()
    grouped = log.fold(7, [_phase(1, 6, Phase.COMMITTEE), _phase(2, 7, Phase.COMMITTEE), _phase(0, 7, Phase.NONE)])
    assert {session: len(events) for session, events in grouped.items()} == {1: 1, 2: 1}
    assert log.views[1].phase == Phase.COMMITTEE


def test_history_replays_a_live_session() -> None:
    log = ChainLog()
    log.fold(5, [_phase(1, 5, Phase.COMMITTEE)])
    log.fold(6, [])
    log.fold(7, [_phase(1, 7, Phase.REGISTER)])
    assert [(block, len(events)) for block, events in log.history(1)] == [(5, 1), (7, 1)]


def test_a_restart_begins_at_the_oldest_live_session() -> None:
    log = ChainLog()
    log.fold(5, [_phase(1, 5, Phase.COMMITTEE)])
    log.fold(9, [_phase(2, 9, Phase.COMMITTEE)])
    assert log.resume_block(20) == 5
    log.fold(10, [_phase(1, 10, Phase.FINISHED)])
    assert log.resume_block(20) == 9
    log.fold(11, [_phase(2, 11, Phase.ABORTED)])
    assert log.resume_block(20) == 20


def test_a_reorganisation_folds_again_from_what_is_left() -> None:
    log = ChainLog()
    log.fold(5, [_phase(1, 5, Phase.COMMITTEE)])
    log.fold(8, [_phase(1, 7, Phase.REGISTER), _phase(1, 8, Phase.DRAW), _phase(3, 8, Phase.COMMITTEE)])
    log.roll_back(7)
    assert log.views[1].phase == Phase.REGISTER
    assert 3 not in log.views
    log.fold(8, [_phase(1, 8, Phase.ABORTED)])
    assert log.views[1].phase == Phase.ABORTED


def test_who_holds_a_view_sees_what_a_reorganisation_makes_of_it() -> None:
    """A join under way, and the files of its session."""
    log = ChainLog()
    log.fold(5, [_phase(1, 5, Phase.COMMITTEE)])
    log.fold(7, [_phase(1, 7, Phase.REGISTER), _phase(2, 7, Phase.COMMITTEE)])
    first, second = log.views[1], log.views[2]
    log.roll_back(6)
    assert (first.phase, first.phase_block, second.phase) == (Phase.COMMITTEE, 5, Phase.NONE)
    log.fold(8, [_phase(1, 7, Phase.ABORTED), _phase(2, 8, Phase.REGISTER)])
    assert log.views[1] is first and log.views[2] is second  # the second was gone for a while
    assert (first.phase, second.phase) == (Phase.ABORTED, Phase.REGISTER)
    log.roll_back(6)
    assert first.phase == Phase.COMMITTEE


def test_a_cleared_view_is_a_new_one() -> None:
    view = SessionView(3)
    for event in (_phase(3, 5, Phase.COMMITTEE), ev.Registered(3, 6, 0, b"a" * 20, b"p" * 32, bytes(32))):
        view.apply(event)
    members = view.members
    view.clear()
    assert view == SessionView(3)
    assert len(members) == 1  # what was taken from it stays


def test_the_journal_forgets_blocks_that_the_chain_took_back_and_keeps_messages() -> None:
    entries = [
        (0, "chain", pack_events(5, [_phase(1, 5, Phase.COMMITTEE)])),
        (1, "message", b"m"),
        (2, "tick", (8).to_bytes(8, "big")),
        (3, "chain", pack_events(8, [_phase(1, 8, Phase.REGISTER)])),
        (4, "rollback", (6).to_bytes(8, "big")),
        (5, "chain", pack_events(8, [_phase(1, 8, Phase.ABORTED)])),
    ]
    assert [kind for kind, _ in without_rolled_back(entries)] == ["chain", "message", "chain"]
