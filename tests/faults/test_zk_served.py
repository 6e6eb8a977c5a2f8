"""Sessions of certificate zk: who lacks a share that fits is helped by any t + 1, whatever the others send."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Effects, Node
from protocols.sessions import effects as fx
from protocols.sessions.params import Bitmap, Phase, Rule
from protocols.wire import messages as msg
from tests.simulation import zk_attacks as attacks
from tests.simulation.attacks import rewrite
from tests.simulation.session import Session, proved


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    attacks.quick_pairings(monkeypatch)


def served_badly(monkeypatch: pytest.MonkeyPatch, rule: Rule = Rule.MULTI_KRUM) -> tuple[Session, int]:
    """A data owner deals a bad piece to the second prover and none to the fourth. Its registration index."""
    session = proved(11, rule=rule).run_until(Phase.UPLOAD)
    cheat, absent = session.owners[0], session.committee()[3].address
    attacks.forge(monkeypatch, cheat, attacks.bad_shares(2))
    cheat.twist = rewrite(lambda _, e: None if isinstance(e.message, msg.Upload) and e.to == absent else e)
    return session, session.index_of(cheat)


def without_help(effects: Effects) -> Effects:
    return [e for e in effects if not (isinstance(e, fx.Reply) and isinstance(e.message, msg.RebuildShare))]


@pytest.mark.parametrize("rule", [Rule.MULTI_KRUM, Rule.TRUST, Rule.NONE], ids=lambda rule: rule.name)
def test_a_complaint_told_to_one_prover_alone(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last prover complains to the one with the bad piece only, opens nothing and helps nobody."""
    session, k = served_badly(monkeypatch, rule)
    victim, liar = session.committee()[1], session.committee()[4]

    def hostile(node: Node, e: fx.Send) -> fx.Send | None:
        if isinstance(e.message, msg.PieceComplaint) and e.to == victim.address:
            return replace(e, message=replace(e.message, bad=1 << k))
        return None if isinstance(e.message, msg.Opening) else e

    liar.twist = lambda node, effects: without_help(rewrite(hostile)(node, effects))
    session.run(most=150)
    assert session.market.phase == Phase.FINISHED and session.assert_exact().count >= 4
    assert session.market.slashed <= {4}


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("blocks", [2, 6])
def test_a_complaint_that_comes_late(silent: bool, blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the data owner may be in the set, with two shares that fit and a prover that neither opens nor helps: both
    that lack one are helped, since what is rebuilt is held against its commitment.
    """
    session, k = served_badly(monkeypatch)
    victim, liar = session.committee()[1], session.committee()[4]
    held: list[tuple[int, fx.Send]] = []

    def hostile(node: Node, e: fx.Send) -> fx.Send | None:
        mute = (msg.Opening, msg.PieceComplaint) if silent else msg.Opening
        return None if isinstance(e.message, mute) else e

    def slow(node: Node, effects: Effects) -> Effects:
        what = msg.PieceComplaint | msg.ShareOpening
        late = [e for e in effects if isinstance(e, fx.Send) and isinstance(e.message, what)]
        held.extend((session.market.block + blocks, e) for e in late)
        return [e for e in effects if e not in late]

    def release(session: Session) -> None:
        for entry in [entry for entry in held if entry[0] <= session.market.block]:
            held.remove(entry)
            session.network.act(victim, [entry[1]])

    liar.twist = lambda node, effects: without_help(rewrite(hostile)(node, effects))
    victim.twist, session.on_block = slow, release
    session.run(most=150)
    assert session.market.phase == Phase.FINISHED and session.assert_exact().count >= 4
    if session.market.sets[Bitmap.VALID] >> k & 1:
        rebuilt = [dict(n.fields)["data_owner"] for p in (victim, session.committee()[3]) for n in p.notes
                   if n.name == "share_rebuilt"]  # fmt: skip
        assert rebuilt == [k, k]
