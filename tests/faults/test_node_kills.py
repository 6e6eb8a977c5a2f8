"""SIGKILL to any node at any time of a session, and restart: the right sum comes out, and nothing is said twice.

``LocalMarket.settled`` checks after each: the opened sum is that of the accepted updates, everybody has what is theirs,
the contract's books balance, and no wallet sent a transaction twice.
"""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
import trio

from omninode.roles import outcome
from protocols.sessions.params import REFERENCE, Bitmap, Phase
from protocols.wire import codec
from protocols.wire.messages import Message, Unmask, Upload
from tests.integration.market_kit import MODEL_OWNER, LocalMarket, Watching


def heard(market: LocalMarket, prover: str, session: int, watch: Watching) -> list[tuple[Message, bytes]]:
    """The messages in a prover's journal."""
    context, limits = market.context(session), codec.limits_for(watch.record(session).view.p)
    inputs = market.inputs(prover, session, "prover")
    return [(codec.decode(data, context, limits), data) for kind, data in inputs if kind == "message"]


def check_said_once(market: LocalMarket, session: int, watch: Watching, kind: type[Message]) -> None:
    """Whatever a data owner told the provers, it never told one of them two different things of a kind."""
    for prover in market.provers:
        said: dict[bytes, set[bytes]] = defaultdict(set)
        for message, data in heard(market, prover, session, watch):
            if isinstance(message, kind):
                said[message.sender].add(data)
        for sender, versions in said.items():
            assert len(versions) == 1, f"{market.names[sender]} said {len(versions)} {kind.__name__} to {prover}"


async def test_provers(local_market: LocalMarket) -> None:
    """One is killed once it has given receipts, another between U and the batch."""
    async with local_market.watching() as watch:
        session = await watch.create()
        record = await watch.phase(session, Phase.REGISTER)
        part = await watch.until_part("data-owner-01", session, lambda part: bool(part.get("receipts")))
        first = local_market.names[record.view.committee[part["receipts"][0]].address]
        second = next(name for name in local_market.provers if name != first)
        watch.kill(first)
        await watch.back(first)
        await watch.phase(session, Phase.BATCH)
        watch.kill(second)
        await watch.back(second)
        await watch.settled(session)


async def test_data_owners(local_market: LocalMarket) -> None:
    """One is killed before its training ends, another when its upload is out and its unmasking is not."""
    early, late = "data-owner-02", "data-owner-05"
    async with local_market.watching() as watch:
        session = await watch.create()
        record = watch.record(session)
        address = local_market.address(early)
        await watch.until(lambda: record.view.member_of(address) is not None, f"{early} registers")
        watch.kill(early)
        await watch.back(early)
        await watch.until_part(late, session, lambda part: len(part.get("receipts", ())) >= 4)
        watch.kill(late)
        await watch.back(late)
        await watch.settled(session)
        for kind in (Upload, Unmask):
            check_said_once(local_market, session, watch, kind)
        for name in (early, late):
            member = record.view.member_of(local_market.address(name))
            assert member is not None
            assert not record.view.silent_owners >> member.index & 1


async def test_model_owner(local_market: LocalMarket) -> None:
    """Killed while the session runs, when the batch is final, and when it holds the sum; the sum is added once.

    It also comes back a moment before it creates the session: its port is a new one, and everybody must find it there.
    """
    async with local_market.watching() as watch:
        watch.kill(MODEL_OWNER)
        await watch.back(MODEL_OWNER)
        session = await watch.create()
        before = local_market.ask(MODEL_OWNER, "status")["model"]
        for phase in (Phase.KEYS, Phase.OUTPUT):
            record = await watch.phase(session, phase)
            watch.kill(MODEL_OWNER)
            await watch.back(MODEL_OWNER)
        with trio.move_on_after(60):
            while not local_market.part(MODEL_OWNER, session).get("done"):
                await trio.sleep(0.02)
        watch.kill(MODEL_OWNER)
        await watch.back(MODEL_OWNER)
        await watch.settled(session)
        assert len(record.view.members) == len(local_market.data_owners)
        after = local_market.ask(MODEL_OWNER, "status")["model"]
        assert after["weights"] != before["weights"]
        assert [s for s, _ in after["applied"]] == [*(s for s, _ in before["applied"]), session]
        assert len(local_market.events(MODEL_OWNER, "model_improved", session)) == 1


async def test_all_provers_at_once(local_market: LocalMarket) -> None:
    """In the middle of the check, when every piece lies with them."""
    async with local_market.watching() as watch:
        session = await watch.create()
        await watch.phase(session, Phase.QUERY)
        watch.kill(*local_market.provers)
        await watch.back(*local_market.provers)
        record = await watch.settled(session)
        assert record.view.batch is not None
        assert record.view.batch.accepted.bit_count() >= 6


async def test_verified_session(local_market: LocalMarket) -> None:
    """The owner while data owners register and when the sum is due, a data owner before its upload, one that stays away
    once it holds its receipts, and a prover among the proofs: all in one session, and everybody is valid.
    """
    early, gone, prover = "data-owner-02", "data-owner-05", "prover-2"
    async with local_market.watching() as watch:
        session = await watch.create(mode="verified", payout="contribution")
        record = await watch.phase(session, Phase.REGISTER)
        watch.kill(MODEL_OWNER)
        await watch.back(MODEL_OWNER)
        await watch.until(lambda: record.view.member_of(local_market.address(early)) is not None, f"{early} registers")
        watch.kill(early)
        await watch.until_part(gone, session, lambda part: bool(part.get("may_leave")))
        watch.kill(gone)
        await watch.back(early)
        await watch.phase(session, Phase.QUERY)
        watch.kill(prover)
        await watch.back(prover)
        await watch.phase(session, Phase.OUTPUT)
        watch.kill(MODEL_OWNER)
        await watch.back(MODEL_OWNER, gone)
        await watch.settled(session)
        assert record.view.in_set(Bitmap.VALID, REFERENCE)
        assert record.view.sets[Bitmap.VALID].bit_count() == len(local_market.data_owners) + 1
        assert sum(outcome.payouts(record.view)) > 0
        check_said_once(local_market, session, watch, Upload)


@pytest.mark.soak
async def test_random_kills(local_market: LocalMarket, seed: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """A random node every few seconds, during two sessions. Whatever comes of them, everybody has what is theirs."""
    dice = random.Random(seed)
    with capsys.disabled():
        print(f"\n  random kills: seed {seed.hex()[:16]}")
    names = [node.name for node in local_market.cluster.nodes]
    killed: list[str] = []

    async def killer(watch: Watching) -> None:
        while True:
            await trio.sleep(dice.uniform(1, 4))
            name = dice.choice(names)
            killed.append(name)
            watch.kill(name)
            await trio.sleep(dice.uniform(0, 2))
            local_market.node(name).start()

    async with local_market.watching() as watch:
        for _ in range(2):
            session = await watch.create()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(killer, watch)
                await watch.phase(session, Phase.FINISHED)
                nursery.cancel_scope.cancel()
            local_market.heal()
            await trio.to_thread.run_sync(local_market.wait_ready)
            record = await watch.paid(session)
            await watch.check_money(session)
            await watch.check_nothing_twice(session)
            assert record.view.named_provers == 0, killed
            if record.view.phase == Phase.FINISHED:
                await watch.check_sum(record)
            for kind in (Upload, Unmask):
                check_said_once(local_market, session, watch, kind)
