"""Data owners that die, keep silent or cheat, and messages that are forged, replayed or from another session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.complaints import complaint_digest
from protocols.sessions.params import Bitmap, Phase, Rule
from protocols.wire import codec
from protocols.wire import messages as msg
from protocols.wire.context import Context
from tests.simulation.attacks import cheat_with_pieces, lie_in, mute_from, rewrite, swallow, without_calls
from tests.simulation.node import Effects, Node, Twist
from tests.simulation.session import Session

STEPS = [phase for phase in Phase if Phase.KEYS <= phase <= Phase.OUTPUT]


def index_of(session: Session, node: Node) -> int:
    """Registration index."""
    return session.market.owners.index(node.address)


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
    assert sorted(result.sizes) == [2, 3] and index_of(session, victim) not in session.accepted()


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


def test_silence_while_unmasking_is_attested_and_does_not_stop_the_group() -> None:
    session = Session(41)
    silent = session.owners[3]
    silent.twist = swallow(msg.Unmask)
    session.run(after=8)
    assert session.assert_exact().count == 6
    assert session.market.silent == 1 << index_of(session, silent) and session.market.slashed == set()


def test_a_group_without_enough_unmask_shares_fails_alone() -> None:
    session = Session(42, groups=2)
    session.run_until(Phase.UPLOAD)
    for k in session.market.groups[0][:2]:
        session.registered()[k].twist = swallow(msg.Unmask)
    session.run(after=8)
    assert session.accepted() == sorted(session.market.groups[1])
    assert session.assert_exact().count == 3
    assert session.market.silent == sum(1 << k for k in session.market.groups[0][:2])


def test_unmask_shares_reach_all_provers_although_sent_to_few() -> None:
    session = Session(43)
    session.run_until(Phase.UPLOAD)
    few = {p.address for p in session.committee()[:2]}
    for k in session.market.groups[0][:2]:
        only = rewrite(lambda _, e: None if isinstance(e.message, msg.Unmask) and e.to not in few else e)
        session.registered()[k].twist = only
    session.run()
    assert session.assert_exact().count == 6 and session.market.silent == 0


@pytest.mark.parametrize("points", [[2], [1, 2], [1, 2, 3]], ids=str)
def test_pieces_that_are_not_on_one_polynomial_put_their_dealer_out(
    points: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(44)
    cheat = session.owners[1]
    cheat_with_pieces(monkeypatch, session.params.dimension, cheat, points)
    session.run()
    result = session.assert_exact()
    assert result.count == 5 and index_of(session, cheat) not in session.in_set(Bitmap.VALID)
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
    bad = session.market.groups[
        next(r for r, g in enumerate(session.market.groups) if index_of(session, attacker) in g)
    ]
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


# ---------------------------------------------------------------------------------------------------- key sharing


def spoil(data: bytes) -> bytes:
    """One bit flipped."""
    return data[:-1] + bytes([data[-1] ^ 1])


def bad_bundles(recipient: int) -> object:
    """The bundle for one peer is broken, wherever it goes."""

    def change(node: Node, effect: fx.Send) -> fx.Send:
        message = effect.message
        if isinstance(message, msg.Bundle) and message.recipient == recipient:
            return replace(effect, message=replace(message, sealed=spoil(message.sealed)))
        if isinstance(message, msg.BundleSet):
            place = node.machine.status()["members"].index(recipient)
            sealed = list(message.sealed)
            sealed[place] = spoil(sealed[place]) if sealed[place] else b""
            return replace(effect, message=replace(message, sealed=tuple(sealed)))
        return effect

    return change


def deal_badly(session: Session, stubborn: bool) -> tuple[Node, int]:
    """A dealer whose bundle for one peer is broken; stubborn: it never opens it."""
    session.run_until(Phase.GROUPS)
    dealer = session.owners[0]

    def twist(node: Node, effects: Effects) -> Effects:
        members = node.machine.status()["members"]
        peers = [k for k in members if k != node.machine.status()["index"]]
        out = rewrite(bad_bundles(peers[0]))(node, effects) if peers else effects  # type: ignore[arg-type]
        return swallow(msg.BundleOpening)(node, out) if stubborn else out

    dealer.twist = twist
    return dealer, index_of(session, dealer)


def test_a_bad_bundle_is_opened_after_a_complaint() -> None:
    session = Session(50, upload_blocks=30)
    _, index = deal_badly(session, stubborn=False)
    session.run()
    assert session.assert_exact().count == 6 and index in session.accepted()
    assert any(kind == "bundle-opening" for kind, _, _ in session.network.delivered)


def test_a_dealer_that_does_not_answer_a_complaint_is_out() -> None:
    session = Session(51, upload_blocks=30)
    _, index = deal_badly(session, stubborn=True)
    session.run()
    assert session.assert_exact().count == 5
    assert index not in session.in_set(Bitmap.BUNDLES)


@pytest.mark.parametrize("told", [1, 4])
def test_a_complaint_that_the_dealer_does_not_hear_is_handed_on_to_it(told: int) -> None:
    """A member complains about good bundles, to provers only; one prover more keeps it to itself and votes against."""
    session = Session(52, upload_blocks=30)
    session.run_until(Phase.KEYS)
    plaintiff, victim, _ = session.market.groups[0]
    node, dealer = session.registered()[plaintiff], session.registered()[victim]
    sign = node.machine._core.identity.sign  # type: ignore[attr-defined]
    signature = sign(complaint_digest(node.context, dealer.address, node.address))
    complaint = msg.Complaint(node.address, victim, plaintiff, signature)
    committee = session.committee()
    accomplice = committee[4]
    accomplice.twist = lambda _, effects: [
        replace(e, args=(e.args[0], 0)) if isinstance(e, fx.Transact) and e.call == "postBitmap" else e
        for e in effects
        if not (isinstance(e, fx.Send) and isinstance(e.message, msg.Complaint))
    ]
    session.network.act(node, [fx.Send(p.address, complaint) for p in committee[:told]])
    session.run()
    assert victim in session.in_set(Bitmap.BUNDLES)
    assert session.assert_exact().count == 6


def test_a_complaint_at_the_last_moment_comes_too_late() -> None:
    session = Session(53)
    session.owners[0].twist = swallow(msg.BundleSet)  # so the bitmaps wait for the cut
    session.run_until(Phase.KEYS)
    slow = index_of(session, session.owners[0])
    victim, plaintiff, _ = next(group for group in session.market.groups if slow not in group)
    node, dealer = session.registered()[plaintiff], session.registered()[victim]
    sign = node.machine._core.identity.sign  # type: ignore[attr-defined]
    signature = sign(complaint_digest(node.context, dealer.address, node.address))
    session.run_until(Phase.BUNDLES)
    prover = session.committee()[0]
    while session.market.phase == Phase.BUNDLES and not any(n.name == "complaints_closed" for n in prover.notes):
        session.step()
    assert not any(getattr(e, "key", "") == "postBitmap-BUNDLES" for e in prover.effects)
    with pytest.raises(RemoteProtocolError, match="late"):
        prover.machine.receive(msg.Complaint(node.address, victim, plaintiff, signature))
    session.run()
    assert victim in session.in_set(Bitmap.BUNDLES) and session.market.phase == Phase.FINISHED


# ------------------------------------------------------------------------------------------------- hostile messages


def everything_sent(session: Session) -> list[tuple[Node, fx.Send]]:
    """All messages of an honest session, with their senders."""
    nodes = session.network.nodes.values()
    return [(node, e) for node in nodes for e in node.effects if isinstance(e, fx.Send)]


def test_messages_of_another_session_are_refused_as_such() -> None:
    session = Session(60).run()
    other = Context(31337, bytes(range(20)), 8)
    for _, effect in everything_sent(session)[:200]:
        with pytest.raises(RemoteProtocolError) as caught:
            session.network.nodes[effect.to].receive(codec.encode(effect.message, other))
        assert caught.value.rule == "wrong-session"


def test_messages_with_a_false_sender_raise_and_change_nothing() -> None:
    session = Session(61).run()
    stranger = bytes(20)
    for _, effect in everything_sent(session):
        node = session.network.nodes[effect.to]
        before = node.machine.status()
        with pytest.raises(RemoteProtocolError):
            node.machine.receive(replace(effect.message, sender=stranger))
        assert node.machine.status() == before


def test_replayed_messages_do_nothing_new() -> None:
    session = Session(62)
    session.run_until(Phase.BATCH)
    for _, effect in everything_sent(session):
        node = session.network.nodes[effect.to]
        before = node.machine.status()
        try:
            again = node.machine.receive(effect.message)
        except RemoteProtocolError:
            again = []
        assert all(isinstance(e, fx.Reply) for e in again) and node.machine.status() == before
    session.run()
    session.assert_exact()


def test_a_prover_refuses_what_provers_may_not_say_for_others() -> None:
    """Every kind of message, taken over by a participant of another role."""
    session = Session(63).run()
    data_owner, prover = session.owners[0].address, session.committee()[0]
    for node, effect in everything_sent(session):
        target = session.network.nodes[effect.to]
        if node in session.provers and target in session.provers and target is not prover:
            with pytest.raises(RemoteProtocolError):
                target.machine.receive(replace(effect.message, sender=data_owner))


def test_who_is_alone_in_its_group_owes_nothing() -> None:
    """Its neighbours are in V and upload nothing: it rightly sends no shares, and keeps its deposit."""
    session = Session(1)
    session.run_until(Phase.KEYS)
    group = session.market.groups[0]
    for k in group[:2]:
        session.registered()[k].twist = swallow_uploads
    session.run(after=8)
    assert group[2] in session.in_set(Bitmap.VALID) and session.market.silent == 0
    assert session.accepted() == sorted(session.market.groups[1])


def swallow_uploads(node: Node, effects: Effects) -> Effects:
    """Neither pieces nor a root."""
    kept = [e for e in effects if not (isinstance(e, fx.Send) and isinstance(e.message, msg.Upload))]
    return [e for e in kept if not (isinstance(e, fx.Transact) and e.call == "commitUpload")]


def test_silence_is_attested_although_a_liar_was_named_before() -> None:
    session = Session(2)
    session.run_until(Phase.UPLOAD)
    session.committee()[0].twist = lie_in("consistency", "projections", "gram")
    silent = session.market.groups[0][0]
    session.registered()[silent].twist = swallow(msg.Unmask)
    session.run(after=20)
    assert session.assert_exact().count == 6
    assert session.market.named == 1 and session.market.silent == 1 << silent


def without_shares(*lacking: bytes, dealers: int = 0) -> Twist:
    """Show these provers (or all) nothing, or the shares of the first dealers only."""

    def change(_: Node, effect: fx.Send) -> fx.Send:
        m = effect.message
        if not isinstance(m, msg.Unmask) or (lacking and effect.to not in lacking):
            return effect
        names = ("dealers", "kinds", "shares", "salts", "proofs")
        return replace(effect, message=replace(m, **{name: getattr(m, name)[:dealers] for name in names}))

    return rewrite(change)


@pytest.mark.parametrize("dealers", [0, 1])
def test_who_shows_too_few_shares_is_as_good_as_silent(dealers: int) -> None:
    session = Session(2)
    session.run_until(Phase.UPLOAD)
    miser = session.market.groups[0][1]
    session.registered()[miser].twist = without_shares(dealers=dealers)
    session.run(after=8)
    assert session.assert_exact().count == 6 and session.market.silent == 1 << miser


@pytest.mark.parametrize("hostile", [False, True], ids=["alone", "with a prover"])
@pytest.mark.parametrize("seed", [6, 7, 8])
def test_provers_end_with_the_same_secrets_whatever_a_data_owner_shows_to_whom(seed: int, hostile: bool) -> None:
    """One neighbour is gone, so every share counts; one prover is shown none, and another may say different things."""
    session = Session(seed, settle_blocks=40)
    session.run_until(Phase.KEYS)
    group, committee, members = session.market.groups[0], session.committee(), session.registered()
    members[group[0]].twist = swallow_uploads
    members[group[1]].twist = without_shares(committee[0].address)
    if hostile:
        favoured = committee[1].address
        committee[4].twist = rewrite(
            lambda _, e: (
                None
                if isinstance(e.message, msg.BatchSignature | msg.UnmaskRelay)
                or (isinstance(e.message, msg.Opening) and e.message.label == "projections" and e.to != favoured)
                else e
            )
        )
    session.run(after=6)
    assert session.assert_exact().count == 5
    asked = committee if hostile else committee[1:]  # four were enough for the batch before the fifth had asked
    assert all(prover.machine.status()["sums"] == [0, 1] for prover in asked)
    assert session.market.silent == 0


def test_a_data_owner_unmasks_once() -> None:
    session = Session(3)
    session.run_until(Phase.UPLOAD)
    prover, speaker = session.committee()[0], session.owners[0]
    session.run_until(Phase.OUTPUT)
    (said,) = {e.message for e in speaker.effects if isinstance(e, fx.Send) and isinstance(e.message, msg.Unmask)}
    before = prover.machine.status()
    assert prover.machine.receive(said) == []
    fewer = replace(said, **{n: getattr(said, n)[:-1] for n in ("dealers", "kinds", "shares", "salts", "proofs")})
    with pytest.raises(RemoteProtocolError, match="unmask-twice"):
        prover.machine.receive(fewer)
    assert prover.machine.status() == before


@pytest.mark.parametrize("windows", [(10, 10), (20, 10), (10, 25)], ids=str)
@pytest.mark.parametrize("missing", ["commitShares", "commitUpload"])
def test_phases_that_begin_late_leave_the_provers_time(windows: tuple[int, int], missing: str) -> None:
    """One data owner is silent, so phases run to their deadlines; nobody honest misses a bitmap."""
    session = Session(70, upload_blocks=windows[0], settle_blocks=windows[1])
    session.owners[0].twist = without_calls(missing)
    session.run()
    assert session.assert_exact().count == 5 and session.market.slashed == set()
