"""Verified sessions: data owners and the owner crash, come late or fall silent; provers die or leave receipts out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Effects, Node
from protocols.sessions import effects as fx
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule
from protocols.wire import messages as msg
from tests.simulation.attacks import mute_from, rewrite, swallow, without_calls
from tests.simulation.session import Session, verified

STEPS = [p for p in Phase if p == Phase.REGISTER or Phase.UPLOAD <= p <= Phase.OUTPUT]
MODES = [
    {"rule": Rule.NONE}, {"rule": Rule.TRUST}, {"payout": Payout.CONTRIBUTION},
    {"rule": Rule.MULTI_KRUM, "payout": Payout.CONTRIBUTION},
]  # fmt: skip


def equal(session: Session) -> int:
    """What each gets with equal pay."""
    return session.params.reward // len(session.market.owners)


def assert_honest(session: Session, but: Node | None = None) -> None:
    """Nobody is blamed, named or slashed, unless it is ``but``."""
    others = {blame.peer for node in session.network.nodes.values() if node is not but for blame in node.blames}
    assert others <= ({but.address} if but else set())
    assert session.market.named == 0 and session.market.slashed == set()


@pytest.mark.parametrize("changes", MODES, ids=str)
def test_a_quiet_session_pays_all(changes: dict[str, object]) -> None:
    session = verified(1, **changes).run()
    assert session.assert_exact().count == 6
    assert_honest(session)
    assert session.payouts.keys() == set(range(6)) and sum(session.payouts.values()) <= session.params.reward
    everybody = {node.address for node in [*session.committee(), *session.owners, session.owner]}
    assert session.market.claimed == everybody


# --------------------------------------------------------------------------------------------------------- crashes


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
def test_a_data_owner_that_dies_at_any_step(phase: Phase) -> None:
    session = verified(int(phase), rule=Rule.TRUST)
    session.run_until(phase)
    session.network.kill(session.owners[4])
    session.run()
    assert session.assert_exact().count >= 5
    assert_honest(session)


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
def test_a_data_owner_comes_back_from_its_journal_at_any_step(phase: Phase) -> None:
    session = verified(30 + phase, loss=0.2)
    session.run_until(phase)
    victim = session.owners[2]
    session.network.kill(victim)
    session.step()
    session.network.restart(victim)
    session.run()
    assert session.assert_exact().count == 6 and victim.machine.status()["accepted"]


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
def test_the_owner_comes_back_from_its_journal_at_any_step(phase: Phase) -> None:
    session = verified(60 + phase, loss=0.2, payout=Payout.CONTRIBUTION)
    session.run_until(phase)
    session.network.kill(session.owner)
    session.step()
    session.network.restart(session.owner)
    session.run()
    assert session.assert_exact().count == 6 and REFERENCE in session.market.uploads


def test_who_has_n_minus_t_receipts_may_go_offline() -> None:
    session = verified(90, rule=Rule.TRUST)

    def leave_when_safe(s: Session) -> None:
        for node in [*s.owners, *([s.owner] if s.market.phase < Phase.OUTPUT else [])]:
            if node.alive and node.machine.status().get("may_leave", node is s.owner and node.notes):
                s.network.kill(node)

    session.on_block = leave_when_safe
    session.run_until(Phase.OUTPUT)
    assert not any(node.alive for node in session.owners)
    assert session.accepted() == list(range(6))
    session.network.restart(session.owner)
    session.run()
    session.assert_exact()
    assert session.payouts == dict.fromkeys(range(6), equal(session))


def test_a_data_owner_without_enough_receipts_may_not() -> None:
    session = verified(91)
    lonely = session.owners[0]
    session.run_until(Phase.REGISTER)
    reached = {node.address for node in session.committee()[:3]}
    lonely.twist = rewrite(lambda _, e: e if e.to in reached or not isinstance(e.message, msg.Upload) else None)
    session.run()
    assert lonely.machine.status()["may_leave"] is True  # the session is over
    assert lonely.notes[0].name == "settled"
    assert lonely.machine.status()["why"] == "our update did not reach the provers in time"
    assert session.assert_exact().count == 5 and session.index_of(lonely) not in session.payouts


@pytest.mark.parametrize("payout", list(Payout))
def test_an_owner_that_is_offline_after_the_batch_cannot_keep_the_pay(payout: Payout) -> None:
    session = verified(92, payout=payout)
    session.run_until(Phase.OUTPUT)
    session.network.kill(session.owner)
    session.run()
    assert session.market.phase == Phase.FINISHED and len(session.payouts) == 6
    assert session.market.claimed >= {node.address for node in session.owners}


# ----------------------------------------------------------------------------------------------- provers and receipts


@pytest.mark.parametrize("phase", [Phase.REGISTER, Phase.UPLOAD, Phase.DELIVERED], ids=lambda p: p.name)
def test_a_dead_prover_changes_nothing_for_the_owners(phase: Phase) -> None:
    session = verified(100 + phase, rule=Rule.TRUST)
    session.run_until(phase)
    session.network.kill(session.committee()[1])
    session.run()
    assert session.assert_exact().count == 6 and session.market.slashed == {1}


def test_a_receipt_that_is_left_out_goes_on_chain() -> None:
    session = verified(110, rule=Rule.TRUST)
    session.run_until(Phase.UPLOAD)
    victim = 2
    liar = session.committee()[3]

    def leave_out(node: Node, effects: Effects) -> Effects:
        return [
            replace(e, args=(e.args[0], e.args[1] & ~(1 << victim | 1 << REFERENCE)))  # type: ignore[operator]
            if isinstance(e, fx.Transact) and e.call == "postBitmap" and e.args[0] == Bitmap.DELIVERED else e
            for e in effects
        ]  # fmt: skip

    liar.twist = leave_out
    session.network.kill(session.committee()[0])  # so the bit is needed
    session.run()
    assert session.assert_exact().count == 6 and session.market.slashed == {0, 3}
    posted = {(sender, call) for _, sender, call, good in session.market.log if call == "postReceipt" and good}
    assert posted == {(session.market.owners[victim], "postReceipt"), (session.owner.address, "postReceipt")}


def test_receipts_of_provers_that_fall_silent_count_for_their_bits() -> None:
    """Two provers post no bitmap: without receipts every upload would lack a bit."""
    session = verified(111, payout=Payout.CONTRIBUTION)
    for seat in range(2):
        session.provers[seat].twist = without_calls("postBitmap")
    session.run_until(Phase.QUERY)
    assert session.in_set(Bitmap.DELIVERED) == list(range(6))
    assert session.market.sets[Bitmap.DELIVERED] >> REFERENCE & 1
    assert sum(call == "postReceipt" and good for _, _, call, good in session.market.log) >= 7


# ------------------------------------------------------------------------------------------------------------ late


def test_a_late_update_stays_at_home() -> None:
    session = verified(120)
    slow = session.owners[3]
    update, slow.update = slow.update, None
    session.run_until(Phase.DELIVERED)
    slow.update = update
    session.run()
    assert session.assert_exact().count == 5
    assert not any(isinstance(e, fx.Send) for e in slow.effects)
    assert slow.machine.status()["why"] == "our update was not ready in time"
    assert_honest(session)


def test_a_second_upload_never_leaves() -> None:
    session = verified(121)
    session.run()
    for node in session.owners:
        sent = [e for e in node.effects if isinstance(e, fx.Send) and isinstance(e.message, msg.Upload)]
        assert len(sent) == 5 and len({e.message.root for e in sent}) == 1  # type: ignore[attr-defined]
        assert sum(isinstance(e, fx.Transact) and e.call == "commitUpload" for e in node.effects) == 1


@pytest.mark.parametrize("changes", MODES[1:3], ids=str)
@pytest.mark.parametrize("how", ["no training", "no commitment", "no delivery"])
def test_without_a_reference_there_is_no_rule_and_equal_pay(how: str, changes: dict[str, object]) -> None:
    session = verified(122, **changes)
    against = session.owners[0]
    against.update = -session.honest_update(REFERENCE)
    if how == "no training":
        session.owner.update = None
    elif how == "no commitment":
        session.owner.twist = without_calls("commitReference")
    else:
        session.owner.twist = swallow(msg.Upload)
    session.run()
    assert session.assert_exact().count == 6
    assert session.payouts == dict.fromkeys(range(6), equal(session))
    assert "reference" in session.owner.machine.status()["why"]


def test_a_reference_that_is_ready_too_late_is_not_committed() -> None:
    session = verified(123, rule=Rule.TRUST)
    update, session.owner.update = session.owner.update, None
    session.run_until(Phase.UPLOAD)
    session.owner.update = update
    session.run()
    assert session.assert_exact().count == 6
    assert session.owner.notes[0].name == "update_late"
    assert REFERENCE not in session.market.uploads


def test_registration_waits_for_the_reference_until_its_deadline() -> None:
    with_it, without = verified(124, rule=Rule.TRUST), verified(124, rule=Rule.TRUST)
    without.owner.twist = mute_from(Phase.REGISTER)
    starts = []
    for session in (with_it, without):
        session.run_until(Phase.UPLOAD)
        starts.append(session.market.block)
        assert len(session.market.owners) == 6
    assert starts[0] < starts[1]


def test_fewer_than_min_accepted_give_no_output_and_refunds() -> None:
    session = verified(125, groups=4, min_accepted=4)
    session.owners[1].twist = without_calls("commitUpload")
    session.run()
    assert session.market.phase == Phase.ABORTED and session.result is None and session.payouts == {}
    good = session.owners[0].machine.status()
    assert good["why"] == "session aborted: no output" and not good["accepted"]


def test_too_few_registrations_abort() -> None:
    session = verified(126, data_owners=2)
    session.run()
    assert session.market.phase == Phase.ABORTED
    assert session.owners[0].machine.status()["why"] == "session aborted: too few data owners"
    assert session.market.claimed >= {node.address for node in session.owners}
