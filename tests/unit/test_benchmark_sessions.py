"""The benchmarks' own sessions: played here on the simulated market, with the clock, the meter and the replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from omninode.chain.wallet import recover
from omninode.reproduce.stage import session as stage
from omninode.reproduce.stage.blocks import Gas
from omninode.reproduce.stage.node import Node
from omninode.reproduce.stage.outcome import Update, check, expected_pay
from protocols.errors import RemoteProtocolError
from protocols.secagg.keys import public_of
from protocols.sessions import events as ev
from protocols.sessions.limits import check_params
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Payout, Phase, Rule, SessionParams
from protocols.sessions.view import SessionView
from protocols.wire.context import Context
from tests.benchmarks import bench_session
from tests.benchmarks.clock import Clock, MeteredNetwork, TimedNode, public, role
from tests.benchmarks.replayed import growth
from tests.simulation.verified_market import VerifiedMarket

DIMENSION, OWNERS = 40, 6


@dataclass
class Show:
    played: stage.Played
    clock: Clock
    market: VerifiedMarket

    @property
    def paid(self) -> list[int]:
        return [self.market.payouts.get(k, 0) for k in range(OWNERS)]

    @property
    def owner(self) -> OwnerMachine:
        machine = self.played.nodes[-1].machine
        assert isinstance(machine, OwnerMachine)
        return machine

    @property
    def updates(self) -> dict[bytes, Update]:
        return {node.address: node.update for node in self.played.nodes if node.update is not None}


@pytest.fixture(scope="module", params=[Rule.TRUST, Rule.OUTLIER], ids=["trust", "outlier"])
def show(request: pytest.FixtureRequest) -> Show:
    """A session of the benchmark, in small."""
    params, context, clock = stage.verified(DIMENSION, OWNERS, request.param), Context(31337, b"\1" * 20, 1), Clock()
    infos = [
        ev.ProverInfo(stage.wallet("prover", i).address, bytes(32), public_of(stage.enc_secret(i)))
        for i in range(stage.PROVERS)
    ]
    market = VerifiedMarket(context, params, infos, recover, 1)
    with clock.watching(bench_session.WATCHED):
        nodes = stage.Cast(partial(TimedNode, clock)).nodes(context, params)
        network = MeteredNetwork(clock, nodes, market, seed=1)
        first = market.create()
        for node in nodes:
            node.blocks.append((market.block, first))
        while market.phase not in (Phase.FINISHED, Phase.ABORTED):
            network.mine()
            assert market.block < 100
        network.mine()
    return Show(stage.Played(params, context, nodes, network, Gas()), clock, market)


def test_the_outcome_is_checked(show: Show) -> None:
    check(show.owner, show.updates, show.paid)
    with pytest.raises(RuntimeError, match="pays"):
        check(show.owner, show.updates, [show.paid[0] + 1, *show.paid[1:]])
    first = next(iter(show.updates))
    with pytest.raises(RuntimeError, match="sum is wrong"):
        check(show.owner, show.updates | {first: show.updates[first] + 1}, show.paid)


def test_who_gives_no_sum_has_not_passed(show: Show) -> None:
    nobody = show.played.nodes[0].machine.view
    fresh = stage.machine(nobody.p, show.played.context, "owner", 0, lambda _: pytest.fail("no shelf"))
    assert isinstance(fresh, OwnerMachine) and nobody.batch is not None
    with pytest.raises(RuntimeError, match="no sum"):
        check(fresh, show.updates, show.paid)


def test_everybody_must_be_accepted_where_nobody_need_be_dropped(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    view = show.owner.view
    assert view.batch is not None
    monkeypatch.setattr(view, "batch", replace(view.batch, accepted=view.batch.accepted & ~1))
    with pytest.raises(RuntimeError, match="accepted" if view.p.rule == Rule.TRUST else "sum is wrong"):
        check(show.owner, show.updates, show.paid)


def test_pay_in_plain_integers() -> None:
    view, reference = SessionView(1), np.array([4, 0], dtype=np.int64)
    view.params = replace(stage.verified(2, 3), reward=100, score_cap=20)
    view.members = [None] * 3  # type: ignore[list-item]
    taken = [np.array(v, dtype=np.int64) for v in ([5, 0], [9, 1])]
    assert expected_pay(view, [0, 2], taken, reference) == [50, 0, 50]  # both at the cap
    view.params = replace(view.params, score_cap=1000)
    assert expected_pay(view, [0, 2], taken, reference) == [100 * 20 // 56, 0, 100 * 36 // 56]
    view.params = replace(view.params, rule=Rule.OUTLIER)  # copies of each other: half the weight
    assert expected_pay(view, [0, 2], taken, reference) == [100 * 10 // 28, 0, 100 * 18 // 28]
    view.params = replace(view.params, payout=Payout.EQUAL)
    assert expected_pay(view, [0, 2], taken, reference) == [33, 0, 33]


def test_all_work_is_on_the_clock(show: Show) -> None:
    assert {role(name) for name, _ in show.clock.phases} == set(bench_session.ROLES)
    parts = {whose: {part for name, part in show.clock.parts if role(name) == whose} for whose in bench_session.ROLES}
    assert parts["data owner"] == {"share and commit", "prove", "seal", "encode, decode"}
    assert parts["owner"] == parts["data owner"] | {"open the sum"}
    never = {"rebuild"} - parts["prover"]  # nothing was missing
    assert parts["prover"] | never == {*bench_session.PROVERS_PARTS.values(), "encode, decode"}
    assert sum(show.clock.parts.values()) <= sum(show.clock.phases.values())


def test_everything_that_is_sent_is_measured(show: Show) -> None:
    network = show.played.network
    assert isinstance(network, MeteredNetwork)
    count = {key: len(sizes) for key, sizes in network.sent.items()}
    assert count["data owner", "prover", "upload"] == OWNERS * stage.PROVERS == 6 * count["owner", "prover", "upload"]
    assert count["prover", "prover", "opening proofs"] == stage.PROVERS * (stage.PROVERS - 1)
    assert count["prover", "owner", "output-share"] == stage.PROVERS
    assert all(size > 8 * DIMENSION for size in network.sent["prover", "owner", "output-share"])


def test_rows_of_a_session(show: Show) -> None:
    rows = [*bench_session.cpu(show.played, show.clock), *bench_session.traffic(show.played)]
    rows += bench_session.blocks(show.played)
    by_name = {entry["name"]: entry for entry in rows}
    assert len(by_name) == len(rows)
    means = sum(by_name[f"CPU, {whose}"]["ours"] * len(show.played.of(whose)) for whose in bench_session.ROLES)
    assert by_name["CPU, everybody"]["ours"] == pytest.approx(means)
    assert by_name["blocks, all"]["ours"] == sum(e["ours"] for n, e in by_name.items() if n.startswith("blocks, phase"))
    assert by_name["bytes, data owner to all provers, upload"]["params"]["messages"] == OWNERS * stage.PROVERS


def test_the_prover_whose_memory_is_measured_does_the_same_again(show: Show) -> None:
    node = show.played.of("prover")[2]
    assert growth(node, node.machine.view.p) >= 0
    other = Node(node.name, node.address, node.context, lambda: node.machine)
    other.journal, other.effects = node.journal, node.effects[:-1]
    with pytest.raises(RuntimeError, match="differs"):
        growth(other, node.machine.view.p)


@pytest.mark.parametrize("make", [stage.grouped, stage.verified])
def test_the_sessions_may_be_created(make: Callable[[int], SessionParams]) -> None:
    for dimension in (1_000, 100_000):
        check_params(make(dimension))
        update = stage.update(make(dimension), 3)
        assert int(update @ update) <= make(dimension).bound ** 2


class Worker:
    """Something to watch."""

    def outer(self) -> None:
        self.inner()

    def inner(self) -> None:
        began = time.thread_time()
        while time.thread_time() < began + 0.002:
            pass

    def fail(self) -> None:
        raise RemoteProtocolError("rule")


def test_the_outermost_part_counts_and_only_while_somebody_works(show: Show) -> None:
    clock, node, worker = Clock(), show.played.nodes[0], Worker()
    before = dict(vars(Worker))
    watched = [(Worker, "outer", "outside"), (Worker, "inner", "inside"), (Worker, "fail", "failed")]
    assert [name for _, name, _ in public(Worker, "x")] == ["outer", "inner", "fail"]
    with clock.watching(watched):
        worker.inner()
        assert not clock.parts
        clock.working(node, worker.outer)
        assert set(clock.parts) == {(node.name, "outside")}
        with pytest.raises(RemoteProtocolError):
            clock.working(node, worker.fail)
        clock.working(node, worker.inner)
    assert set(clock.parts) == {(node.name, part) for part in ("outside", "failed", "inside")}
    assert dict(vars(Worker)) == before
    assert set(clock.phases) == {(node.name, node.machine.view.phase.name)}
