"""The driver: journal before acting, the same bytes after a crash, a peer's fault leaves no trace in the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import trio
import trio.testing

from omninode.errors import SafetyError, StoreError
from omninode.net.errors import PeerRefused, PeerUnreachable
from omninode.observe.events import EventLog
from omninode.roles.driver import SessionDriver
from omninode.roles.sessions import STRANGERS_MESSAGE, Sessions
from omninode.store.db import Store
from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.params import Mode, Phase, Rule, SessionParams
from protocols.sessions.view import SessionView
from protocols.wire import codec
from protocols.wire.context import Context
from protocols.wire.messages import Complaint, Message

CONTEXT = Context(31337, b"\x11" * 20, 7)
OWNER, PEER, OURS = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20
PARAMS = SessionParams(
    doc_digest=bytes(32), owner=OWNER, owner_peer=b"\xa1" * 32, mode=Mode.GROUPED, dimension=8, frac_bits=16, bound=9,
    group_size=2, groups=4, committee=5, threshold=1, rule=Rule.OUTLIER, mu_bps=2500, m_krum=0, min_accepted=3,
    public_sums=True, reward=1, prover_fee=1, deposit=1, gas_price_cap=1, whitelist_root=bytes(32), register_blocks=9,
    upload_blocks=10, settle_blocks=10,
)  # fmt: skip


class EchoMachine:
    """Answers every complaint with one of its own, and remembers all it was fed."""

    def __init__(self, seed: bytes) -> None:
        self.view = SessionView(CONTEXT.session)
        self.seed, self.fed = seed, 0

    def chain(self, event: ev.ChainEvent) -> list[fx.Effect]:
        self.view.apply(event)
        if isinstance(event, ev.Registered):
            return [fx.Remember("peer", event.data_owner), fx.Send(event.data_owner, self._message())]
        return []

    def receive(self, message: Message) -> list[fx.Effect]:
        if isinstance(message, Complaint) and message.dealer == 6:
            raise RemoteProtocolError("unlucky", message.sender.hex())
        self.fed += 1
        return [fx.Reply(self._message())]

    def tick(self, block: int) -> list[fx.Effect]:
        return [fx.Note("tick", (("block", block),))] if block % 10 == 0 else []

    def status(self) -> dict[str, Any]:
        return {"fed": self.fed}

    def _message(self) -> Message:
        return Complaint(OURS, self.seed[0], 0, bytes(65))


class FakeNet:
    """Keeps what is sent; ``fail`` raises what a test wants."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.failures: list[Exception] = []

    async def request(self, peer: bytes, protocol: str, data: bytes, *, deadline: float, max_reply: int) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(data)
        return b""


def services(tmp_path: Path, net: FakeNet) -> Any:
    return SimpleNamespace(
        store=Store.open(tmp_path), net=net, log=structlog.get_logger(), events=EventLog(tmp_path / "e", node="t"),
        compute=trio.CapacityLimiter(1), new_seed=lambda: b"\x05" * 32,
    )  # fmt: skip


EVENTS: list[ev.ChainEvent] = [
    ev.SessionCreated(7, 3, PARAMS),
    ev.PhaseChanged(7, 3, Phase.REGISTER, 12),
    ev.Registered(7, 4, 0, PEER, b"\xb2" * 32, bytes(32)),
]


async def drive(made: Any, test: Callable[[SessionDriver], Any]) -> None:
    driver = SessionDriver("data_owner", CONTEXT, made, EchoMachine)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            await settle(lambda: hasattr(driver, "machine"))
            await test(driver)
            nursery.cancel_scope.cancel()


async def settle(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.sleep(0.005)


def complaint(dealer: int, sender: bytes = PEER) -> bytes:
    return codec.encode(Complaint(sender, dealer, 0, bytes(65)), CONTEXT)


async def test_a_restart_sends_the_same_bytes_again(tmp_path: Path) -> None:
    net = FakeNet()
    made = services(tmp_path, net)

    async def first(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        await settle(lambda: len(net.sent) == 1)
        await driver.on_message(b"\xb2" * 32, complaint(1))

    await drive(made, first)
    before = list(net.sent)

    async def second(driver: SessionDriver) -> None:
        await settle(lambda: len(net.sent) == 2)
        assert driver.machine.status() == {"fed": 1}
        driver.push_block(4, EVENTS)  # the chain is read again from the session's creation: nothing happens twice
        driver.push_block(20, [])
        await settle(lambda: any(kind == "tick" for _, kind, _ in made.store.inputs(7, "data_owner")))

    made.new_seed = lambda: b"\x55" * 32  # a fresh seed must not replace the journaled one
    await drive(made, second)
    assert net.sent == before * 2


async def test_a_fault_of_a_peer_is_not_journaled(tmp_path: Path) -> None:
    made = services(tmp_path, FakeNet())

    async def test(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        await settle(lambda: bool(driver.machine.view.members))
        with pytest.raises(RemoteProtocolError, match="unlucky"):
            await driver.on_message(b"\xb2" * 32, complaint(6))
        assert [kind for _, kind, _ in made.store.inputs(7, "data_owner")] == ["chain", "chain"]

    await drive(made, test)


async def test_strangers_wait_and_impostors_are_at_fault(tmp_path: Path) -> None:
    made = services(tmp_path, FakeNet())

    async def test(driver: SessionDriver) -> None:
        with pytest.raises(PeerRefused, match="not-ready"):
            await driver.on_message(b"\xb2" * 32, complaint(1))
        driver.push_block(4, EVENTS)
        await settle(lambda: bool(driver.machine.view.members))
        with pytest.raises(RemoteProtocolError, match="wrong-sender"):
            await driver.on_message(b"\xcc" * 32, complaint(1))
        reply = await driver.on_message(b"\xb2" * 32, complaint(1))
        assert codec.decode(reply, CONTEXT, codec.limits_for(PARAMS)) == Complaint(OURS, 5, 0, bytes(65))

    await drive(made, test)


async def test_sending_goes_on_until_it_is_acknowledged(tmp_path: Path) -> None:
    net = FakeNet()
    net.failures = [PeerUnreachable(b"\xb2" * 32), PeerRefused("not-ready"), PeerRefused("busy")]

    async def test(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        await settle(lambda: len(net.sent) == 1)

    await drive(services(tmp_path, net), test)
    assert net.failures == []


async def test_a_session_that_is_over_for_the_receiver_ends_the_sending(tmp_path: Path) -> None:
    net = FakeNet()
    net.failures = [PeerRefused("session-over")]

    async def test(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        await settle(lambda: not net.failures)
        await trio.sleep(0.05)

    await drive(services(tmp_path, net), test)
    assert net.sent == []


async def test_the_end_is_written_down(tmp_path: Path) -> None:
    made = services(tmp_path, FakeNet())
    driver = SessionDriver("data_owner", CONTEXT, made, EchoMachine)
    driver.push_block(4, EVENTS)
    driver.push_block(5, [ev.PhaseChanged(7, 5, Phase.FINISHED, 0)])
    driver.push_block(6, [])
    with trio.fail_after(5):
        await driver.run()
    assert driver.over
    assert made.store.sessions() == [(7, "data_owner", {"done": True, "fed": 0})]


async def test_another_value_in_the_safety_journal_stops_the_node(tmp_path: Path) -> None:
    made = services(tmp_path, FakeNet())
    made.store.record_once(7, "data_owner/peer", b"somebody else")
    driver = SessionDriver("data_owner", CONTEXT, made, EchoMachine)
    driver.push_block(4, EVENTS)
    with trio.fail_after(5), pytest.RaisesGroup(pytest.RaisesExc(SafetyError, match="safety"), flatten_subgroups=True):
        await driver.run()


@pytest.mark.parametrize("where", ["machine", "journal"])
async def test_a_disk_that_is_full_ends_the_session_at_once(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a peer's message met it: machine and journal may disagree now, and nothing more may be said."""
    net = FakeNet()
    made = services(tmp_path, net)

    def full(*_: object) -> list[fx.Effect]:
        raise StoreError("the disk that holds x is full")

    driver = SessionDriver("data_owner", CONTEXT, made, EchoMachine)
    driver.push_block(4, EVENTS)
    with trio.fail_after(5), pytest.RaisesGroup(pytest.RaisesExc(StoreError, match="full"), flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            await settle(lambda: bool(net.sent))
            monkeypatch.setattr(*((EchoMachine, "receive") if where == "machine" else (made.store, "append")), full)
            with pytest.raises(StoreError):
                await driver.on_message(b"\xb2" * 32, complaint(1))


async def test_a_reorganisation_takes_back_blocks_and_keeps_messages(tmp_path: Path) -> None:
    made = services(tmp_path, FakeNet())

    async def test(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        driver.push_block(6, [ev.PhaseChanged(7, 6, Phase.ABORTED, 0)])
        driver.roll_back(5)
        driver.push_block(6, [ev.PhaseChanged(7, 6, Phase.DRAW, 30)])
        await settle(lambda: driver.machine.view.phase == Phase.DRAW)
        assert driver.machine.view.member_of(PEER) is not None
        assert await driver.on_message(b"\xb2" * 32, complaint(1))

    await drive(made, test)


async def test_what_the_chain_took_back_while_we_were_down_is_found_at_the_start(tmp_path: Path) -> None:
    made = services(tmp_path, FakeNet())

    async def first(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        driver.push_block(6, [ev.PhaseChanged(7, 6, Phase.DRAW, 30)])
        await settle(lambda: driver.machine.view.phase == Phase.DRAW)
        await settle(lambda: len(made.store.inputs(7, "data_owner")) == 3)  # the machine knows before the disk does

    async def second(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        driver.push_block(7, [ev.PhaseChanged(7, 7, Phase.GROUPS, 31)])  # block 6 never had its event
        await settle(lambda: driver.machine.view.phase == Phase.GROUPS)
        assert driver.machine.view.phase_block == 7
        assert [kind for _, kind, _ in made.store.inputs(7, "data_owner")].count("rollback") == 1

    await drive(made, first)
    await drive(made, second)


async def test_the_same_message_again_is_answered_and_not_journaled_again(tmp_path: Path) -> None:
    made = services(tmp_path, FakeNet())

    async def test(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        await settle(lambda: bool(driver.machine.view.members))
        for _ in range(5):
            assert await driver.on_message(b"\xb2" * 32, complaint(1))
        assert [kind for _, kind, _ in made.store.inputs(7, "data_owner")].count("message") == 1

    await drive(made, test)


async def test_one_sender_cannot_fill_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omninode.roles.replay.MAX_JOURNALED", 2)
    made = services(tmp_path, FakeNet())

    async def test(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        await settle(lambda: bool(driver.machine.view.members))
        for dealer in (1, 2):
            await driver.on_message(b"\xb2" * 32, complaint(dealer))
        with pytest.raises(RemoteProtocolError, match="too-many"):
            await driver.on_message(b"\xb2" * 32, complaint(3))

    await drive(made, test)


async def test_only_participants_may_say_much(tmp_path: Path) -> None:
    async def test(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        await settle(lambda: bool(driver.machine.view.members))
        assert driver.most_bytes(b"\xb2" * 32) == driver.most_bytes(PARAMS.owner_peer) > 0
        assert driver.most_bytes(b"\xcc" * 32) == 0

    await drive(services(tmp_path, FakeNet()), test)


# ------------------------------------------------------------------------------------------------- before it is ready


async def refused(driver: SessionDriver, data: bytes, rule: str) -> None:
    """At once, and as nobody's fault."""
    with trio.fail_after(1), pytest.raises(PeerRefused, match=rule):
        await driver.on_message(b"\xb2" * 32, data)


async def test_nobody_waits_for_a_machine_that_is_not_there_yet(tmp_path: Path) -> None:
    """A key is made for minutes, perhaps; the few requests that a peer may have under way are those of all sessions."""
    made, gate = services(tmp_path, FakeNet()), trio.Event()

    async def before(_: object) -> None:
        await gate.wait()

    driver = SessionDriver("prover", CONTEXT, made, EchoMachine, before=before)
    await refused(driver, complaint(1), "not-ready")
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            driver.push_block(4, EVENTS)
            await trio.sleep(0.02)
            await refused(driver, complaint(1), "not-ready")
            gate.set()
            await settle(lambda: hasattr(driver, "machine") and bool(driver.machine.view.members))
            assert await driver.on_message(b"\xb2" * 32, complaint(1))
            nursery.cancel_scope.cancel()
    await refused(driver, complaint(2), "not-ready")


async def test_nobody_waits_for_a_session_that_stopped_for_good(tmp_path: Path) -> None:
    def make(seed: bytes) -> Any:
        raise SafetyError("no key")

    driver = SessionDriver("prover", CONTEXT, services(tmp_path, FakeNet()), make)
    with pytest.RaisesGroup(SafetyError, flatten_subgroups=True):
        await driver.run()
    await refused(driver, complaint(1), "not-ready")


async def test_a_message_does_not_reach_a_machine_that_is_being_rebuilt(tmp_path: Path) -> None:
    """It was let in before the reorganisation, and decoded meanwhile."""
    made = services(tmp_path, FakeNet())

    async def test(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        await settle(lambda: bool(driver.machine.view.members) and not driver._inbox)  # with the block's tick

        async def slow(data: bytes) -> Message:
            driver._ready = trio.Event()
            return codec.decode(data, CONTEXT, codec.limits_for(PARAMS))

        driver._decode = slow  # type: ignore[method-assign]
        await refused(driver, complaint(1), "not-ready")
        assert driver.machine.status() == {"fed": 0}

    await drive(made, test)


async def test_who_abstains_ends_the_sending_and_blames_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def abstain(self: EchoMachine, message: Message) -> list[fx.Effect]:
        raise RemoteProtocolError("session-over", message.sender.hex())

    async def test(driver: SessionDriver) -> None:
        driver.push_block(4, EVENTS)
        await settle(lambda: bool(driver.machine.view.members))
        monkeypatch.setattr(EchoMachine, "receive", abstain)
        await refused(driver, complaint(1), "session-over")

    await drive(services(tmp_path, FakeNet()), test)


# -------------------------------------------------------------------------------------------------------- slow machines


class SlowTicks(EchoMachine):
    """Every tick does something. ticks: those it saw."""

    def __init__(self, seed: bytes) -> None:
        super().__init__(seed)
        self.ticks: list[int] = []

    def tick(self, block: int) -> list[fx.Effect]:
        self.ticks.append(block)
        return [fx.Note("tick", (("block", block),))]


async def test_ticks_of_blocks_that_are_not_the_newest_are_skipped(tmp_path: Path) -> None:
    made = services(tmp_path, FakeNet())
    driver = SessionDriver("data_owner", CONTEXT, made, SlowTicks)
    for block in range(4, 40):
        driver.push_block(block, EVENTS if block == 4 else [])
    driver.push_block(40, [ev.PhaseChanged(7, 40, Phase.DRAW, 50)])
    driver.push_block(41, [])
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            await settle(lambda: hasattr(driver, "machine") and bool(driver.machine.ticks))  # type: ignore[attr-defined]
            driver.push_block(42, [])
            await settle(lambda: driver.machine.ticks == [41, 42])  # type: ignore[attr-defined]
            await settle(lambda: len(made.store.inputs(7, "data_owner")) == 5)
            nursery.cancel_scope.cancel()
    inputs = made.store.inputs(7, "data_owner")
    assert [int.from_bytes(data, "big") for _, kind, data in inputs if kind == "tick"] == [41, 42]
    assert driver.machine.view.phase == Phase.DRAW


async def test_what_was_skipped_is_not_missed_by_a_replay(tmp_path: Path) -> None:
    made = services(tmp_path, FakeNet())
    for _ in range(2):
        driver = SessionDriver("data_owner", CONTEXT, made, SlowTicks)
        for block in range(4, 9):
            driver.push_block(block, EVENTS if block == 4 else [])
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(driver.run)
                await settle(lambda d=driver: hasattr(d, "machine") and not d._inbox)  # type: ignore[misc]
                assert set(driver.machine.ticks) == {8}  # type: ignore[attr-defined]
                nursery.cancel_scope.cancel()


# ------------------------------------------------------------------------------------------------------- large messages


@pytest.mark.parametrize("joining", [False, True])
async def test_what_is_large_is_not_refused_for_its_size_before_we_are_ready(tmp_path: Path, joining: bool) -> None:
    """The driver replays, or its role still looks at the session: an upload is told "not-ready", and comes again."""
    sessions = Sessions(services(tmp_path, FakeNet()), [])
    sessions.chain.fold(4, [ev.SessionCreated(7, 3, LARGE), *EVENTS[1:]])
    assert sessions._most_bytes(b"\xb2" * 32) == STRANGERS_MESSAGE  # no part of ours
    if joining:
        role, gate = Waiting(), trio.Event()
        role.gate = gate
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sessions._join, role, 7)
            await trio.testing.wait_all_tasks_blocked()
            large(sessions)
            gate.set()
        assert sessions._most_bytes(b"\xb2" * 32) == STRANGERS_MESSAGE  # it does not want it
    else:
        sessions.drivers[7] = SessionDriver("prover", CONTEXT, sessions._services, EchoMachine)
        large(sessions)


def large(sessions: Sessions) -> None:
    most = codec.limits_for(LARGE).largest
    assert most > STRANGERS_MESSAGE
    assert [sessions._most_bytes(key) for key in (b"\xb2" * 32, PARAMS.owner_peer)] == [most, most]
    assert sessions._most_bytes(b"\xcc" * 32) == STRANGERS_MESSAGE


LARGE = replace(PARAMS, dimension=100_000)


class Waiting:
    """A role that looks at a session until ``gate`` opens, and does not want it."""

    name = "prover"
    gate: trio.Event

    def wants(self, view: SessionView) -> bool:
        return True

    async def run(self) -> None:
        await trio.sleep_forever()

    async def join(self, view: SessionView) -> SessionDriver | None:
        await self.gate.wait()
        return None
