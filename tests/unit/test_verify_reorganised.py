"""Transcripts of sessions whose chain was reorganised, as the daemon's own driver writes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import trio

from omninode.observe.events import EventLog
from omninode.reproduce.stage.node import Machine, Node
from omninode.roles.directory import peer_of
from omninode.roles.driver import SessionDriver
from omninode.roles.events_codec import unpack_events
from omninode.roles.replay import without_rolled_back
from omninode.store.db import Store
from protocols.errors import RemoteProtocolError
from protocols.sessions.params import Mode, Payout, Phase, Rule
from protocols.wire import codec
from protocols.wire.messages import Announcement
from tests.simulation.session import Session
from tests.unit.verify_kit import Kept

GROUPED: dict[str, object] = {}
VERIFIED: dict[str, object] = {"mode": Mode.VERIFIED, "rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}


class Net:
    """Takes every message."""

    async def request(self, peer: bytes, protocol: str, data: bytes, *, deadline: float, max_reply: int) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""


class Market:
    """Mines everything."""

    async def transact(self, *args: object, **options: object) -> Any:
        await trio.lowlevel.checkpoint()
        return SimpleNamespace(gas_used=0, block=0, ok=True)


class Daemon:
    """The driver of one node; it is given again what the node was given in the simulation."""

    def __init__(self, folder: Path, node: Node) -> None:
        self.node, self.store = node, Store.open(folder)
        services: Any = SimpleNamespace(
            store=self.store, net=Net(), market=Market(), log=structlog.get_logger(), compute=trio.CapacityLimiter(1),
            events=EventLog(folder / "e", node="t"), new_seed=lambda: bytes(32),
        )  # fmt: skip
        self.driver = SessionDriver("prover", node.context, services, lambda seed: node._make())
        self.blocks: list[tuple[int, Any]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.driver.run)
                yield
                nursery.cancel_scope.cancel()
        self.store.close()

    async def feed(self, kind: str, payload: Any) -> None:
        if isinstance(payload, Announcement):
            self.driver.hear(payload)
            await self.idle()
            return
        if kind == "message":
            data = codec.encode(payload, self.node.context)
            peer = peer_of(self.driver.machine.view, payload.sender)
            assert peer is not None
            await self.driver.on_message(peer, data)
            return
        block = payload[0].block if kind == "chain" else payload
        if kind == "tick" and self.blocks and self.blocks[-1][0] == block:
            return  # the driver lets time pass by itself
        await self.push(block, payload if kind == "chain" else [])

    async def push(self, block: int, events: Any) -> None:
        self.blocks.append((block, events))
        self.driver.push_block(block, events)
        await self.idle()

    async def reorganise(self, depth: int) -> None:
        """The last blocks go and come back with the same events."""
        gone, self.blocks = self.blocks[-depth:], self.blocks[:-depth]
        self.driver.roll_back(self.blocks[-1][0])
        await self.idle()
        for block, events in gone:
            await self.push(block, events)

    async def idle(self) -> None:
        while self.driver._inbox or not self.driver._ready.is_set():
            await trio.sleep(0.002)


def plain_replay(node: Node, entries: list[tuple[str, bytes]]) -> Machine:
    """Every entry that no later rollback took back, in order; raises what the machine raises."""
    machine = node._make()
    for kind, payload in entries:
        if kind == "chain":
            for event in unpack_events(payload)[1]:
                machine.chain(event)
        elif kind == "tick":
            machine.tick(int.from_bytes(payload, "big"))
        else:
            machine.receive(codec.decode(payload, node.context, codec.limits_for(machine.view.p)))
    return machine


def place_of(node: Node, phase: Phase, messages: int) -> int:
    """Entry after which this many messages have come in this phase."""
    machine, heard = node._make(), 0
    for place, (kind, payload) in enumerate(node.journal):
        if kind == "chain":
            for event in payload:
                machine.view.apply(event)
        heard += kind == "message" and machine.view.phase == phase
        if heard == messages:
            return place
    raise AssertionError(f"no {messages} messages in {phase.name}")


@pytest.mark.parametrize(
    ("changes", "phase"),
    [(GROUPED, Phase.BATCH), (VERIFIED, Phase.VALID), (VERIFIED, Phase.BATCH)],
    ids=["grouped-batch", "verified-valid", "verified-batch"],
)
async def test_an_honest_transcript_holds(tmp_path: Path, changes: dict[str, object], phase: Phase) -> None:
    """Messages that came before the reorganisation are too early in what is left of the chain; they came again later.

    Played without that in mind the journal is one error.
    """
    session = Session(6, **changes).run()  # type: ignore[arg-type]
    node = session.committee()[1]
    place = place_of(node, phase, 3)
    daemon = Daemon(tmp_path, node)
    async with daemon.running():
        await daemon.idle()
        for kind, payload in node.journal[: place + 1]:
            await daemon.feed(kind, payload)
        await daemon.reorganise(2)
        for kind, payload in node.journal[place + 1 :]:
            await daemon.feed(kind, payload)
        entries = daemon.store.inputs(7, "prover")
        assert daemon.driver.machine.status() == node.machine.status()
    assert [kind for _, kind, _ in entries].count("rollback") == 1
    with pytest.raises(RemoteProtocolError, match="too-early"):
        plain_replay(node, without_rolled_back(entries))

    kept = Kept(tmp_path, node, "prover", 7, [e for _, events in daemon.blocks for e in events])
    replay = kept.replay()
    assert replay.machine.status() == node.machine.status()
    assert replay.links.linked == len(entries)

    rows = kept.rows()
    (back,) = [row for row in rows if row["kind"] == "rollback"]
    kept.write([row for row in rows if row is not back], number=True, link=True, count=True)
    kept.unseal()
    bad = kept.first_bad()
    assert bad is not None  # blocks come twice
    assert bad.seq >= back["seq"]


@pytest.mark.parametrize(
    ("changes", "phase"), [(GROUPED, Phase.BATCH), (VERIFIED, Phase.VALID)], ids=["grouped", "verified"]
)
async def test_a_node_that_was_killed_has_an_honest_transcript(
    tmp_path: Path, changes: dict[str, object], phase: Phase
) -> None:
    """It reads the chain again from the creation, and hears some messages twice."""
    session = Session(8, **changes).run()  # type: ignore[arg-type]
    node = session.committee()[2]
    place = place_of(node, phase, 2)
    first = Daemon(tmp_path, node)
    async with first.running():
        await first.idle()
        for kind, payload in node.journal[: place + 1]:
            await first.feed(kind, payload)
    again = Daemon(tmp_path, node)
    async with again.running():
        await again.idle()
        for block, events in first.blocks:
            await again.push(block, events)
        for kind, payload in node.journal[place:]:
            if kind != "chain" or payload[0].block > first.blocks[-1][0]:
                await again.feed(kind, payload)
        entries = again.store.inputs(7, "prover")
    assert len(entries) == len(node.journal)
    kept = Kept(tmp_path, node, "prover", 7, [e for _, events in again.blocks for e in events])
    replay = kept.replay()
    assert replay.machine.status() == node.machine.status()
    assert (replay.links.linked, replay.links.sealed) == (len(entries), 3)
