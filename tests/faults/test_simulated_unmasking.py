"""Data owners that keep their unmask shares, or show them to a few."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Effects, Node, Twist
from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.params import Bitmap, Phase
from protocols.wire import messages as msg
from tests.simulation.attacks import lie_in, rewrite, swallow
from tests.simulation.session import Session


def test_silence_while_unmasking_is_attested_and_does_not_stop_the_group() -> None:
    session = Session(41)
    silent = session.owners[3]
    silent.twist = swallow(msg.Unmask)
    session.run(after=8)
    assert session.assert_exact().count == 6
    assert session.market.silent == 1 << session.index_of(silent) and session.market.slashed == set()


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
