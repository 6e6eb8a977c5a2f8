"""The node's sessions of the on-chain baseline: what is followed, joined, refused and shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import structlog
import trio

from omninode.chain.cursor import Batch
from omninode.config_schema import SECTIONS
from omninode.errors import RefusedError, UsageError
from omninode.learning.document import SessionDocument
from omninode.learning.presets import DIGITS
from omninode.learning.service import TrainingDiverged, TrainingFailed
from omninode.roles import onchain_data_owner, onchain_owner, onchain_sessions
from omninode.roles.onchain_data_owner import OnchainDataOwner
from omninode.roles.onchain_driver import OnchainDriver, stored
from omninode.roles.onchain_owner import OnchainOwner, check_options, poisoned
from omninode.roles.onchain_sessions import RESUME_KEY, OnchainSessions
from omninode.roles.session_files import SessionFiles
from omninode.store.blobs import FileBlobStore, StoreFull
from omninode.store.db import Store
from protocols.onchain import events as ev
from protocols.onchain.data_owner import OnchainDataOwner as Machine
from protocols.onchain.lanes import encode
from protocols.onchain.limits import session_gas
from protocols.onchain.params import State, Training
from protocols.onchain.view import OnchainView
from tests.unit.onchain_kit import CONTEXT, OWNER, Play, seed_of, terms
from tests.unit.test_onchain_driver import Events, FakeOnchain


@pytest.fixture(scope="module")
def played() -> Play:
    play = Play(rounds=1)
    play.run()
    return play


class FakeCursor:
    def __init__(self, batches: list[Batch[Any]]) -> None:
        self._batches, self.left = batches, []

    def leave(self, head: bytes) -> None:
        self.left.append(head)

    async def __aiter__(self) -> AsyncIterator[Batch[Any]]:
        for batch in self._batches:
            yield batch
            await trio.sleep(0.01)
        await trio.sleep_forever()


class Chain(FakeOnchain):
    """``FakeOnchain`` that also has events to follow."""

    start_block, chain_id, heads = 0, 31337, {1: b"\x11" * 20}

    def __init__(self, batches: list[Batch[Any]]) -> None:
        super().__init__()
        self.asked, self._batches = -1, batches

    def cursor(self, start: int, *, confirmations: int) -> FakeCursor:
        self.asked = start
        return FakeCursor(self._batches)


class Joiner:
    """Takes part in everything, with the machine of the first wallet."""

    def __init__(self, play: Play, services: Any, chain: Chain) -> None:
        self._play, self._services, self._chain, self.joined = play, services, chain, 0

    def wants(self, view: OnchainView) -> bool:
        return view.training is not None

    async def join(self, view: OnchainView) -> OnchainDriver:
        self.joined += 1
        wallet = self._play.wallets[0]

        async def make(seed: bytes) -> Machine:
            return Machine(CONTEXT, wallet, seed_of("peer", wallet), seed)

        async def train() -> Any:
            return self._play.models[wallet]

        return OnchainDriver("data_owner", 1, self._services, self._chain, make, on_train=train)  # type: ignore[arg-type]


def services_of(store: Store, wallet: bytes = b"\x77" * 20, **sections: Any) -> Any:
    chosen = {name: section() for name, section in SECTIONS.items()} | sections
    return SimpleNamespace(
        store=store, log=structlog.get_logger(), events=Events(), config=SimpleNamespace(**chosen),
        new_seed=lambda: seed_of("seed"), wallet=SimpleNamespace(address=wallet),
        net=SimpleNamespace(book=SimpleNamespace(pin=lambda key: None), peer_key=b"\x01" * 32),
    )  # fmt: skip


def batches(events: list[ev.OnchainEvent]) -> list[Batch[Any]]:
    return [Batch(b, [e for e in events if e.block == b]) for b in range(1, events[-1].block + 2)]


async def follow(sessions: OnchainSessions, seconds: float = 10) -> None:
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sessions.run)
            while not (sessions.views and all(v.state == State.FINISHED for v in sessions.views.values())):
                await trio.sleep(0.01)
            while sessions.drivers:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()


async def test_a_session_is_followed_driven_and_shown(tmp_path: Path, played: Play) -> None:
    store = Store.open(tmp_path)
    chain, services = Chain(batches(played.history)), services_of(store)
    services.new_seed = lambda: seed_of("seed", played.wallets[0])
    role = Joiner(played, services, chain)
    sessions = OnchainSessions(services, chain, [role])  # type: ignore[arg-type]
    await follow(sessions)
    assert role.joined == 1
    assert len(chain.uploads()) == 2
    (line,) = sessions.list()
    assert (line["session"], line["onchain"], line["phase"], line["registered"]) == (1, True, "FINISHED", 2)
    shown = sessions.show(1)
    assert shown is not None
    assert shown["selected"] == [0]
    assert [m["uploaded"] for m in shown["members"]] == ["2/2", "2/2"]
    assert shown["ours"]["done"]
    assert sessions.show(2) is None
    resume = int(store.meta_get(RESUME_KEY) or 0)
    assert resume >= 1

    again = Chain(batches(played.history))  # a restart: what is done is not joined again
    second = Joiner(played, services, again)
    restarted = OnchainSessions(services, again, [second])  # type: ignore[arg-type]
    await follow(restarted)
    assert second.joined == 0
    assert again.asked == resume


async def test_a_reorganisation_takes_the_view_back(tmp_path: Path, played: Play) -> None:
    started = next(e for e in played.history if isinstance(e, ev.Started))
    upto = [e for e in played.history if e.block <= started.block + 1]
    told = [*batches(upto), Batch(started.block, [], rolled_back_to=started.block)]
    sessions = OnchainSessions(services_of(Store.open(tmp_path)), Chain(told), [])  # type: ignore[arg-type]
    await follow(sessions, 0.5)
    assert sessions.views[1].state == State.REGISTER
    assert not sessions.views[1].members
    gone = [*batches(upto), Batch(0, [], rolled_back_to=0)]
    sessions = OnchainSessions(services_of(Store.open(tmp_path / "b")), Chain(gone), [])  # type: ignore[arg-type]
    await follow(sessions, 0.5)
    assert sessions.views == {}


async def test_events_of_unknown_sessions_are_passed_over(tmp_path: Path, played: Play) -> None:
    sessions = OnchainSessions(
        services_of(Store.open(tmp_path)), Chain(batches(played.history[1:])), []  # type: ignore[arg-type]
    )  # fmt: skip
    await follow(sessions, 0.3)
    assert sessions.views == {}
    with pytest.raises(RefusedError, match="no model owner"):
        await sessions.create({})


class Bad(Joiner):
    """Its machine cannot be made."""

    async def join(self, view: OnchainView) -> OnchainDriver:
        driver = await super().join(view)

        async def broken(seed: bytes) -> Machine:
            raise RuntimeError("a defect")

        driver._make = broken
        return driver


def unpaid(play: Play) -> list[ev.OnchainEvent]:
    return [event for event in play.history if not isinstance(event, ev.Claimed | ev.Exited)]


@pytest.mark.parametrize("owner", [False, True])
async def test_what_cannot_be_played_is_still_paid_for(
    tmp_path: Path, played: Play, owner: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onchain_sessions, "DRIVER_TRIES", 1)
    monkeypatch.setattr(onchain_sessions, "WAIT_S", 0.01)
    store, wallet = Store.open(tmp_path), OWNER if owner else played.wallets[0]
    chain, services = Chain(batches(unpaid(played))), services_of(store, wallet)
    sessions = OnchainSessions(services, chain, [Bad(played, services, chain)])  # type: ignore[arg-type]
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sessions.run)
            while not any(state for _, _, state in store.sessions()):
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert [call for call, _, _ in chain.sent] == ["exit" if owner else "claim"]
    assert "session_failed" in services.events.written


async def test_a_restart_begins_before_sessions_that_still_owe_something(tmp_path: Path, played: Play) -> None:
    class Slow(Joiner):
        async def join(self, view: OnchainView) -> OnchainDriver:
            await trio.sleep_forever()
            raise AssertionError

    store, past = Store.open(tmp_path), unpaid(played)
    store.begin(stored(1), "data_owner", seed_of("seed"))  # an earlier life
    for _ in range(2):  # killed while it joins again, after all blocks came in one batch
        chain, services = Chain([Batch(past[-1].block + 1, list(past))]), services_of(store)
        with trio.move_on_after(0.2):
            await OnchainSessions(services, chain, [Slow(played, services, chain)]).run()  # type: ignore[arg-type]
    assert store.meta_get(RESUME_KEY) == "1"


async def test_cheap_sessions_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onchain_sessions, "MOST_FOLLOWED", 70)
    made = [ev.Created(i, i, i.to_bytes(20, "big"), terms()) for i in range(1, 301)]
    chain = Chain([Batch(e.block, [e]) for e in made[:100]] + [Batch(300, list(made[100:]))])  # type: ignore[arg-type]
    cursor = FakeCursor(chain._batches)
    monkeypatch.setattr(chain, "cursor", lambda start, confirmations: cursor)
    sessions = OnchainSessions(services_of(Store.open(tmp_path)), chain, [])  # type: ignore[arg-type]
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sessions.run)
            while len(cursor.left) < 230:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert sorted(sessions.views) == list(range(231, 301))
    assert cursor.left == [e.head for e in made[:230]]
    assert sessions._trim(300 + onchain_sessions.OLD_BLOCKS + 1) == [e.head for e in made[230:]]


async def test_a_view_survives_a_reorganisation_for_those_who_hold_it(tmp_path: Path, played: Play) -> None:
    sessions = OnchainSessions(services_of(Store.open(tmp_path)), Chain([]), [])  # type: ignore[arg-type]
    for batch in batches(played.history):
        sessions._on_block(batch.block, batch.events)
    view = sessions.views[1]
    started = next(e for e in played.history if isinstance(e, ev.Started))
    sessions._roll_back(started.block)
    assert sessions.views[1] is view
    assert (view.state, view.members) == (State.REGISTER, [])


# ------------------------------------------------------------------------------------------------------- data owner


def registering(training: Training, reward: int = 10**18) -> OnchainView:
    view = OnchainView(1)
    view.apply(ev.Created(1, 1, b"\x11" * 20, replace(terms(), reward=reward)))
    view.apply(ev.Started(1, 2, training, 20))
    return view


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"allowed_owners": ("0x" + "12" * 20,)}, "not in data_owner.allowed_owners"),
        ({"min_group": 5}, "rounds of 4, fewer than data_owner.min_group = 5"),
        ({"min_reward": 10**18}, "wei for each place"),
        ({"max_sessions": 0}, "max_sessions = 0"),
    ],
)
async def test_the_policy_refuses_with_a_reason(tmp_path: Path, policy: dict[str, Any], said: str) -> None:
    services = services_of(Store.open(tmp_path), data_owner=SECTIONS["data_owner"](**policy))
    services.blobs = FileBlobStore(tmp_path / "blobs")
    node = SimpleNamespace(name="data_owner", files=SessionFiles(services, "data_owner"))
    role = OnchainDataOwner(services, Chain([]), node)  # type: ignore[arg-type]
    view = registering(Training(10, 2, 10, 2, 4))
    assert role.wants(view)
    assert await role.join(view) is None
    assert said in role.refusals[1]
    assert not role.wants(view)


async def test_refusals_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onchain_data_owner, "KEEP_REFUSALS", 2)
    services = services_of(Store.open(tmp_path), data_owner=SECTIONS["data_owner"](max_sessions=0))
    files = SimpleNamespace(begin=lambda *_: None, drop=lambda session: trio.lowlevel.checkpoint())
    files.check_budget = SessionFiles(services, "data_owner").check_budget
    role = OnchainDataOwner(services, Chain([]), SimpleNamespace(name="data_owner", files=files))  # type: ignore[arg-type]
    for session in range(1, 5):
        view = registering(Training(10, 2, 10, 2, 4))
        view.session = session
        assert await role.join(view) is None
    assert list(role.refusals) == [3, 4]


def test_which_sessions_a_data_owner_looks_at(tmp_path: Path) -> None:
    own = b"\x77" * 20
    node: Any = SimpleNamespace(name="data_owner", files=None)
    role = OnchainDataOwner(services_of(Store.open(tmp_path), own), Chain([]), node)  # type: ignore[arg-type]
    view = registering(Training(10, 2, 10, 2, 4))
    assert role.wants(view)
    view.apply(ev.Whitelisted(1, 3, ()))
    assert not role.wants(view)  # a list of nobody
    view.apply(ev.Whitelisted(1, 3, (b"\x78" * 20,)))
    assert not role.wants(view)
    view.whitelist.add(own)
    assert role.wants(view)
    view.state = State.MODEL_AGGREGATE
    assert not role.wants(view)
    view.apply(ev.Registered(1, 3, own, 0, b"\x01" * 32))
    assert role.wants(view)  # a promise, also after a restart
    assert not OnchainDataOwner(services_of(Store.open(tmp_path / "o"), OWNER), Chain([]), node).wants(  # type: ignore[arg-type]
        registering(Training(10, 2, 10, 2, 4))
    )


# ------------------------------------------------------------------------------------------------------ model owner


class Offering:
    """Of ``ModelOwner`` what the baseline uses."""

    def __init__(self) -> None:
        self.document = SessionDocument(
            model=DIGITS.model, weights=bytes(32), train=DIGITS.train, min_samples=50, frac_bits=16, bound=1
        )
        self.creation = self
        self.offered = 0

    async def outlined(self, overrides: dict[str, Any]) -> SessionDocument:
        return replace(self.document, weights=bytes(32))

    async def offer(self, overrides: dict[str, Any]) -> Any:
        self.offered += 1
        return self.document, SimpleNamespace(part=self.document.part, note="")


class Ledger(Chain):
    """Answers what ``create`` asks."""

    def __init__(self, balance: int = 10**20) -> None:
        super().__init__([])
        self.made: list[Any] = []
        self.client = SimpleNamespace(rpc=self._rpc, balance=lambda who: self._give(balance))

    async def _give(self, value: int) -> int:
        return value

    async def _rpc(self, method: str, *args: object) -> dict[str, str]:
        return {"gasLimit": hex(60_000_000), "baseFeePerGas": hex(7 * 10**9)}

    async def quote(self, chosen: Any, training: Training) -> int:
        return chosen.reward + 10**18

    async def create(self, chosen: Any, deposit: int, *, key: str) -> int:
        self.made.append((chosen, deposit))
        return 7


def owner_of(tmp_path: Path, ledger: Ledger, **settings: Any) -> OnchainOwner:
    services = services_of(Store.open(tmp_path), OWNER, model_owner=SECTIONS["model_owner"](**settings))
    return OnchainOwner(services, ledger, Offering())  # type: ignore[arg-type]


async def test_a_session_is_created_with_its_plan_written_down_first(tmp_path: Path) -> None:
    ledger = Ledger()
    owner = owner_of(tmp_path, ledger, upload_blocks=30)
    created = await owner.create({"m_krum": 2})
    ((chosen, deposit),) = ledger.made
    assert (created["session"], created["onchain"]) == (7, True)
    assert (chosen.m_krum, chosen.dimension, chosen.upload_blocks) == (2, 5_090, 30)
    assert deposit == chosen.reward + 10**18
    assert "gas in all" in created["note"]
    view = OnchainView(7)
    view.apply(ev.Created(7, 1, b"\x11" * 20, chosen))
    assert owner.wants(view)
    assert await owner.join(view) is not None
    stranger = OnchainView(8)
    stranger.apply(ev.Created(8, 1, b"\x11" * 20, replace(chosen, doc_digest=b"\x05" * 32)))
    assert await owner.join(stranger) is None  # opened with this wallet, but not by this node


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"upload_blocks": 2}, "the uploads alone fill"),
        ({"groups": 17}, "1 to 16 rounds"),
        ({"m_krum": 5}, "cannot keep 5 of 4 rounds"),
        ({"mu": 0.5}, "mu = 0.5"),
        ({"settle_blocks": 10}, "settle window of 10 blocks is too short"),
        ({"gas_price_cap": 6 * 10**9}, "data owners refuse that"),
    ],
)
async def test_what_does_not_fit_is_refused(tmp_path: Path, overrides: dict[str, Any], said: str) -> None:
    owner = owner_of(tmp_path, Ledger())
    with pytest.raises(RefusedError, match=said):
        await owner.create(overrides)
    assert owner._owner.offered == 0  # type: ignore[attr-defined]


async def test_an_empty_wallet_and_an_unknown_option_are_refused(tmp_path: Path) -> None:
    ledger = Ledger(balance=10**17)
    owner = owner_of(tmp_path, ledger)
    with pytest.raises(RefusedError, match="the wallet holds"):
        await owner.create({})
    with pytest.raises(UsageError, match="unknown option"):
        await owner.create({"wings": 2})
    assert ledger.made == []
    assert owner._owner.offered == 0  # type: ignore[attr-defined]


async def test_the_owner_keeps_gas_for_its_own_transactions(tmp_path: Path) -> None:
    gas = session_gas(5_090, 4, 3).owner * 14 * 10**9
    escrow = 12 * 10**15 + 10**18
    with pytest.raises(RefusedError, match="for gas"):
        await owner_of(tmp_path, Ledger(balance=escrow + gas)).create({})
    assert await owner_of(tmp_path / "b", Ledger(balance=escrow + 2 * gas)).create({})


@pytest.mark.parametrize("name", ["mode", "data_owners", "committee", "rule", "payout", "deposit", "public_sums"])
def test_options_without_effect_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} means nothing"):
        check_options({name: 1})
    check_options({name: None, "groups": 3})


class Model:
    """Of ``OwnerModel`` what the baseline uses."""

    def __init__(self, *failing: Exception) -> None:
        self.ready, self._failing = trio.Event(), list(failing)
        self.ready.set()
        self.adopted: list[int] = []

    async def adopt(self, session: int, document: Any, mean: Any, count: int) -> None:
        if self._failing:
            raise self._failing.pop(0)
        self.adopted.append(count)


async def adopted(
    tmp_path: Path, model: Model, factor: float = 1.0, *, selected: int = 0b1, m_krum: int = 1
) -> tuple[list[str], list[int]]:
    """Events and counts of adopted models after a session whose mean is ``factor`` times the published weights."""
    ledger, weights = Ledger(), np.full(5_090, 0.5, dtype="<f4")
    owner = owner_of(tmp_path, ledger)
    document, count = Offering().document, 3 * selected.bit_count()
    blobs = {bytes(32): weights.tobytes(), document.digest(): document.encode()}
    owner._services.blobs = SimpleNamespace(read=blobs.__getitem__)  # type: ignore[assignment]
    owner._owner.model = model  # type: ignore[assignment]
    total = encode(weights.astype(float) * factor * count, count)

    async def result(session: int) -> Any:
        return total, count

    ledger.result = result  # type: ignore[attr-defined]
    ledger.client.retry = lambda call, deadline, what: call()
    view = OnchainView(1)
    view.apply(ev.Created(1, 1, b"\x11" * 20, replace(terms(m_krum=m_krum), doc_digest=document.digest())))
    view.complete = view.selected = selected
    await owner._adopt(view)
    return owner._services.events.written, model.adopted  # type: ignore[attr-defined]


@pytest.mark.parametrize(("factor", "written"), [(1, []), (99, []), (101, ["sum_dropped"])])
async def test_a_sum_that_is_poison_is_not_adopted(tmp_path: Path, factor: float, written: list[str]) -> None:
    assert await adopted(tmp_path, Model(), factor) == (written, [] if written else [3])


@pytest.mark.parametrize("error", [TrainingDiverged("no numbers"), ValueError("no mean")])
async def test_a_sum_that_leads_nowhere_is_dropped(tmp_path: Path, error: Exception) -> None:
    assert await adopted(tmp_path, Model(error)) == (["sum_dropped"], [])


KILLED = TrainingFailed("the training worker ended with code -9")


async def test_a_paid_sum_survives_what_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onchain_owner, "WAIT_S", 0.01)
    monkeypatch.setattr(onchain_owner, "RETRY_S", 0.01)
    full = [StoreFull("no room"), OSError("disk")] * 5
    assert await adopted(tmp_path, Model(KILLED, *full, KILLED)) == ([], [3])


async def test_training_that_always_fails_is_not_called_poison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session is tried again as a whole, and paid for in the end."""
    monkeypatch.setattr(onchain_owner, "RETRY_S", 0.01)
    with pytest.raises(TrainingFailed, match="code -9"):
        await adopted(tmp_path, Model(*[KILLED] * 3))


@pytest.mark.parametrize(
    ("selected", "m_krum", "used"), [(0b1111, 1, False), (0b111, 2, False), (0b1010, 2, True), (0b11, 3, True)]
)
async def test_rounds_that_nobody_judged_are_paid_but_not_used(
    tmp_path: Path, selected: int, m_krum: int, used: bool
) -> None:
    got = await adopted(tmp_path, Model(), selected=selected, m_krum=m_krum)
    assert got == (([], [3 * selected.bit_count()]) if used else (["sum_dropped"], []))


def test_unselected_rounds_are_called_so(played: Play) -> None:
    view = OnchainView(1)
    for event in played.history:
        view.apply(event)
    assert "note" not in onchain_sessions.detail(view)
    view.selected = 0b11
    told = onchain_sessions.detail(view)
    assert told["note"] == "not selected in time: all complete rounds were paid, none used"
    assert not any(member["accepted"] for member in told["members"])


def test_a_mean_that_is_no_number_is_poison() -> None:
    for bad in (np.inf, np.nan):
        assert "norm" in poisoned(np.array([1.0, bad]), np.ones(2))
    assert poisoned(np.ones(2), np.zeros(2)) == ""


def test_numbers_in_the_database_do_not_meet_those_of_the_market() -> None:
    assert stored(1) > 2**40
    assert stored(1) != stored(2)
    assert stored(2**40) < 2**63
