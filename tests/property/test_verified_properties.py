"""Verified sessions under random orders, losses, crashes and attackers: exact sums, right pay, nobody honest named."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.selection import scores
from protocols.sessions.params import Payout, Phase, Rule
from tests.simulation.attacks import fuzz
from tests.simulation.session import ENDS, Session, verified

seeds = st.integers(0, 2**32 - 1)
rules = st.sampled_from([Rule.NONE, Rule.TRUST, Rule.OUTLIER, Rule.MULTI_KRUM])
payouts = st.sampled_from(list(Payout))


@settings(max_examples=8)
@given(seed=seeds, loss=st.sampled_from([0.0, 0.3]), rule=rules, payout=payouts, owners=st.integers(3, 8))
def test_sum_and_pay_are_right_in_any_order_of_delivery(
    seed: int, loss: float, rule: Rule, payout: Payout, owners: int
) -> None:
    session = verified(seed, loss=loss, rule=rule, payout=payout, groups=owners, upload_blocks=30, settle_blocks=40)
    session.run()
    assert session.assert_exact().count == owners
    assert all(node.blames == [] for node in session.network.nodes.values())
    assert session.market.slashed == set() and session.market.named == 0
    everybody = {node.address for node in [*session.committee(), *session.owners, session.owner]}
    assert session.market.claimed == everybody
    phi = session.products()
    if payout == Payout.EQUAL:
        assert set(session.payouts.values()) == {session.params.reward // owners}
    elif rule in (Rule.NONE, Rule.TRUST):
        weights = scores.weights([phi[k] for k in range(owners)], [1] * owners, session.params.score_cap)
        assert list(session.payouts.values()) == scores.payouts(session.params.reward, weights)


@settings(max_examples=10)
@given(seed=seeds, rule=rules, payout=payouts)
def test_crashes_and_restarts_at_random_blocks(seed: int, rule: Rule, payout: Payout) -> None:
    """Any number of restarts; one node at a time is down."""
    rng = random.Random(seed)
    session = verified(seed, loss=0.1, rule=rule, payout=payout, upload_blocks=40, settle_blocks=60)
    down: list[object] = []

    def on_block(s: Session) -> None:
        for node in list(down):
            if rng.random() < 0.5:
                down.remove(node)
                s.network.restart(node)  # type: ignore[arg-type]
        if not down and rng.random() < 0.4:
            node = rng.choice([*s.provers, *s.owners, s.owner])
            s.network.kill(node)
            down.append(node)

    session.on_block = on_block
    session.run(most=250)
    for node in list(down):
        session.network.restart(node)  # type: ignore[arg-type]
    session.assert_exact()
    assert session.market.named == 0


@settings(max_examples=10)
@given(seed=seeds, rate=st.sampled_from([0.05, 0.5, 1.0]), rule=rules)
def test_a_data_owner_that_sends_mutated_messages_harms_only_itself(seed: int, rate: float, rule: Rule) -> None:
    session = verified(seed, rule=rule, upload_blocks=30)
    hostile = session.owners[seed % 6]
    hostile.twist = fuzz(seed, rate)
    session.run(after=8)
    session.assert_exact()
    others = set(range(6)) - {session.index_of(hostile)}
    assert others <= set(session.accepted()) and others <= session.payouts.keys()
    assert session.market.named == 0 and session.market.slashed == set()


@settings(max_examples=8)
@given(seed=seeds, rate=st.sampled_from([0.05, 0.5, 1.0]), payout=payouts)
def test_an_owner_that_sends_mutated_messages_harms_only_itself(seed: int, rate: float, payout: Payout) -> None:
    session = verified(seed, rule=Rule.TRUST, payout=payout)
    session.owner.twist = fuzz(seed, rate)
    session.run(after=8)
    assert session.market.phase == Phase.FINISHED and len(session.payouts) == 6
    assert session.market.named == 0 and session.market.slashed == set()


@settings(max_examples=5)
@given(seed=seeds)
def test_without_enough_provers_the_session_ends_by_time_alone(seed: int) -> None:
    rng = random.Random(seed)
    session = verified(seed, payout=rng.choice(list(Payout)))
    session.run_until(rng.choice([p for p in Phase if p == Phase.REGISTER or Phase.UPLOAD <= p <= Phase.BATCH]))
    for node in rng.sample(session.committee(), 2):
        session.network.kill(node)
    session.run(most=250)
    assert session.market.phase in ENDS
    if session.result is not None:
        session.assert_exact()
