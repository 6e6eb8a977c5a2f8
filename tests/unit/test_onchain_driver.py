"""The driver of the on-chain baseline: what a restart, a reorganisation and a lagging node must not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import structlog
import trio
from numpy.typing import NDArray

from omninode.chain.errors import InsufficientFunds, RpcUnavailable, TransactionFailed
from omninode.errors import SafetyError, cause_of
from omninode.roles import onchain_driver
from omninode.roles.onchain_driver import ONCHAIN, OnchainDriver, stored
from omninode.store.db import Store
from protocols.onchain import events as ev
from protocols.onchain.data_owner import OnchainDataOwner
from protocols.onchain.owner import OnchainOwner
from tests.unit.onchain_kit import CONTEXT, Play, seed_of


class FakeOnchain:
    """Takes every transaction; ``refuse`` says what becomes of one instead."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[Any, ...], str]] = []
        self.refuse: dict[str, list[Exception]] = {}

    async def transact(
        self, call: str, session: int, args: tuple[Any, ...], value: int, key: str, *, deadline_s: float
    ) -> Any:
        await trio.lowlevel.checkpoint()
        if self.refuse.get(call):
            raise self.refuse[call].pop(0)
        self.sent.append((call, args, key))
        return SimpleNamespace(gas_used=1, block=1, ok=True)

    def forget(self, session: int) -> None:
        pass

    def uploads(self) -> list[tuple[str, tuple[Any, ...], str]]:
        return sorted(entry for entry in self.sent if entry[0] == "upload")


class Events:
    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, name: str, **fields: Any) -> None:
        self.written.append(name)


class World:
    """One data owner's node over a recorded session of two."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open(folder)
        self.play = Play(rounds=1)
        self.play.run()
        self.wallet = self.play.wallets[0]
        self.model: NDArray[np.float64] = self.play.models[self.wallet]
        self.trained = 0

    def services(self, seed: bytes) -> Any:
        return SimpleNamespace(store=self.store, log=structlog.get_logger(), events=Events(), new_seed=lambda: seed)

    def driver(self, chain: FakeOnchain, seed: bytes | None = None) -> OnchainDriver:
        async def train() -> NDArray[np.float64]:
            self.trained += 1
            return self.model

        async def make(seed: bytes) -> OnchainDataOwner:
            return OnchainDataOwner(CONTEXT, self.wallet, seed_of("peer", self.wallet), seed)

        services = self.services(seed or seed_of("seed", self.wallet))
        return OnchainDriver("data_owner", 1, services, chain, make, on_train=train)  # type: ignore[arg-type]

    def until(self, kind: type[ev.OnchainEvent]) -> list[ev.OnchainEvent]:
        """The session up to and including its first event of this kind."""
        last = next(i for i, event in enumerate(self.play.history) if isinstance(event, kind))
        return self.play.history[: last + 1]


def push(driver: OnchainDriver, events: list[ev.OnchainEvent]) -> None:
    for block in sorted({event.block for event in events}):
        driver.push_block(block, [event for event in events if event.block == block])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(onchain_driver, "PAUSE_S", 0.01)
    monkeypatch.setattr(onchain_driver, "LONGEST_PAUSE_S", 0.01)
    return World(tmp_path)


async def cut_short(driver: OnchainDriver, chain: FakeOnchain, uploads: int = 2) -> None:
    """Run until so many uploads are out, then end as a kill would."""
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            while len(chain.uploads()) < uploads:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()


async def test_a_session_runs_to_its_end(world: World) -> None:
    chain = FakeOnchain()
    driver = world.driver(chain)
    push(driver, world.play.history)
    with trio.fail_after(20):
        await driver.run()
    assert world.trained == 1
    assert [state["done"] for s, _, state in world.store.sessions() if s == ONCHAIN | 1] == [True]
    assert world.store.inputs(stored(1), "data_owner") == []


async def test_after_a_kill_the_same_bytes_go_out_and_nothing_is_trained_again(world: World) -> None:
    first, second = FakeOnchain(), FakeOnchain()
    driver = world.driver(first)
    push(driver, world.until(ev.AggregationOpened))
    await cut_short(driver, first)
    world.model = world.model + 1  # would be another model
    again = world.driver(second, seed=seed_of("another seed"))
    push(again, world.until(ev.AggregationOpened))
    await cut_short(again, second)
    assert first.uploads() == second.uploads()
    assert world.trained == 1


async def test_another_key_of_a_peer_after_a_kill_is_not_answered(world: World) -> None:
    chain = FakeOnchain()
    driver = world.driver(chain)
    push(driver, world.until(ev.AggregationOpened))
    await cut_short(driver, chain)
    other = world.play.wallets[1]
    forged = [
        replace(e, key=b"\x09" * 32) if isinstance(e, ev.KeyPosted) and e.who == other else e
        for e in world.until(ev.AggregationOpened)
    ]
    again, late = FakeOnchain(), None
    late = world.driver(again)
    push(late, forged)
    with pytest.raises(Exception) as caught, trio.fail_after(20):
        await late.run()
    assert isinstance(cause_of(caught.value), SafetyError)
    assert again.uploads() == []


async def test_a_reorganisation_makes_the_machine_anew_with_the_same_words(world: World) -> None:
    chain = FakeOnchain()
    driver = world.driver(chain)
    opened = world.until(ev.AggregationOpened)
    push(driver, opened)
    await_block = opened[-1].block - 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(driver.run)
        with trio.fail_after(20):
            while len(chain.uploads()) < 2:
                await trio.sleep(0.01)
            driver.roll_back(await_block)
            push(driver, [event for event in opened if event.block > await_block])
            while len(chain.uploads()) < 4:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    before, after = chain.uploads()[::2], chain.uploads()[1::2]
    assert before == after
    assert world.trained == 1


async def test_what_may_only_be_early_is_tried_again_and_what_is_refused_is_not(world: World) -> None:
    chain = FakeOnchain()
    chain.refuse["upload"] = [
        TransactionFailed("upload", "early", error="WrongState"), RpcUnavailable("http://x", "down"),
    ]  # fmt: skip
    chain.refuse["register"] = [TransactionFailed("register", "no room", error="Full")]
    driver = world.driver(chain)
    push(driver, world.until(ev.AggregationOpened))
    await cut_short(driver, chain)
    assert [call for call, _, _ in chain.sent].count("register") == 0
    assert len(chain.uploads()) == 2


async def test_nothing_due_ends_the_session_too(world: World) -> None:
    chain = FakeOnchain()
    chain.refuse["claim"] = [TransactionFailed("claim", "nothing", error="NothingDue")]
    driver = world.driver(chain)
    push(driver, [event for event in world.play.history if not isinstance(event, ev.Claimed)])
    with trio.fail_after(20):
        await driver.run()


def unclaimed(world: World) -> list[ev.OnchainEvent]:
    return [event for event in world.play.history if not isinstance(event, ev.Claimed | ev.Exited)]


async def test_a_claim_that_fails_is_tried_until_it_is_mined(world: World) -> None:
    chain = FakeOnchain()
    poor = InsufficientFunds(b"\x01" * 20, 5, 1)
    reverted = TransactionFailed("claim", "out of gas", sent=True)
    chain.refuse["claim"] = [poor] * (2 * onchain_driver.TRIES) + [reverted, poor]
    driver = world.driver(chain)
    push(driver, unclaimed(world))
    with trio.fail_after(20):
        await driver.run()
    assert [key for call, _, key in chain.sent if call == "claim"] == ["data_owner/claim/1"]


async def test_a_session_is_not_done_while_its_claim_is_refused(world: World) -> None:
    chain = FakeOnchain()
    chain.refuse["claim"] = [InsufficientFunds(b"\x01" * 20, 5, 1)] * 10_000
    driver = world.driver(chain)
    push(driver, unclaimed(world))
    with trio.move_on_after(0.5):
        await driver.run()
    assert [state for _, _, state in world.store.sessions()] == [None]


@pytest.mark.parametrize("changed", ["head", "document", "training"])
async def test_another_session_in_the_same_place_ends_the_driver(world: World, changed: str) -> None:
    chain = FakeOnchain()
    driver = world.driver(chain)
    started = world.until(ev.Started)
    push(driver, started)
    other: list[ev.OnchainEvent] = []
    for event in world.play.history:
        if isinstance(event, ev.Created) and changed == "head":
            event = replace(event, head=b"\x09" * 20)
        elif isinstance(event, ev.Created) and changed == "document":
            event = replace(event, terms=replace(event.terms, doc_digest=b"\x09" * 32))
        elif isinstance(event, ev.Started) and changed == "training":
            event = replace(event, training=replace(event.training, group_size=9))
        other.append(event)
    driver.roll_back(0)
    push(driver, other)
    with trio.fail_after(20):
        await driver.run()
    assert chain.uploads() == []
    assert [state["replaced"] for _, _, state in world.store.sessions()] == [True]


async def test_setting_up_waits_for_a_wallet_to_be_filled(world: World) -> None:
    chain, training = FakeOnchain(), world.play.chain.view.training
    assert training is not None
    poor = InsufficientFunds(b"\x01" * 20, 5, 1)
    chain.refuse["postModel"] = [poor] * (3 * onchain_driver.TRIES)

    async def make(seed: bytes) -> Any:
        return OnchainOwner(1, np.zeros(300), training)

    driver = OnchainDriver("model_owner", 1, world.services(bytes(32)), chain, make)  # type: ignore[arg-type]
    push(driver, world.until(ev.Created))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(driver.run)
        with trio.fail_after(20):
            while [call for call, _, _ in chain.sent].count("postModel") < 2:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


async def test_the_owner_is_not_done_before_it_has_the_result(world: World) -> None:
    chain, gate, seen = FakeOnchain(), trio.Event(), []

    async def after(view: Any) -> None:
        await gate.wait()
        seen.append(view.selected)

    async def make(seed: bytes) -> Any:
        return world.play.machines[b"\xee" * 20]

    services = world.services(bytes(32))
    driver = OnchainDriver("model_owner", 1, services, chain, make, after=after)  # type: ignore[arg-type]
    push(driver, world.play.history)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(driver.run)
        await trio.sleep(0.1)
        assert not [state for _, _, state in world.store.sessions() if state]
        gate.set()
    assert seen == [1]
