"""Verified sessions: who shares, proves or trains badly is out alone, and what the others get does not suffer."""

from __future__ import annotations

import numpy as np
import pytest

from omninode.demo.forge import Forger, false_proof, foreign_proof
from protocols.selection import scores
from protocols.sessions import effects as fx
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule
from tests.simulation.session import Session, verified
from tests.simulation.verified_attacks import forge, inconsistent, of_another_session, wrong_proof

EXPECTED = {0, 1, 2, 3, 4, 5}


def blames_of_provers(session: Session) -> set[tuple[bytes, str]]:
    return {(blame.peer, blame.rule) for prover in session.provers for blame in prover.blames}


def assert_out_alone(session: Session, index: int, kind: Bitmap) -> None:
    """Out of the set, not paid; all others accepted, and no prover named."""
    others = sorted(EXPECTED - {index})
    assert session.assert_exact().count == 5 and session.accepted() == others
    assert session.in_set(kind) == others and session.payouts.keys() == set(others)
    assert session.market.named == 0 and session.market.slashed == set()


@pytest.mark.parametrize("points", [[2], [1, 2], [1, 2, 3], [5]], ids=str)
def test_inconsistent_shares_put_their_dealer_out(points: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    session = verified(1, rule=Rule.TRUST)
    cheat = session.owners[1]
    forge(monkeypatch, cheat, inconsistent(points))
    session.run()
    assert_out_alone(session, session.index_of(cheat), Bitmap.VALID)
    assert blames_of_provers(session) == {(cheat.address, "inconsistent-sharing")}
    assert cheat.machine.status()["why"] == "the provers found our shares inconsistent or our proof wrong"


@pytest.mark.parametrize("factor", [2, 10, 1000])
def test_an_update_that_is_too_long_fails_its_proof(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    session = verified(2)
    cheat = session.owners[0]
    assert cheat.update is not None
    cheat.update = cheat.update * factor
    forge(monkeypatch, cheat, false_proof)
    session.run()
    assert_out_alone(session, session.index_of(cheat), Bitmap.VALID)
    assert blames_of_provers(session) == {(cheat.address, "proof-failed")}


def test_a_vector_whose_norm_wraps_around_the_field_fails_its_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its squared norm is 0 in the field, as 2^96 = -1; the wrap-around checks tell."""
    session = verified(3)
    cheat = session.owners[4]
    cheat.update = np.zeros(session.params.dimension, dtype=np.int64)
    cheat.update[:2] = 2**48, 1
    forge(monkeypatch, cheat, false_proof)
    session.run()
    assert_out_alone(session, session.index_of(cheat), Bitmap.VALID)
    assert blames_of_provers(session) == {(cheat.address, "proof-failed")}


@pytest.mark.parametrize("forger", [wrong_proof, foreign_proof])
def test_a_proof_of_something_else_fails(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    session = verified(4)
    cheat = session.owners[2]
    forge(monkeypatch, cheat, forger)
    session.run()
    assert_out_alone(session, session.index_of(cheat), Bitmap.VALID)
    assert blames_of_provers(session) == {(cheat.address, "proof-failed")}


def test_an_upload_of_another_session_is_not_even_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    session = verified(5)
    cheat = session.owners[3]
    forge(monkeypatch, cheat, of_another_session)
    session.run()
    assert_out_alone(session, session.index_of(cheat), Bitmap.DELIVERED)
    assert cheat.machine.status()["receipts"] == [] and cheat.refused
    assert cheat.machine.status()["why"] == "our update did not reach the provers in time"


@pytest.mark.parametrize("forger", [false_proof, wrong_proof, inconsistent([1, 2])], ids=["long", "proof", "shares"])
def test_a_reference_that_cheats_counts_as_missing(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    session = verified(6, rule=Rule.TRUST, payout=Payout.CONTRIBUTION)
    assert session.owner.update is not None
    if forger is false_proof:
        session.owner.update = session.owner.update * 5
    forge(monkeypatch, session.owner, forger)
    session.owners[0].update = -session.honest_update(REFERENCE)
    session.run()
    assert session.assert_exact().count == 6
    assert not session.market.sets[Bitmap.VALID] >> REFERENCE & 1
    assert session.payouts == dict.fromkeys(EXPECTED, session.params.reward // 6)
    assert session.owner.machine.status()["why"].startswith("the provers found the reference's")


# -------------------------------------------------------------------------------------------------- rules and payouts


@pytest.mark.parametrize("payout", list(Payout))
def test_trust_refuses_what_points_away_from_the_reference(payout: Payout) -> None:
    session = verified(10, rule=Rule.TRUST, payout=payout)
    flipped = [session.owners[1], session.owners[4]]
    for node in flipped:
        assert node.update is not None
        node.update = -node.update
    session.run()
    out = {session.index_of(node) for node in flipped}
    assert session.accepted() == sorted(EXPECTED - out) and session.assert_exact().count == 4
    assert session.in_set(Bitmap.VALID) == sorted(EXPECTED)
    paid = EXPECTED if payout == Payout.EQUAL else EXPECTED - out
    assert session.payouts.keys() == paid
    assert flipped[0].machine.status()["why"].startswith("our update was not selected")


def test_contribution_pays_by_the_inner_product_with_the_reference() -> None:
    session = verified(11, payout=Payout.CONTRIBUTION, score_cap=2**60)
    against = session.owners[2]
    assert against.update is not None
    against.update = -against.update
    session.run()
    phi = {k: max(0, product) for k, product in session.products().items()}
    assert phi[session.index_of(against)] == 0
    weights = scores.weights([phi[k] for k in sorted(phi)], [1] * 6, 2**60)
    assert list(session.payouts.values()) == scores.payouts(session.params.reward, weights)
    assert session.assert_exact().count == 6


def test_no_identity_is_paid_above_the_cap() -> None:
    session = verified(12, payout=Payout.CONTRIBUTION, score_cap=1000)
    session.run()
    assert set(session.payouts.values()) == {session.params.reward // 6}


def test_copies_share_one_payout() -> None:
    session = verified(13, rule=Rule.MULTI_KRUM, payout=Payout.CONTRIBUTION, score_cap=10**6)
    original = session.owners[0].update
    assert original is not None
    for node in session.owners[1:3]:
        node.update = original.copy()
    session.run()
    assert session.assert_exact().count == 6
    family = [session.index_of(node) for node in session.owners[:3]]
    others = [k for k in sorted(EXPECTED) if k not in family]
    shared, alone = session.payouts[family[0]], session.payouts[others[0]]
    assert all(session.payouts[k] == shared for k in family) and abs(3 * shared - alone) <= 10**15


@pytest.mark.parametrize("rule", [Rule.OUTLIER, Rule.MULTI_KRUM, Rule.M_KRUM])
def test_distance_rules_drop_who_stands_apart(rule: Rule) -> None:
    session = verified(14, rule=rule, mu_bps=2000, m_krum=3)
    apart = session.owners[5]
    common = session.honest_update(0)
    for node in session.owners:
        node.update = common
    apart.update = -common
    session.run(most=150)
    assert session.market.batch is not None
    assert session.index_of(apart) not in session.accepted() and session.assert_exact().count >= 3


def test_no_positive_score_gives_no_output() -> None:
    session = verified(15, payout=Payout.CONTRIBUTION)
    for i, node in enumerate(session.owners):
        node.update = -session.honest_update(i)
    session.run()
    assert session.market.phase == Phase.ABORTED and session.payouts == {}
    assert session.owners[0].machine.status()["why"] == "session aborted: no output"
    notes = [e for e in session.owners[0].effects if isinstance(e, fx.Note)]
    assert notes[-1] == fx.Note("session_aborted", (("why", "no output"),))
