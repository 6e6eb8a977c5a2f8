"""`omninode demo --aggregation onchain`: the same nodes, the paper's way: masked models are summed in contracts."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from omninode.chain.client import ChainClient
from omninode.chain.connect import open_market
from omninode.chain.onchain import Onchain
from omninode.demo import run as demo
from omninode.demo import stage
from omninode.demo.onchain_watch import OnchainRecord, OnchainWatch
from omninode.demo.options import DemoOptions
from omninode.learning.plot import accuracy_plot
from omninode.roles.onchain_driver import stored
from protocols.onchain import events as ev
from protocols.onchain.limits import session_gas

if TYPE_CHECKING:
    from omninode.chain.market import Market

PROVERS = 2
"""They have nothing to do here, but introduce the nodes to each other."""
KEEP = 2
"""Rounds that m-Krum keeps."""
WINDOWS = {"register_blocks": 40, "upload_blocks": 90, "settle_blocks": 40}


def play(options: DemoOptions) -> int:
    """Play the demo. Exit code 0: every session had a result and everybody was paid."""
    return demo.run(replace(options, provers=max(options.provers, 5)), OnchainDemo)


def build(options: DemoOptions) -> stage.Stage:
    """The demo's stage with fewer provers; the owner aggregates on chain."""
    built = stage.build(options)
    names = {f"prover-{i + 1}" for i in range(PROVERS)}
    plans = [plan for plan in built.plans if plan.role != "prover" or plan.name in names]
    for plan in plans:
        if plan.role == "model_owner":
            own = {"aggregation": "onchain", "rule": "none", "m_krum": min(KEEP, options.groups), **WINDOWS}
            plan.settings["model_owner"].update(own)
    return replace(built, plans=plans)


class OnchainDemo(demo.Play):
    """One run."""

    build = staticmethod(build)

    async def run(self) -> tuple[dict[str, Any], bool]:
        say, options = self.narrator.say, self.options
        part = self.stage.part.dimension
        gas = session_gas(part, options.groups, options.group_size)
        say(f"[bold]omninode demo --aggregation onchain[/]: {len(self.cluster.nodes)} nodes, the paper's baseline")
        say(
            f"{part:,} parameters in {-(-part // 250)} chunk contracts, {options.groups} rounds of "
            f"{options.group_size}: a session will take about {gas.total / 1e6:.0f} million gas, "
            f"{gas.data_owner / 1e6:.1f} for each data owner"
        )
        deployment = await self._deploy()
        async with ChainClient(self.chain.url) as client, trio.open_nursery() as nursery:
            market = await open_market(
                client, None, deployment.market, deployment.chain_id, start_block=deployment.block
            )
            onchain = Onchain(client, None, deployment.onchain, chain_id=deployment.chain_id)
            self.seen = OnchainWatch(onchain, deployment.block, self._tell)
            nursery.start_soon(self.seen.run)
            await self._prepare(market, nursery)
            for _ in range(options.sessions):
                await self._one()
            result = await self._close()
            nursery.cancel_scope.cancel()
        return result

    async def _prepare(self, market: Market, nursery: trio.Nursery) -> None:
        await self._start_nodes(market)
        nursery.start_soon(self._train_pooled)
        nursery.start_soon(self._keep_watch)

    async def _one(self) -> None:
        created = await self._ask(self.cluster.node("model-owner"), "session_create")
        assert created is not None
        session = int(created["session"])
        await self.seen.until(lambda: session in self.seen.records and self.seen.records[session].settled)
        record = self.seen.records[session]
        if record.view.selected:
            record.accuracy = await self._improved(stored(session))
            self.narrator.say(f"session {session}  the owner's model now reaches [bold]{record.accuracy:.4f}[/]")
        uploads = record.gas["upload"]
        self.narrator.say(
            f"session {session}  {record.total:,} gas in {record.blocks} blocks, {uploads / record.total:.0%} of it "
            f"for uploads; each data owner paid {record.per_data_owner:,} on average"
        )

    def _tell(self, record: OnchainRecord, event: ev.OnchainEvent) -> None:
        text = told(record, event)
        if text:
            self.narrator.say(f"session {record.view.session}  {text}")
        view = record.view
        done = sum(len(m.uploaded) for m in view.members)
        self.narrator.status(f"session {view.session}: {view.state.name.lower()}  chunks uploaded {done}")

    async def _close(self) -> tuple[dict[str, Any], bool]:
        records = [self.seen.records[s] for s in sorted(self.seen.records)]
        await self.pooled_known.wait()
        self.narrator.close()
        root = self.stage.root
        curve = [r.accuracy if r.accuracy is not None else float("nan") for r in records]
        await trio.to_thread.run_sync(accuracy_plot, root / "accuracy.png", self.owner_alone, self.pooled, curve)
        wall = time.monotonic() - self.started
        result = {
            "data": self.stage.preset.name, "aggregation": "onchain", "parties": self._parties(),
            "accuracy": {"owner_alone": self.owner_alone, "pooled": self.pooled, "sessions": curve},
            "sessions": [record.as_json() for record in records], "wall_s": round(wall, 2),
        }  # fmt: skip
        (root / "result.json").write_text(json.dumps(result, indent=1))
        last = curve[-1] if curve else float("nan")
        self.console.print(
            f"\nThe owner alone {self.owner_alone:.4f}, after {len(records)} sessions {last:.4f}, "
            f"all data in one place {self.pooled:.4f}."
        )
        self.console.print("The same session off chain: omninode demo --mode grouped (docs/baseline.md).")
        self.console.print(f"{wall:.0f} s in all. Kept in {root}: result.json, accuracy.png, events/, nodes/")
        return result, all(r.view.selected and r.all_paid for r in records)


def told(record: OnchainRecord, event: ev.OnchainEvent) -> str:
    """One line about an event, "" where it is not worth one."""
    view = record.view
    match event:
        case ev.Created(terms=terms):
            return f"[bold]created[/]: {terms.reward / 1e18:g} ether reward, {terms.chunks} chunk contracts"
        case ev.Started(training=training):
            return f"the model is on the chain; {training.rounds} rounds of {training.group_size} are open"
        case ev.AggregationOpened():
            return f"{len(view.members)} data owners registered and posted their keys; masked models may come"
        case ev.RoundComplete(round=number):
            return f"round {number} is summed: every chunk of every member is there, the masks have cancelled"
        case ev.SuppressionOpened():
            return f"{len(view.rounds(view.complete))} rounds complete; the contract measures their distances"
        case ev.Selected(selected=selected, share=share):
            kept = ", ".join(str(r) for r in view.rounds(selected)) or "none"
            return f"m-Krum in the contract keeps rounds {kept}; {share / 1e18:g} ether for each member"
        case ev.Exited():
            return "finished; the owner took back what was left"
    return ""
