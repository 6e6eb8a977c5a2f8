"""Sessions of certificate zk: data owners and the owner cheat, come late, crash; who does is out alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from omninode.reproduce.stage.node import Effects, Node
from protocols.sessions import effects as fx
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule
from protocols.wire import messages as msg
from tests.simulation import zk_attacks as attacks
from tests.simulation.attacks import rewrite, swallow, without_calls
from tests.simulation.session import Session
from tests.simulation.session import proved as any_size

ALL = list(range(4))
KINDS = [
    {"rule": Rule.MULTI_KRUM}, {"rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}, {"payout": Payout.CONTRIBUTION},
    {"rule": Rule.TRUST}, {"rule": Rule.NONE},
]  # fmt: skip
GRAM, SCORE, NONE = KINDS[0], KINDS[1], KINDS[4]
REFUSED = "our record's proof was refused, or a share of ours does not fit its commitment"
UNDELIVERED = "our update did not reach the provers in time"


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_pairings" in request.node.name:
        attacks.pairings_once(monkeypatch)
    else:
        attacks.quick_pairings(monkeypatch)


def proved(seed: int, **changes: object) -> Session:
    """Of four data owners, which is quicker."""
    return any_size(seed, **{"groups": 4, **changes})


def equal(session: Session) -> int:
    """What each gets with equal pay."""
    return session.params.reward // len(session.market.owners)


def blamed(session: Session) -> set[tuple[bytes, str]]:
    """Whom the provers blame, and for what."""
    return {(blame.peer, blame.rule) for prover in session.provers for blame in prover.blames}


def assert_clean(session: Session) -> None:
    """No prover is named or pays, and nobody blames one."""
    assert session.market.named == 0 and session.market.slashed == set()
    provers = {node.address for node in session.provers}
    assert not any(blame.peer in provers for node in session.network.nodes.values() for blame in node.blames)


def assert_out_alone(session: Session, cheat: Node, kind: Bitmap, why: str) -> None:
    """Out of the set, not paid, told why; all others accepted, their sum exact, no prover named."""
    index = session.index_of(cheat)
    others = [k for k in ALL if k != index]
    assert session.assert_exact().count == 3 and session.accepted() == others
    assert session.in_set(kind) == others and index not in session.payouts
    assert cheat.machine.status()["why"] == why
    assert_clean(session)


# ----------------------------------------------------------------------------------------------------------- honest


@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_a_quiet_session_pays_all(changes: dict[str, object]) -> None:
    session = proved(1, **changes).run()
    assert session.assert_exact().count == 4 and blamed(session) == set()
    assert_clean(session)
    assert session.payouts.keys() == set(ALL) and sum(session.payouts.values()) <= session.params.reward
    everybody = {node.address for node in [*session.committee(), *session.owners, session.owner]}
    assert session.market.claimed == everybody
    assert all(node.machine.view.proved is not None for node in [*session.owners, session.owner])


def test_with_real_pairings_it_is_the_same() -> None:
    assert proved(1, **GRAM).run().assert_exact().count == 4


def test_trust_and_contribution_are_what_the_products_say() -> None:
    session = proved(2, **SCORE)
    against = session.owners[2]
    assert against.update is not None
    against.update = -against.update
    session.run()
    out = session.index_of(against)
    assert session.accepted() == [k for k in ALL if k != out] and session.assert_exact().count == 3
    products = session.products()
    total = sum(products[k] for k in session.accepted())
    assert session.payouts == {k: session.params.reward * products[k] // total for k in session.accepted()}
    assert against.machine.status()["why"] == "our update was not selected"


@pytest.mark.parametrize("rule", [Rule.OUTLIER, Rule.MULTI_KRUM, Rule.M_KRUM])
def test_distance_rules_drop_who_stands_apart(rule: Rule) -> None:
    session = proved(14, groups=6, rule=rule, mu_bps=2000, m_krum=3)
    apart, common = session.owners[5], session.honest_update(0)
    for node in session.owners:
        node.update = common
    apart.update = -common
    session.run()
    assert session.index_of(apart) not in session.accepted() and session.assert_exact().count >= 3


# ----------------------------------------------------------------------------------------------- nothing, late, partly


@pytest.mark.parametrize("how", ["no commitment", "no training", "late", "no pieces", "two provers"])
def test_who_does_not_deliver_is_out(how: str) -> None:
    session = proved(3, **GRAM)
    cheat = session.owners[1]
    why = UNDELIVERED
    if how == "no commitment":
        cheat.twist, why = without_calls("commitUpload"), "our update was not committed in time"
    elif how == "no training":
        cheat.update, why = None, "our update was not committed in time"
    elif how == "no pieces":
        cheat.twist = swallow(msg.Upload)
    elif how == "two provers":
        session.run_until(Phase.REGISTER)
        reached = {node.address for node in session.committee()[:2]}
        cheat.twist = rewrite(lambda _, e: e if e.to in reached or not isinstance(e.message, msg.Upload) else None)
    else:
        update, cheat.update = cheat.update, None
        session.run_until(Phase.DELIVERED)
        cheat.update, why = update, "our update was not ready in time"
    session.run()
    assert_out_alone(session, cheat, Bitmap.DELIVERED, why)
    assert blamed(session) == set()


@pytest.mark.parametrize("changes", [GRAM, SCORE], ids=str)
@pytest.mark.parametrize("left_out", [0, 3])
def test_who_misses_one_prover_is_in_and_its_share_is_rebuilt(left_out: int, changes: dict[str, object]) -> None:
    session = proved(4, **changes)
    session.run_until(Phase.REGISTER)
    without = session.committee()[left_out]
    session.owners[1].twist = swallow(msg.Upload, to=without.address)
    session.run()
    assert session.assert_exact().count == 4 and blamed(session) == set()
    assert_clean(session)


@pytest.mark.parametrize(("count", "out"), [(1, False), (2, True)])
def test_different_commitments_to_different_provers_are_no_delivery(count: int, out: bool) -> None:
    """The record names all of them by a digest: whoever gets others has nothing that it could confirm."""
    session = proved(5, **GRAM)
    session.run_until(Phase.REGISTER)
    cheat = session.owners[2]
    cheat.twist = attacks.different_commitments(*(node.address for node in session.committee()[:count]))
    session.run()
    if out:
        assert_out_alone(session, cheat, Bitmap.DELIVERED, UNDELIVERED)
    else:
        assert session.assert_exact().count == 4
        assert_clean(session)
    assert len(cheat.refused) == count and len(cheat.machine.status()["receipts"]) == 5 - count


# ---------------------------------------------------------------------------------------------------- false records


@pytest.mark.parametrize("changes", [GRAM, SCORE], ids=str)
@pytest.mark.parametrize(
    "forger",
    [attacks.beyond(32), attacks.beyond(-33), attacks.beyond(2**40), attacks.of_another_session],
    ids=["32", "-33", "2^40", "session"],
)
def test_a_record_that_proves_nothing_puts_its_owner_out(
    forger: attacks.Forger, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = proved(6, **changes)
    cheat = session.owners[1]
    attacks.forge(monkeypatch, cheat, forger)
    session.run()
    assert_out_alone(session, cheat, Bitmap.VALID, REFUSED)
    assert blamed(session) == {(cheat.address, "proof-failed")}


def test_a_norm_above_the_bound_fails_where_norms_are_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    session = proved(7, **NONE)
    cheat = session.owners[0]
    attacks.forge(monkeypatch, cheat, attacks.too_long)
    session.run()
    assert_out_alone(session, cheat, Bitmap.VALID, REFUSED)
    assert blamed(session) == {(cheat.address, "proof-failed")}


@pytest.mark.parametrize("rule", [Rule.OUTLIER, Rule.M_KRUM])
def test_a_norm_above_the_bound_is_seen_on_the_diagonal_elsewhere(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record is a good one, so it is valid; the contract leaves it out of the rule, and of the sum."""
    session = proved(7, groups=6, rule=rule, m_krum=3)
    cheat = session.owners[0]
    attacks.forge(monkeypatch, cheat, attacks.too_long)
    session.run()
    index = session.index_of(cheat)
    assert index in session.in_set(Bitmap.VALID)
    assert index not in session.accepted() and index not in session.payouts
    assert session.assert_exact().count >= 3 and cheat.machine.status()["why"] == "our update was not selected"
    assert_clean(session)


def test_a_record_under_another_address_is_not_even_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    session = proved(8, **GRAM)
    cheat = session.owners[3]
    attacks.forge(monkeypatch, cheat, attacks.under_another_address)
    session.run()
    assert_out_alone(session, cheat, Bitmap.DELIVERED, UNDELIVERED)
    assert {rule for rule, _ in cheat.refused} == {"bad-piece"}


# ------------------------------------------------------------------------------------------------------ false shares


@pytest.mark.parametrize("points", [(1,), (2,), (5,), (1, 2), (3, 4), (1, 2, 3), (1, 2, 3, 4, 5)], ids=str)
def test_shares_that_do_not_fit_put_their_dealer_out(points: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    session = proved(9, **SCORE)
    cheat = session.owners[1]
    attacks.forge(monkeypatch, cheat, attacks.bad_shares(*points))
    session.run()
    assert_out_alone(session, cheat, Bitmap.VALID, REFUSED)
    published = {sender for kind, sender, _ in session.network.delivered if kind == "share-opening"}
    assert len(published) == len(points)  # at once, whatever others say
    assert {peer for peer, _ in blamed(session)} <= {cheat.address}


@pytest.mark.parametrize(
    "forger",
    [attacks.wrong_commitments, attacks.high_degree, attacks.padded(), attacks.padded(1), attacks.padded(4)],
    ids=["commitments", "degree-2t", "padding", "padding-fits-1", "padding-fits-4"],
)
def test_what_shares_cannot_be_put_their_dealer_out(forger: attacks.Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    session = proved(10, **NONE)
    cheat = session.owners[3]
    attacks.forge(monkeypatch, cheat, forger)
    session.run()
    assert_out_alone(session, cheat, Bitmap.VALID, REFUSED)
    assert any(kind == "share-opening" for kind, _, _ in session.network.delivered)
    assert {peer for peer, _ in blamed(session)} <= {cheat.address}


def test_several_cheats_are_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    session = proved(11, groups=7, **GRAM)
    forgers = [attacks.beyond(99), attacks.bad_shares(3), attacks.padded(), attacks.high_degree]
    cheats = session.owners[:4]
    for cheat, forger in zip(cheats, forgers, strict=True):
        attacks.forge(monkeypatch, cheat, forger)
    session.run()
    out = {session.index_of(cheat) for cheat in cheats}
    assert session.accepted() == [k for k in range(7) if k not in out] and session.assert_exact().count == 3
    assert_clean(session)


def test_too_few_that_are_honest_end_without_output(monkeypatch: pytest.MonkeyPatch) -> None:
    session = proved(12, **GRAM)
    for cheat in session.owners[:2]:
        attacks.forge(monkeypatch, cheat, attacks.beyond(99))
    session.run()
    assert session.market.phase == Phase.ABORTED and session.result is None and session.payouts == {}
    assert session.owners[2].machine.status()["why"] == "session aborted: no output"
    assert session.market.claimed >= {node.address for node in session.owners}


# ---------------------------------------------------------------------------------------------------------- reference


@pytest.mark.parametrize("changes", KINDS[1:4], ids=str)
@pytest.mark.parametrize("how", ["no training", "no commitment", "no delivery"])
def test_without_a_reference_there_is_no_rule_and_equal_pay(how: str, changes: dict[str, object]) -> None:
    session = proved(22, **changes)
    session.owners[0].update = -session.honest_update(REFERENCE)
    if how == "no training":
        session.owner.update = None
    elif how == "no commitment":
        session.owner.twist = without_calls("commitReference")
    else:
        session.owner.twist = swallow(msg.Upload)
    session.run()
    assert session.assert_exact().count == 4 and session.payouts == dict.fromkeys(ALL, equal(session))
    assert "reference" in session.owner.machine.status()["why"]
    assert_clean(session)


@pytest.mark.parametrize(
    "forger",
    [attacks.beyond(99), attacks.too_long, attacks.bad_shares(2), attacks.bad_shares(1, 2), attacks.padded()],
    ids=["range", "norm", "one-share", "two-shares", "padding"],
)
def test_a_reference_that_cheats_counts_as_missing(forger: attacks.Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    session = proved(23, **SCORE)
    attacks.forge(monkeypatch, session.owner, forger)
    session.owners[0].update = -session.honest_update(REFERENCE)
    session.run()
    assert session.assert_exact().count == 4 and session.payouts == dict.fromkeys(ALL, equal(session))
    assert not session.market.sets[Bitmap.VALID] >> REFERENCE & 1
    assert session.owner.machine.status()["why"].startswith("the reference's proof was refused, or a share")
    assert_clean(session)


def test_a_reference_that_misses_one_prover_counts() -> None:
    session = proved(24, **SCORE)
    session.owners[0].update = -session.honest_update(REFERENCE)
    session.run_until(Phase.COMMITTEE)
    while not session.market.committee:
        session.step()
    session.owner.twist = swallow(msg.Upload, to=session.committee()[4].address)
    session.run()
    assert session.assert_exact().count == 3 and session.index_of(session.owners[0]) not in session.accepted()
    assert_clean(session)


def test_no_positive_score_gives_no_output() -> None:
    session = proved(25, payout=Payout.CONTRIBUTION)
    for i, node in enumerate(session.owners):
        node.update = -session.honest_update(i)
    session.run()
    assert session.market.phase == Phase.ABORTED and session.payouts == {} and session.result is None
    assert session.owners[0].machine.status()["why"] == "session aborted: no output"


# -------------------------------------------------------------------------------------------------- output, receipts


def test_a_prover_that_lies_to_the_owner_is_named_by_it() -> None:
    session = proved(26, **NONE)
    liar = session.provers[2]

    def lie(node: Node, effects: Effects) -> Effects:
        return [
            fx.Reply(replace(e.message, values=bytes(len(e.message.values))))
            if isinstance(e, fx.Reply) and isinstance(e.message, msg.OutputShare) else e
            for e in effects
        ]  # fmt: skip

    liar.twist = lie
    session.run()
    assert session.assert_exact().count == 4
    assert {(b.peer, b.rule) for b in session.owner.blames} <= {(liar.address, "wrong-output-share")}


def test_who_has_n_minus_t_receipts_may_go_offline() -> None:
    session = proved(27, **SCORE)

    def leave_when_safe(s: Session) -> None:
        for node in [*s.owners, *([s.owner] if s.market.phase < Phase.OUTPUT else [])]:
            if node.alive and node.machine.status().get("may_leave", node is s.owner and node.notes):
                s.network.kill(node)

    session.on_block = leave_when_safe
    session.run_until(Phase.OUTPUT)
    assert not any(node.alive for node in session.owners) and session.accepted() == ALL
    session.network.restart(session.owner)
    session.run()
    session.assert_exact()


def test_a_prover_that_dies_changes_nothing_for_the_owners() -> None:
    for phase in (Phase.UPLOAD, Phase.VALID):
        session = proved(30 + phase, **SCORE)
        session.run_until(phase)
        session.network.kill(session.committee()[1])
        session.run()
        assert session.assert_exact().count == 4 and session.market.slashed <= {1}


# ----------------------------------------------------------------------------------------------------------- crashes


@pytest.mark.parametrize("changes", [GRAM, SCORE], ids=str)
def test_every_machine_comes_back_from_its_journal_in_any_block(changes: dict[str, object]) -> None:
    """In each block some nodes restart, and all at the end: what they ask for is what they asked for before (``Node``).

    A replay up to any input is the beginning of a longer one, so the last of them stands for all.
    """
    session = proved(40, loss=0.1, **changes)

    def crash(s: Session) -> None:
        for i, node in enumerate(s.network.nodes.values()):
            if (i + s.market.block) % 6 == 0:
                s.network.kill(node)
                s.network.restart(node)

    session.on_block = crash
    session.run()
    session.on_block = lambda s: None
    for node in session.network.nodes.values():
        session.network.kill(node)
        session.network.restart(node)
    session.step()
    assert session.assert_exact().count == 4
    assert_clean(session)


@pytest.mark.parametrize("phase", [p for p in Phase if p == Phase.REGISTER or Phase.UPLOAD <= p <= Phase.OUTPUT])
def test_who_dies_at_any_step_harms_nobody_else(phase: Phase) -> None:
    if phase == Phase.QUERY:
        return  # there is none
    session = proved(50 + phase, **SCORE)
    session.run_until(phase)
    session.network.kill(session.owners[1])
    session.run()
    assert session.assert_exact().count >= 3
    assert_clean(session)


def test_a_cheat_that_is_found_stays_found_after_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint, published piece and verdict are the same from the journals."""
    session = proved(60, **GRAM)
    cheat = session.owners[1]
    attacks.forge(monkeypatch, cheat, attacks.bad_shares(3))

    def crash(s: Session) -> None:
        node = s.provers[s.market.block % 5]
        s.network.kill(node)
        s.network.restart(node)

    session.on_block = crash
    session.run()
    assert_out_alone(session, cheat, Bitmap.VALID, REFUSED)


def test_vectors_of_zeros_and_of_the_edge_go_through() -> None:
    session = proved(61, **GRAM)
    for value, node in zip((0, 31, -31), session.owners, strict=False):
        node.update = np.zeros(session.params.dimension, np.int64)
        node.update[5] = value
    session.run()
    assert session.assert_exact().count == 4
