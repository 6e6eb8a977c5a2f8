"""The demo itself: stage, nodes, sessions, report."""

from __future__ import annotations

import json
import logging
import shutil
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import structlog
import trio
from rich.console import Console

from omninode import control
from omninode.chain import devchain
from omninode.chain.client import ChainClient
from omninode.chain.connect import open_market
from omninode.chain.deployment import Deployment
from omninode.cluster.deploy import deploy
from omninode.cluster.local import LocalCluster
from omninode.cluster.processes import NodeProcess, stop_all
from omninode.cluster.string import WARNING
from omninode.demo import report, stage
from omninode.demo.attacks import Attacks
from omninode.demo.narrate import Narrator
from omninode.demo.options import DemoOptions
from omninode.demo.record import SessionRecord
from omninode.demo.watch import ChainWatch
from omninode.errors import OmninodeError
from omninode.learning.jobs import Job
from omninode.learning.plot import accuracy_plot
from omninode.learning.service import Trainer
from protocols.sessions.events import ChainEvent

if TYPE_CHECKING:
    from omninode.chain.market import Market

READY_S = 180.0
CONTROL_TIMEOUT_S = 20.0
PLAIN_WIDTH = 120


class DemoFailed(OmninodeError):
    """The demo could not be played to its end."""


def run(options: DemoOptions, act: type[Play] | None = None) -> int:
    """Play the demo, or another ``act`` on the same stage. Exit code 0: everything went as expected."""
    started = time.monotonic()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console(stderr=options.as_json)
    if not console.is_terminal:
        console = Console(stderr=options.as_json, width=PLAIN_WIDTH)  # a pipe has no width of its own
    narrator = Narrator(console)
    try:
        result, ok = trio.run(_play, options, console, narrator, started, act or Play)
    finally:
        narrator.close()
    if options.as_json:
        print(json.dumps(result))
    return 0 if ok else 1


async def _play(
    options: DemoOptions, console: Console, narrator: Narrator, started: float, act: type[Play]
) -> tuple[dict[str, Any], bool]:
    with trio.fail_after(options.wall_limit_s):
        built = await trio.to_thread.run_sync(act.build, options)
        cluster = LocalCluster(built.root, built.plans, string=built.string)
        log_file = built.root / "anvil.log"
        with devchain.start_anvil(block_time=options.block_time, log_file=log_file) as chain:
            try:
                return await act(options, console, narrator, started, built, cluster, chain).run()
            finally:
                await trio.to_thread.run_sync(stop_all, cluster.nodes)
                _collect_logs(built.root, cluster.nodes)


def _collect_logs(root: Path, nodes: list[NodeProcess]) -> None:
    """events.jsonl of every node beside result.json."""
    target = root / "events"
    target.mkdir(exist_ok=True)
    for node in nodes:
        source = node.directory / "events.jsonl"
        if source.exists():
            shutil.copyfile(source, target / f"{node.name}.jsonl")


class Play:
    """One run of the demo; the methods are its acts. build: sets the stage.  ready_s: until all nodes answer."""

    build = staticmethod(stage.build)
    ready_s = READY_S

    def __init__(
        self,
        options: DemoOptions,
        console: Console,
        narrator: Narrator,
        started: float,
        built: stage.Stage,
        cluster: LocalCluster,
        chain: devchain.DevChain,
    ) -> None:
        self.options, self.console, self.narrator, self.started = options, console, narrator, started
        self.stage, self.cluster, self.chain = built, cluster, chain
        self.pooled = 0.0
        self.pooled_known = trio.Event()
        self.memory: dict[str, int] = {}  # bytes, by prover
        self.attacks = Attacks(options, cluster, narrator)

    async def run(self) -> tuple[dict[str, Any], bool]:
        say, options = self.narrator.say, self.options
        say(f"[bold]omninode demo[/]: {len(self.cluster.nodes)} nodes, files in {_short(self.stage.root)}")
        if not self.stage.part.whole:
            say(f"the owner {self.stage.part.sentence}; every data owner starts the rest from public random weights")
        if self.stage.string is not None:
            say(f"[yellow]{WARNING}[/] ({_short(self.stage.string)}): everybody can forge proofs under it")
        deployment = await self._deploy()
        async with ChainClient(self.chain.url) as client, trio.open_nursery() as nursery:
            market = await open_market(
                client, None, deployment.market, deployment.chain_id, start_block=deployment.block
            )
            self.watch = ChainWatch(market, deployment.block, self._on_event)
            nursery.start_soon(self.watch.run)
            await self._start_nodes(market)
            nursery.start_soon(self._train_pooled)
            nursery.start_soon(self._keep_watch)
            for number in range(1, options.sessions + 1):
                await self._session(number)
            result = await self._finish()
            nursery.cancel_scope.cancel()
        return result

    # -- before -----------------------------------------------------------------------------------------------------

    async def _deploy(self) -> Deployment:
        addresses = await trio.to_thread.run_sync(self.cluster.create_wallets)
        names = {wallet.address: name for name, wallet in self.cluster.wallets.items()}
        self.narrator.names = names
        deployment = await deploy(self.chain, self.cluster, addresses, onchain=self.options.onchain)
        self.narrator.say(f"anvil runs, contracts deployed ({sum(deployment.gas.values()):,} gas)")
        return deployment

    async def _train_pooled(self) -> None:
        """The yardstick: the same model on everybody's data in one place. No part of the protocol."""
        preset = self.stage.preset
        trainer = Trainer(self.stage.root / "slots-pooled", linger_s=0)
        jobs = [
            Job.pretrain(preset.model, self.stage.pooled, self.options.seed, preset.pooled),
            Job.evaluate(preset.model, None, self.stage.test),
        ]
        results = await trainer.run(jobs)
        self.pooled = results[1].accuracy or 0.0
        self.pooled_known.set()

    async def _start_nodes(self, market: Market) -> None:
        for node in self.cluster.nodes:
            node.start()
        provers = sum(plan.role == "prover" for plan in self.cluster.plans)
        with trio.move_on_after(self.ready_s) as scope:
            while True:
                self._require_running()
                answers = [await self._ask(node, "status") or {"warm": False} for node in self.cluster.nodes]
                up = [answer.get("warm", True) for answer in answers]
                staked = await market.registry.drawable_count()
                self.narrator.status(f"starting: {sum(up)} of {len(up)} nodes ready, {staked} provers staked")
                if all(up) and staked >= provers and await self._owner_model():
                    break
                await trio.sleep(0.5)
        if scope.cancelled_caught:
            raise DemoFailed(
                f"not all nodes were ready within {self.ready_s:g} s", f"read {self.stage.root}/nodes/*/node.log"
            )
        owner = await self._owner_model()
        assert owner is not None
        self.owner_alone = float(owner["owner_alone"])
        self.narrator.say(
            f"{len(self.cluster.nodes)} daemons run, {provers} provers staked; "
            f"the owner alone reaches [bold]{self.owner_alone:.4f}[/]"
        )

    def _require_running(self) -> None:
        """Raises DemoFailed if a node has ended that nobody killed on purpose."""
        for node in self.cluster.nodes:
            if node.pid is None and node.name not in self.attacks.down:
                raise DemoFailed(f"{node.name} has ended", f"read {node.directory}/node.log")

    async def _keep_watch(self) -> None:
        while True:
            self._require_running()
            self._look_at_memory()
            await trio.sleep(1)

    def _look_at_memory(self) -> None:
        """The most that any prover has held so far."""
        for node in self.cluster.nodes:
            if node.process is not None and node.name.startswith("prover-"):
                with suppress(psutil.Error):  # it has just ended
                    resident = psutil.Process(node.process.pid).memory_info().rss
                    self.memory[node.name] = max(self.memory.get(node.name, 0), resident)

    async def _ask(self, node: NodeProcess, verb: str, **args: Any) -> dict[str, Any] | None:
        """A verb on a node's control socket; None while it does not answer."""
        call = partial(control.call, node.socket, verb, args, timeout=CONTROL_TIMEOUT_S)
        try:
            return await trio.to_thread.run_sync(call)
        except OmninodeError as error:
            if verb == "session_create":
                raise
            self.narrator.status(f"{node.name}: {error.problem}")
            return None

    async def _owner_model(self) -> dict[str, Any] | None:
        answer = await self._ask(self.cluster.node("model-owner"), "status")
        model = (answer or {}).get("model", {})
        return model if "owner_alone" in model else None

    # -- sessions ---------------------------------------------------------------------------------------------------

    def _on_event(self, record: SessionRecord, event: ChainEvent) -> None:
        self.narrator.event(record, event)
        self.attacks.on_event(record, event)

    async def _session(self, number: int) -> None:
        created = await self._ask(self.cluster.node("model-owner"), "session_create")
        assert created is not None
        session = int(created["session"])
        await self.watch.until(lambda: session in self.watch.records and self.watch.records[session].ended)
        record = self.watch.records[session]
        if record.view.batch is not None:
            record.accuracy = await self._improved(session)
            self.narrator.say(f"session {session}  the owner's model now reaches [bold]{record.accuracy:.4f}[/]")
        await self._wait_for_claims(record)
        await self._count_bytes(record)
        revived = self.attacks.after_session(record)
        while revived is not None and not (await self._ask(revived, "status") or {}).get("warm"):
            await trio.sleep(0.5)

    async def _improved(self, session: int) -> float:
        """The owner's accuracy once the session's sum is in its model."""
        while True:
            model = await self._owner_model() or {}
            for applied, accuracy in model.get("applied", ()):
                if applied == session:
                    return float(accuracy)
            await trio.sleep(0.25)

    async def _wait_for_claims(self, record: SessionRecord) -> None:
        """Give everybody whom the contract owes something some blocks to claim it."""
        expected = {m.address for m in record.view.members} | {p.address for p in record.view.committee}
        missing = self.attacks.cannot_claim(record)
        with trio.move_on_after(8 * self.options.block_time):
            await self.watch.until(lambda: expected - missing <= set(record.claimed))

    async def _count_bytes(self, record: SessionRecord) -> None:
        """Bytes that all nodes sent since the last session, by protocol."""
        totals: dict[str, int] = {}
        async with trio.open_nursery() as nursery:
            for node in self.cluster.nodes:
                nursery.start_soon(self._add_bytes, node, totals)
        before, self._totals = getattr(self, "_totals", {}), totals
        record.bytes_moved = {k: max(0, v - before.get(k, 0)) for k, v in totals.items()}

    async def _add_bytes(self, node: NodeProcess, totals: dict[str, int]) -> None:
        status = await self._ask(node, "status") if node.pid else None
        for protocol, sent in (status or {}).get("net", {}).get("total", {}).get("sent", {}).items():
            totals[protocol] = totals.get(protocol, 0) + int(sent)

    # -- after ------------------------------------------------------------------------------------------------------

    async def _finish(self) -> tuple[dict[str, Any], bool]:
        records = [self.watch.records[s] for s in sorted(self.watch.records)]
        await self.pooled_known.wait()
        faults = self.attacks.verdicts(self.watch.records)
        curve = [r.accuracy if r.accuracy is not None else float("nan") for r in records]
        self.narrator.close()
        root = self.stage.root
        await trio.to_thread.run_sync(accuracy_plot, root / "accuracy.png", self.owner_alone, self.pooled, curve)
        report.print_report(self.console, self.owner_alone, self.pooled, records, self.narrator.names, faults)
        wall = time.monotonic() - self.started
        result = {
            "data": self.stage.preset.name,
            "public_layers": list(self.stage.part.layers),
            "parties": self._parties(),
            "accuracy": {
                "owner_alone": self.owner_alone,
                "pooled": self.pooled,
                "sessions": [record.accuracy for record in records],
            },
            "sessions": [record.as_json() for record in records],
            "faults": report.fault_json(faults),
            "prover_mib": {name: size >> 20 for name, size in sorted(self.memory.items())},
            "wall_s": round(wall, 2),
        }
        (root / "result.json").write_text(json.dumps(result, indent=1))
        ok = all(r.view.batch is not None for r in records) and all(fault.ok for fault in faults)
        most = max(self.memory.values(), default=0) >> 20
        self.console.print(f"\nProvers held {most} MiB of memory at most.")
        self.console.print(f"{wall:.0f} s in all. Kept in {_short(root)}: result.json, accuracy.png, events/, nodes/")
        return result, ok

    def _parties(self) -> dict[str, Any]:
        return {
            plan.name: {"role": plan.role, "address": "0x" + self.cluster.wallets[plan.name].address.hex()}
            for plan in self.cluster.plans
        }


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
