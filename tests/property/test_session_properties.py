"""Whole sessions under random orders, losses, crashes and attackers: the sum is exact and nobody honest is named."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.sessions.params import Phase, Rule
from tests.simulation.attacks import fuzz
from tests.simulation.session import ENDS, Session

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=10)
@given(seed=seeds, loss=st.sampled_from([0.0, 0.3]), gossip=st.booleans(), size=st.integers(2, 5))
def test_the_sum_is_exact_in_any_order_of_delivery(seed: int, loss: float, gossip: bool, size: int) -> None:
    session = Session(seed, loss=loss, gossip=gossip, group_size=size, upload_blocks=30)
    session.run()
    assert session.assert_exact().count == 2 * size
    assert all(node.blames == [] for node in session.network.nodes.values())
    assert session.market.slashed == set() and session.market.named == 0
    assert session.market.claimed >= {p.address for p in session.committee()} | {o.address for o in session.owners}


@settings(max_examples=8)
@given(seed=seeds, rule=st.sampled_from([Rule.OUTLIER, Rule.MULTI_KRUM, Rule.M_KRUM]))
def test_selection_on_chain_and_off_agree(seed: int, rule: Rule) -> None:
    session = Session(seed, groups=4, rule=rule, mu_bps=2500, m_krum=1, pool=8)
    session.run()
    session.assert_exact()


@settings(max_examples=15)
@given(seed=seeds)
def test_crashes_and_restarts_at_random_blocks(seed: int) -> None:
    """Any number of restarts; one prover at a time is down, one data owner may stay down."""
    rng = random.Random(seed)
    session = Session(seed, loss=0.1, upload_blocks=40, settle_blocks=40)
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
    session.run(most=200)
    for node in list(down):
        session.network.restart(node)  # type: ignore[arg-type]
    session.assert_exact()
    assert session.market.named == 0


@settings(max_examples=15)
@given(seed=seeds, rate=st.sampled_from([0.05, 0.5, 1.0]))
def test_a_prover_that_sends_mutated_messages_spoils_nothing(seed: int, rate: float) -> None:
    session = Session(seed)
    session.run_until(Phase.REGISTER)
    hostile = session.committee()[seed % 5]
    hostile.twist = fuzz(seed, rate)
    session.run()
    assert session.assert_exact().count == 6
    assert session.market.named & ~(1 << seed % 5) == 0 and session.market.slashed <= {seed % 5}
    honest = [*session.provers, *session.owners, session.owner]
    assert {b.peer for node in honest if node is not hostile for b in node.blames} <= {hostile.address}


@settings(max_examples=15)
@given(seed=seeds, rate=st.sampled_from([0.05, 0.5, 1.0]))
def test_a_data_owner_that_sends_mutated_messages_harms_at_most_its_group(seed: int, rate: float) -> None:
    session = Session(seed, upload_blocks=30)
    hostile = session.owners[seed % 6]
    hostile.twist = fuzz(seed, rate)
    session.run(after=8)
    session.assert_exact()
    index = session.market.owners.index(hostile.address)
    others = next(group for group in session.market.groups if index not in group)
    assert set(others) <= set(session.accepted())
    assert session.market.named == 0 and session.market.silent & ~(1 << index) == 0
    assert session.market.slashed == set()


@settings(max_examples=5)
@given(seed=seeds)
def test_without_enough_provers_the_session_ends_by_time_alone(seed: int) -> None:
    rng = random.Random(seed)
    session = Session(seed)
    session.run_until(rng.choice([p for p in Phase if Phase.REGISTER <= p <= Phase.BATCH]))
    for node in rng.sample(session.committee(), 2):
        session.network.kill(node)
    session.run(most=250)
    assert session.market.phase in ENDS
    if session.result is not None:
        session.assert_exact()
