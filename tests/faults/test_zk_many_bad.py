"""Certificate zk: many bad records or pieces cost time, step by step, and keep no good one out, nor a vote."""

from __future__ import annotations

import pytest

from omninode.reproduce.stage.node import Node
from protocols.sessions import effects as fx
from protocols.sessions import zk_complaints, zk_records
from protocols.sessions.params import Bitmap, Payout, Phase, Rule
from protocols.wire import messages as msg
from protocols.zk import range_check, share_check
from tests.simulation import zk_attacks as attacks
from tests.simulation.attacks import rewrite
from tests.simulation.session import Session, proved

TRUST: dict[str, object] = {"rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    attacks.quick_pairings(monkeypatch)


def forged(task: attacks.Task) -> attacks.Made:
    """A record whose identity holds and whose openings do not: it takes a pairing to see it."""
    return attacks.assemble(task, attacks.forged_record(task, [*(int(v) for v in task.values[:-1]), 31]))


class Counted:
    """Calls of a function in one tick: at most, and at most where the bitmap goes out, or is about to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, session: Session, target: object, name: str) -> None:
        self.count, self.most, self.at_cut = 0, 0, 0
        honest = getattr(target, name)

        def counted(*args: object) -> object:
            self.count += 1
            return honest(*args)

        monkeypatch.setattr(target, name, counted)
        for node in session.committee():
            self._watch(monkeypatch, node)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, node: Node) -> None:
        tick = node.machine.tick

        def watched(block: int) -> list[fx.Effect]:
            self.count, late = 0, block >= node.machine._desk.cut() - 1  # type: ignore[attr-defined]
            effects = tick(block)
            self.most = max(self.most, self.count)
            if late and node.machine.view.phase in (Phase.DELIVERED, Phase.VALID):
                self.at_cut = max(self.at_cut, self.count)
            return effects

        monkeypatch.setattr(node.machine, "tick", watched)


def assert_good_ones_only(session: Session, cheats: list[Node]) -> None:
    session.run(most=150)
    assert session.market.phase == Phase.FINISHED and session.market.slashed == set()
    good = {session.index_of(node) for node in session.owners if node not in cheats}
    assert set(session.in_set(Bitmap.VALID)) == good and session.assert_exact().count == len(good)


def test_many_bad_records_are_found_one_pairing_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zk_records, "AT_ONCE", 1)
    session = proved(80, groups=8, settle_blocks=60, **TRUST).run_until(Phase.REGISTER)
    cheats = session.owners[1:5]
    for node in cheats:
        attacks.forge(monkeypatch, node, forged)
    counted = Counted(monkeypatch, session, range_check, "paired")
    assert_good_ones_only(session, cheats)
    assert counted.most == 1 and counted.at_cut == 0
    for prover in session.committee():
        blamed = [b.peer for b in prover.blames if b.rule == "proof-failed"]
        assert sorted(blamed) == sorted(node.address for node in cheats)


def test_what_is_not_judged_at_the_cut_is_voted_against(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too short a phase for so much: all the same everybody votes in time, and nobody loses a stake."""
    monkeypatch.setattr(zk_records, "AT_ONCE", 1)
    session = proved(81, groups=8, **TRUST).run_until(Phase.REGISTER)
    cheats = session.owners[:5]
    for node in cheats:
        attacks.forge(monkeypatch, node, forged)
    counted = Counted(monkeypatch, session, range_check, "paired")
    session.run(most=150)
    assert set(session.market.posted[Bitmap.VALID]) == set(range(5)) and session.market.slashed == set()
    assert not set(session.in_set(Bitmap.VALID)) & {session.index_of(node) for node in cheats}
    assert counted.most == 1 and counted.at_cut == 0


@pytest.mark.parametrize(("at_once", "settle_blocks", "bad"), [(1, 90, range(2, 6)), (2, 16, range(5))])
def test_many_bad_pieces_are_found_step_by_step(
    at_once: int, settle_blocks: int, bad: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phase of eight blocks has five steps, two pieces in each are nine and more, whatever is bad."""
    monkeypatch.setattr(zk_complaints, "WORK", 0)
    monkeypatch.setattr(zk_complaints, "LEAST", at_once)
    session = proved(82, groups=8, settle_blocks=settle_blocks, **TRUST).run_until(Phase.REGISTER)
    cheats = [session.owners[k] for k in bad]
    for node in cheats:
        attacks.forge(monkeypatch, node, attacks.bad_shares(4))
    counted = Counted(monkeypatch, session, share_check.Search, "_excess")
    assert_good_ones_only(session, cheats)
    assert counted.most <= at_once and counted.at_cut == 0
    published = [e.message.index for p in session.committee() for e in p.effects  # type: ignore[attr-defined]
                 if isinstance(e, fx.Send) and isinstance(e.message, msg.ShareOpening)]  # fmt: skip
    assert set(published) == {session.index_of(node) for node in cheats}


def test_pieces_that_nobody_can_check_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One prover is kept busy: it votes in time against what it has not checked, and its shares are rebuilt."""
    monkeypatch.setattr(zk_complaints, "WORK", 0)
    monkeypatch.setattr(zk_complaints, "LEAST", 1)
    session = proved(83, groups=8, settle_blocks=16, **TRUST).run_until(Phase.REGISTER)
    for node in session.owners[:4]:
        attacks.forge(monkeypatch, node, attacks.bad_shares(4))
    session.run(most=150)
    assert session.market.phase == Phase.FINISHED and session.assert_exact().count >= 4
    assert set(session.market.posted[Bitmap.VALID]) == set(range(5)) and session.market.slashed == set()


def test_nothing_is_judged_in_the_block_of_the_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload is waited for until the cut of phase DELIVERED: then the bitmap goes out first."""
    monkeypatch.setattr(zk_records, "AT_ONCE", 2)
    session = proved(84, groups=8, **TRUST).run_until(Phase.REGISTER)
    for node in session.owners[:4]:
        attacks.forge(monkeypatch, node, forged)
    first = session.committee()[0].address
    session.owners[7].twist = rewrite(lambda _, e: None if isinstance(e.message, msg.Upload) and e.to == first else e)
    counted = Counted(monkeypatch, session, range_check, "paired")
    session.run(most=150)
    assert session.market.phase == Phase.FINISHED and counted.at_cut == 0 and counted.most > 0
