"""A small market of real processes on a real chain: what the tests of whole sessions share.

One model owner, 8 data owners (mode grouped: in 4 groups of 2), and 5 provers. Sessions are grouped unless a test says
otherwise. The windows are wider than the demo's, so that a loaded
machine passes; phases close early when they are full, so that an idle one loses nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import psutil
import trio
from numpy.typing import NDArray

from omninode import control
from omninode.chain import devchain
from omninode.chain.client import ChainClient
from omninode.chain.connect import open_market
from omninode.chain.market import Market
from omninode.chain.wallet import recover
from omninode.cluster.deploy import deploy, owner_name, plan, write_data
from omninode.cluster.local import LocalCluster
from omninode.cluster.processes import NodeProcess, stop_all
from omninode.demo.record import SessionRecord
from omninode.demo.watch import ChainWatch
from omninode.errors import NotRunningError, OmninodeError, RefusedError
from omninode.learning import data as local_data
from omninode.learning.presets import DIGITS
from omninode.learning.reference import ROOT_SAMPLES
from omninode.roles import outcome
from omninode.roles.events_codec import unpack_events
from omninode.roles.keyring import keyring
from omninode.roles.replay import without_rolled_back
from omninode.store.db import DATABASE, Store
from protocols.sessions import machines
from protocols.sessions.events import SessionCreated
from protocols.sessions.owner import Output
from protocols.sessions.params import Phase
from protocols.sessions.verified_owner import VerifiedOwnerMachine
from protocols.sessions.view import SessionView
from protocols.wire import codec
from protocols.wire.context import Context

OWNERS, PROVERS, GROUP = 8, 5, 2
MILLI = 10**15
SESSION: dict[str, Any] = {
    "mode": "verified", "payout": "contribution", "data_owners": OWNERS,  # so that a root set is held out
    "seed": 0, "groups": OWNERS // GROUP, "group_size": GROUP, "reward": 800 * MILLI, "prover_fee": 10 * MILLI,
    "deposit": 100 * MILLI, "register_blocks": 40, "upload_blocks": 100, "settle_blocks": 100,
}  # fmt: skip
READY_S = 240.0
SESSION_S = 400.0  # longer than all windows together: whoever runs into this hangs
MODEL_OWNER = "model-owner"


def journal(data_dir: Path, session: int, role: str) -> list[tuple[str, bytes]]:
    """What a node's machine was fed in one session."""
    store = Store.open(data_dir)
    try:
        return without_rolled_back(store.inputs(session, role))
    finally:
        store.close()


def seed_of(data_dir: Path, session: int, role: str) -> bytes:
    """The seed that a node's machine was made with."""
    store = Store.open(data_dir)
    try:
        return bytes(store.begin(session, role, bytes(32)))
    finally:
        store.close()


def opened_in(data_dir: Path, context: Context) -> tuple[Output | None, SessionView]:
    """What the model owner in ``data_dir`` opened, from its journal played again, and the session as it saw it."""
    params = json.loads((data_dir / "wallet.json").read_text())
    wallet = SimpleNamespace(address=bytes.fromhex(params["address"].removeprefix("0x")), recover=recover)
    seed, inputs = seed_of(data_dir, context.session, "model_owner"), journal(data_dir, context.session, "model_owner")
    created = next(event for kind, payload in inputs if kind == "chain" for event in unpack_events(payload)[1])
    assert isinstance(created, SessionCreated)
    string = data_dir.parent.parent / "string.srs"
    keys = keyring(str(string) if string.exists() else "", data_dir, 1, context.chain_id)
    machine = machines.owner(created.params, context, cast(Any, wallet), seed, keys)
    for kind, payload in inputs:
        if kind == "chain":
            for event in unpack_events(payload)[1]:
                machine.chain(event)
        elif kind == "message":
            machine.receive(codec.decode(payload, context, codec.limits_for(machine.view.p)))
        elif kind == "update":
            assert isinstance(machine, VerifiedOwnerMachine)
            machine.update_ready(np.frombuffer(payload, "<i8").astype(np.int64))
    return machine.result, machine.view


class LocalMarket:
    """The processes. Nothing here may be called from another thread than the main one, but ``ask``."""

    def __init__(
        self, root: Path, *, owners: int = OWNERS, provers: int = PROVERS, session: dict[str, Any] = SESSION,
        module: str = "omninode",
    ) -> None:  # fmt: skip
        """Write data, keys and configurations under ``root`` and start the chain; no node yet."""
        self.root = root
        samples = local_data.load_digits()
        write_data(root / "data", samples, DIGITS, 0, owners, root=ROOT_SAMPLES)
        plans = plan(root / "data", DIGITS, owners, provers, session, module)
        small = {"data_owner": {"min_group": session["group_size"]}}
        plans = [replace(p, settings={**p.settings, **small}) if p.role == "data_owner" else p for p in plans]
        self.cluster = LocalCluster(root, plans)
        addresses = self.cluster.create_wallets()
        self.chain = devchain.start_anvil(block_time=1, log_file=root / "anvil.log")
        self.deployment = trio.run(deploy, self.chain, self.cluster, addresses)
        self.names = {wallet.address: name for name, wallet in self.cluster.wallets.items()}
        self.data_owners = [owner_name(k) for k in range(owners)]
        self.provers = [f"prover-{i + 1}" for i in range(provers)]

    def start(self) -> None:
        """Start all nodes; returns when they answer, the workers are warm, the stakes down and the model trained."""
        for node in self.cluster.nodes:
            node.start()
        self.wait_ready()

    def end(self) -> None:
        """End all processes."""
        try:
            stop_all(self.cluster.nodes)
        finally:
            self.chain.stop()

    def node(self, name: str) -> NodeProcess:
        return self.cluster.node(name)

    def address(self, name: str) -> bytes:
        return self.cluster.wallets[name].address

    def heal(self) -> None:
        """Start whatever an earlier test has left dead."""
        dead = [node for node in self.cluster.nodes if node.pid is None]
        for node in dead:
            node.start()
        if dead:
            self.wait_ready()

    def wait_ready(self, names: Sequence[str] | None = None) -> None:
        """Until these nodes (all of them by default) can take part in a session."""
        deadline = time.monotonic() + READY_S
        for node in self.cluster.nodes:
            if names is None or node.name in names:
                while not self._is_ready(node):
                    assert node.pid is not None, f"{node.name} has ended:\n{self.log(node.name)}"
                    assert time.monotonic() < deadline, f"{node.name} is not ready:\n{self.log(node.name)}"
                    time.sleep(0.1)

    def _is_ready(self, node: NodeProcess) -> bool:
        try:
            status = control.call(node.socket, "status", timeout=10)
        except OmninodeError:
            return False
        if "prover" in status["roles"]:
            return "prover_registered" in self.events_text(node.name)
        return bool(status.get("warm", True)) and not status.get("model", {}).get("training")

    def wait_answers(self, name: str) -> dict[str, Any]:
        """Until the node answers on its control socket; its status."""
        node, deadline = self.node(name), time.monotonic() + READY_S
        while time.monotonic() < deadline:
            try:
                return control.call(node.socket, "status", timeout=10)
            except OmninodeError:
                assert node.pid is not None, f"{name} has ended:\n{self.log(name)}"
                time.sleep(0.1)
        raise AssertionError(f"{name} does not answer:\n{self.log(name)}")

    def ask(self, name: str, verb: str, timeout: float = 60.0, **args: Any) -> dict[str, Any]:
        """A verb on a node's control socket."""
        return control.call(self.node(name).socket, verb, args, timeout=timeout)

    def part(self, name: str, session: int) -> dict[str, Any]:
        """What a node says about its part in a live session; {} while it has none or does not answer."""
        try:
            entries = self.ask(name, "status", timeout=10)["sessions"]
        except OmninodeError:
            return {}
        return next((entry for entry in entries if entry["session"] == session), {})

    # -- what the nodes wrote ------------------------------------------------------------------------------------

    def log(self, name: str, last: int = 4000) -> str:
        path = self.node(name).directory / "node.log"
        return path.read_text()[-last:] if path.exists() else ""

    def events_text(self, name: str) -> str:
        path = self.node(name).directory / "events.jsonl"
        return path.read_text() if path.exists() else ""

    def events(self, name: str, event: str, session: int | None = None) -> list[dict[str, Any]]:
        """Events of one kind from the node's events.jsonl."""
        lines = [json.loads(line) for line in self.events_text(name).splitlines()]
        return [e for e in lines if e["event"] == event and (session is None or e.get("session") == session)]

    def inputs(self, name: str, session: int, role: str) -> list[tuple[str, bytes]]:
        """A node's journal of one session."""
        return journal(self.node(name).directory, session, role)

    def safety(self, name: str, session: int) -> dict[str, bytes]:
        """A node's safety journal of one session."""
        with closing(sqlite3.connect(self.node(name).directory / DATABASE)) as sql:
            return dict(sql.execute("SELECT key, value FROM safety WHERE session = ?", (session,)).fetchall())

    def context(self, session: int) -> Context:
        return Context(self.deployment.chain_id, self.deployment.market, session)

    def opened(self, session: int) -> Output | None:
        """What the model owner opened, from its journal."""
        return opened_in(self.node(MODEL_OWNER).directory, self.context(session))[0]

    def plain_sum(self, record: SessionRecord) -> tuple[NDArray[np.int64], int]:
        """The sum of the accepted data owners' own updates, from their journals, and how many they are."""
        assert record.view.batch is not None
        updates = []
        for member in record.view.members:
            if record.view.batch.accepted >> member.index & 1:
                inputs = self.inputs(self.names[member.address], record.session, "data_owner")
                (update,) = [payload for kind, payload in inputs if kind == "update"]
                updates.append(np.frombuffer(update, "<i8").astype(np.int64))
        return np.sum(updates, axis=0), len(updates)

    def memory(self, name: str) -> int:
        """Resident bytes of the daemon itself."""
        for line in Path(f"/proc/{self.node(name).pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Watching]:
        """Follow the chain while the block runs."""
        async with ChainClient(self.chain.url, timeout=60) as client, trio.open_nursery() as nursery:
            market = await open_market(
                client, None, self.deployment.market, self.deployment.chain_id, start_block=self.deployment.block
            )
            watching = Watching(self, market)
            nursery.start_soon(watching.run)
            yield watching
            nursery.cancel_scope.cancel()


@dataclass
class Sent:
    """One transaction as it stands in a block."""

    sender: bytes
    call: str
    data: bytes
    ok: bool


class Watching:
    """The chain as the tests see it; every wait ends by itself."""

    def __init__(self, local: LocalMarket, market: Market) -> None:
        self.local, self.market = local, market
        self._watch = ChainWatch(market, local.deployment.block, lambda record, event: None)

    async def run(self) -> None:
        """Survives a chain that does not answer for a while."""
        while True:
            try:
                await self._watch.run()
            except OmninodeError:
                await trio.sleep(0.5)
            except Exception as error:
                if not type(error).__module__.startswith("omninode.chain"):
                    raise
                await trio.sleep(0.5)

    def record(self, session: int) -> SessionRecord:
        return self._watch.records[session]

    async def create(self, **overrides: Any) -> int:
        """A new session of the model owner, grouped and with equal pay unless ``overrides`` say more.

        An owner that a test before has started again may need a moment for its model.
        """
        wanted = {"mode": "grouped", "payout": "equal", **overrides}
        call = partial(self.local.ask, MODEL_OWNER, "session_create", 120.0, **wanted)
        with trio.fail_after(SESSION_S):
            while True:
                try:
                    session = int((await trio.to_thread.run_sync(call))["session"])
                    break
                except RefusedError as error:
                    if "not trained yet" not in str(error):
                        raise
                await trio.sleep(0.5)
        await self.until(lambda: session in self._watch.records, f"session {session}")
        return session

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = SESSION_S) -> None:
        """Wait until ``condition``, looked at after every block."""
        with trio.move_on_after(seconds) as scope:
            await self._watch.until(condition)
        assert not scope.cancelled_caught, f"never came: {what}\n{self.situation()}"

    async def until_part(self, name: str, session: int, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until a node's part in the session fulfils ``condition``; what it is then."""
        with trio.move_on_after(SESSION_S):
            while True:
                part = await trio.to_thread.run_sync(self.local.part, name, session)
                if part and condition(part):
                    return part
                assert not self.record(session).ended, f"{name}: the session ended before"
                await trio.sleep(0.1)
        raise AssertionError(f"{name} never got there\n{self.situation()}")

    async def phase(self, session: int, phase: Phase) -> SessionRecord:
        """Wait until the session is in this phase or beyond."""
        record = self.record(session)
        await self.until(lambda: record.view.phase >= phase, f"{phase.name} of session {session}")
        return record

    async def paid(self, session: int) -> SessionRecord:
        """Wait until the session is finished or aborted and nobody in it is owed anything."""
        record = await self.phase(session, Phase.FINISHED)
        parties = [record.view.p.owner, *(m.address for m in record.view.members)]
        parties += [prover.address for prover in record.view.committee]
        with trio.move_on_after(SESSION_S / 4):
            while True:
                owed = {self.local.names[a]: wei for a in set(parties) if (wei := await self.market.owed(session, a))}
                if not owed:
                    break
                await trio.sleep(0.3)
        assert not owed, f"unclaimed in session {session}: {owed}\n{self.situation()}"
        return record

    async def settled(self, session: int) -> SessionRecord:
        """Wait for the end of a session that must succeed, and check all that came of it."""
        record = await self.paid(session)
        assert record.view.phase == Phase.FINISHED, f"aborted: {record.view.aborted}\n{self.situation()}"
        assert record.view.named_provers == 0, "an honest prover was named as a liar"
        await self.check_sum(record)
        await self.check_money(session)
        await self.check_nothing_twice(session)
        return record

    async def check_sum(self, record: SessionRecord) -> None:
        """The owner opened the sum of the accepted data owners' own updates, and it is in its model."""
        await self.improved(record.session)
        opened = self.local.opened(record.session)
        assert opened is not None
        total, count = self.local.plain_sum(record)
        assert opened.count == count >= record.view.p.min_accepted
        assert np.array_equal(opened.total, total)

    # -- violence ------------------------------------------------------------------------------------------------

    def kill(self, *names: str) -> None:
        """SIGKILL to all of them; their workers must go with them."""
        nodes = [self.local.node(name) for name in names]
        workers = [child for node in nodes if node.pid for child in psutil.Process(node.pid).children(recursive=True)]
        for node in nodes:
            node.kill()
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive, f"{alive} outlived {names}"

    async def back(self, *names: str) -> None:
        """Start killed nodes and wait until they answer."""
        for name in names:
            self.local.node(name).start()
        for name in names:
            await trio.to_thread.run_sync(self.local.wait_answers, name)

    async def improved(self, session: int) -> None:
        """Wait until the session's sum is in the owner's model; it must be there once."""

        def applied() -> list[int]:
            try:
                model = self.local.ask(MODEL_OWNER, "status", 10)["model"]
            except NotRunningError:
                return []
            return [s for s, _ in model.get("applied", ()) if s == session]

        with trio.move_on_after(SESSION_S / 4):
            while not (found := await trio.to_thread.run_sync(applied)):
                await trio.sleep(0.2)
        assert found == [session], self.situation()

    async def check_money(self, session: int) -> None:
        """Funded == claimed + burned, accepted data owners have their share, and the contract holds what it owes."""
        record = self.record(session)
        view, params = record.view, record.view.p
        history = await self.market.history(session)
        claimed: Counter[bytes] = Counter()
        for event in history:
            if event.name == "Claimed":
                claimed[event.args["who"]] += event.args["amount"]
        forfeited = sum(event.name == "DepositForfeited" for event in history) * params.deposit
        funded = await self.market.required_escrow(params) + len(view.members) * params.deposit
        assert funded == claimed.total() + forfeited
        rewards, gas = outcome.payouts(view), params.reward // len(view.members) // 100
        for member in view.members:
            least = rewards[member.index] + params.deposit * (not view.silent_owners >> member.index & 1)
            most = least + gas  # it is paid back
            assert least <= claimed[member.address] <= most, self.local.names[member.address]
        sessions = range(1, await self.market.session_count() + 1)
        held = sum([(await self.market.view(s))["escrow"] for s in sessions])
        assert await self.market.client.balance(self.market.address) == held

    async def sent(self, session: int) -> list[Sent]:
        """All transactions of the session to the market, in order."""
        client, functions = self.market.client, self.market.contract.interface.functions.values()
        names = {f.selector: f.name for f in functions}
        history = await self.market.history(session)
        found = []
        for number in range(history[0].block, await client.block_number() + 1):
            block, receipts = await client.rpc_many(
                [("eth_getBlockByNumber", [hex(number), True]), ("eth_getBlockReceipts", [hex(number)])]
            )
            ok = {r["transactionHash"]: int(r["status"], 16) == 1 for r in receipts}
            for tx in block["transactions"]:
                data = bytes.fromhex(tx["input"][2:])
                ours = tx["to"] and bytes.fromhex(tx["to"][2:]) == self.market.address
                if ours and int.from_bytes(data[4:36], "big") == session:
                    sender = bytes.fromhex(tx["from"][2:])
                    found.append(Sent(sender, names[data[:4]], data, ok[tx["hash"]]))
        return found

    async def check_nothing_twice(self, session: int) -> None:
        """No wallet said one thing to the contract twice, nor two things where there is room for one."""
        sent = [tx for tx in await self.sent(session) if tx.call != "poke"]
        twice = [key for key, count in Counter((tx.sender, tx.data) for tx in sent).items() if count > 1]
        assert not twice, [(self.local.names[who], data[:36].hex()) for who, data in twice]
        once = {
            "register",
            "commitShares",
            "commitUpload",
            "claim",
            "acknowledge",
            "postBatch",
            "postGroups",
            "commitReference",
        }
        for (who, call), count in Counter((tx.sender, tx.call) for tx in sent if tx.call in once).items():
            assert count == 1, f"{self.local.names[who]} sent {call} {count} times"

    def situation(self) -> str:
        """For the message of a failed assertion: where every node and session stands."""
        lines = [f"session {s}: {r.view.phase.name} {r.view.aborted or ''}" for s, r in self._watch.records.items()]
        for node in self.local.cluster.nodes:
            try:
                status = self.local.ask(node.name, "status", 5)
                lines.append(f"{node.name}: block {status['block']} {status['sessions']} {status.get('refusals', '')}")
            except OmninodeError as error:
                lines.append(f"{node.name}: {error}")
        return "\n".join(lines) + f"\nkept in {self.local.root}, pid {os.getpid()}"
