"""`omninode demo --attack`: one market, one attack (or several that do not touch each other) in each session."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from omninode.cluster.processes import NodeProcess
from omninode.demo import run as demo
from omninode.demo import stage
from omninode.demo.attacks import ATTACKED
from omninode.demo.baseline import Baseline
from omninode.demo.cast import LEAST_OWNERS, Cast, cast
from omninode.demo.catalogue import ATTACKS, HOSTILE, Plan, Who, attack_of, chosen, hostile_proved, plan
from omninode.demo.loot import LOOT, REWIND, Folder
from omninode.demo.options import DemoOptions
from omninode.demo.orders import Order, order_fault
from omninode.demo.siege_table import print_siege
from omninode.demo.verdicts import Line, Seen, judge
from omninode.demo.witness import blames, refusals
from omninode.errors import UsageError
from omninode.learning.service import Trainer
from protocols.sessions import events as ev

if TYPE_CHECKING:
    from omninode.chain.market import Market
    from omninode.demo.record import SessionRecord

OWNER = "model-owner"
SESSION_LIMIT_S = 120
START_LIMIT_S = 300.0
HONEST_FIRST = 2  # sessions before a single attack: the model stands on its feet, and there is something to replay


def sessions_of(options: DemoOptions) -> Plan:
    """What is played. UsageError for an unknown attack."""
    if options.hostile and options.zk:
        played = hostile_proved(options.distances)
        return played + ((),) * (options.sessions - len(played))
    if options.hostile:
        return tuple(HOSTILE if number == ATTACKED else () for number in range(1, options.sessions + 1))
    attacks = chosen(options.attack)
    return plan(attacks, honest=1 if len(attacks) == len(ATTACKS) else HONEST_FIRST)


def besiege(options: DemoOptions) -> int:
    """Play ``options.attack``, or what `--hostile` means in mode verified. Exit code 0: all came out as expected."""
    if options.owners < LEAST_OWNERS:
        raise UsageError(f"{options.owners} data owners are too few", f"use --owners {LEAST_OWNERS} or more")
    count = len(sessions_of(options))
    limit = int(2 * START_LIMIT_S) + count * SESSION_LIMIT_S
    return demo.run(replace(options, sessions=count, provers=options.provers + 1, wall_limit_s=limit), Siege)


def build(options: DemoOptions) -> stage.Stage:
    """The demo's stage; every node can be ordered to misbehave."""
    built = stage.build(options)
    return replace(built, plans=[replace(plan, module=stage.HOSTILE_MODULE) for plan in built.plans])


class Siege(demo.Play):
    """The acts of the demo with attackers in them. Orders are given before each session, by name or by seat."""

    build = staticmethod(build)
    ready_s = START_LIMIT_S

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._plan = sessions_of(self.options)
        self._casts: dict[int, Cast] = {}
        self._loot = Folder(self.stage.root / LOOT)
        if sum(map(bool, self._plan)) > 1:
            self._loot.put(REWIND, b"")
        self._by_prover: dict[int, bytes] = {}  # session -> wallet of the prover that attacks
        self._market: Market
        self._owners = [plan.name for plan in self.stage.plans if plan.role == "data_owner"]
        self._provers = [plan.name for plan in self.stage.plans if plan.role == "prover"]

    @property
    def _wallets(self) -> dict[str, bytes]:
        return {name: wallet.address for name, wallet in self.cluster.wallets.items()}

    async def _start_nodes(self, market: Market) -> None:
        self._market = market
        await super()._start_nodes(market)

    # -- sessions ---------------------------------------------------------------------------------------------------

    async def _session(self, number: int) -> None:
        parts = self._casts[number] = cast(self._plan, number, self._owners, int(self.options.hostile))
        self._give_orders(number, parts)
        created = await self._ask(self.cluster.node(OWNER), "session_create")
        assert created is not None and created["session"] == number
        await self.watch.until(lambda: number in self.watch.records and self.watch.records[number].ended)
        record = self.watch.records[number]
        if record.view.batch is not None and OWNER not in self.attacks.down:
            record.accuracy = await self._improved(number)
            self.narrator.say(f"session {number}  the owner's model now reaches [bold]{record.accuracy:.4f}[/]")
        await self._wait_for_claims(record)
        await self._recover()

    def _give_orders(self, number: int, parts: Cast) -> None:
        told = parts.orders(self._wallets)
        by_prover = parts.prover_order(self._wallets)
        if by_prover is not None:
            told |= dict.fromkeys(self._provers, by_prover)
        if by_prover is not None and by_prover.kind == "crash":
            self.attacks.down |= set(self._provers)  # until the draw says which of them it is
        if parts.owner:
            told[OWNER] = Order("crash", phase=attack_of(parts.owner).phase)
            self.attacks.down.add(OWNER)
        self.attacks.down |= {name for name, order in told.items() if order.kind == "die-safe"}
        for name, order in told.items():
            order_fault(self.cluster.node(name).directory, number, order.kind, order)
        for attack in self._plan[number - 1]:
            some = ", ".join(parts.attackers.get(attack, ())) or attack_of(attack).who.value
            self.narrator.say(f"session {number}  [red]attack[/] {attack}: {attack_of(attack).line} ({some})")

    def _on_event(self, record: SessionRecord, event: ev.ChainEvent) -> None:
        super()._on_event(record, event)
        parts = self._casts.get(record.session)
        if isinstance(event, ev.CommitteeDrawn) and parts is not None and parts.prover:
            address = self._by_prover[record.session] = record.view.committee[parts.seat].address
            name = self.narrator.name(address)
            self.attacks.down -= set(self._provers)
            if attack_of(parts.prover).kind == "crash":
                self.attacks.down.add(name)
            self.narrator.say(f"session {record.session}  [red]attacker[/] of {parts.prover}: {name}")

    async def _wait_for_claims(self, record: SessionRecord) -> None:
        """Give those who are up and have something to claim some blocks for it."""
        expected = {m.address for m in record.view.members} | {p.address for p in record.view.committee}
        absent = {self._wallets[name] for name in self.attacks.down}
        named = attack_of(parts.prover).named if (parts := self._casts[record.session]).prover else False
        with trio.move_on_after(8 * self.options.block_time):
            await self.watch.until(lambda: expected - absent - set(record.slashed) <= set(record.claimed))
            await self.watch.until(lambda: bool(record.slashed) or not named)  # attested after the end, sometimes

    async def _recover(self) -> None:
        """Start what was killed; whoever lost its stake starts again, and stakes again. All must be there after it."""
        slashed = {name for name in self._provers if not await self._drawable(name)}
        again = [self.cluster.node(name) for name in self.attacks.down | slashed]
        for node in again:
            self.attacks.down.add(node.name)
            (node.directory / "fault.json").unlink(missing_ok=True)
            await trio.to_thread.run_sync(_stop, node)
            node.start()
            self.narrator.say(f"{node.name} is started again")
        while again and not await self._all_back(again):
            await trio.sleep(0.5)
        self.attacks.down.clear()

    async def _drawable(self, name: str) -> bool:
        return (await self._market.registry.prover(self._wallets[name])).drawable

    async def _all_back(self, nodes: list[NodeProcess]) -> bool:
        answers = [await self._ask(node, "status") for node in nodes if node.pid]
        if len(answers) < len(nodes) or not all(answers):
            return False
        if any(node.name == OWNER for node in nodes) and await self._owner_model() is None:
            return False
        return bool(await self._market.registry.drawable_count() >= len(self._provers))

    # -- after ------------------------------------------------------------------------------------------------------

    async def _finish(self) -> tuple[dict[str, Any], bool]:
        lines = await self._lines()
        if self.options.hostile:
            self.attacks.faults = [line.as_fault() for line in lines]
            if self.options.zk:
                print_siege(self.console, lines)
            return await super()._finish()
        self.narrator.close()
        print_siege(self.console, lines)
        wall = time.monotonic() - self.started
        ended = [self.watch.records[number] for number in sorted(self.watch.records)]
        honest = [number for number, attacks in enumerate(self._plan, 1) if not attacks]
        broken = [number for number in honest if self.watch.records[number].accuracy is None]
        ok = all(line.ok for line in lines) and not broken
        for number in broken:
            self.console.print(f"[red]session {number}, honest, gave no model[/]")
        result = {
            "data": self.stage.preset.name,
            "attack": self.options.attack,
            "parties": self._parties(),
            "owner_alone": self.owner_alone,
            "accuracy": [record.accuracy for record in ended],
            "attacks": [line.as_json() for line in lines],
            "ok": ok,
            "wall_s": round(wall, 2),
        }
        (self.stage.root / "attacks.json").write_text(json.dumps(result, indent=1))
        self.console.print(f"\n{wall:.0f} s in all. Kept in {self.stage.root}: attacks.json, nodes/")
        return result, ok

    async def _lines(self) -> list[Line]:
        """One verdict per attack, in the order in which they were played."""
        blamed = await trio.to_thread.run_sync(blames, self.cluster.nodes)
        refused = await trio.to_thread.run_sync(refusals, self.cluster.nodes)
        trainer = Trainer(self.stage.root / "slots-baseline", linger_s=30)
        owner_dir = self.cluster.node(OWNER).directory
        base = Baseline(self.stage.preset, owner_dir, self.stage.test, self._loot, trainer)
        lines = []
        for number, attacks in enumerate(self._plan, 1):
            if not attacks:
                continue
            record = self.watch.records[number]
            learning = any(attack_of(attack).who == Who.COLLUDERS for attack in attacks)
            seen = Seen(
                record.view, record.claimed, record.slashed, blamed.get(number, {}), refused, record.accuracy,
                await base.unattacked(record.view), await base.undefended(record.view) if learning else None,
                record.reverted,
            )  # fmt: skip
            everybody = {attack: self._attackers(number, attack) for attack in attacks}
            flat = [address for some in everybody.values() for address in some]
            for attack, some in everybody.items():
                lines.append(judge(attack_of(attack), number, seen, some, flat, self.narrator.names))
        await trainer.aclose()
        return lines

    def _attackers(self, number: int, attack: str) -> list[bytes]:
        if attack_of(attack).who == Who.PROVER:
            return [self._by_prover[number]]
        if attack_of(attack).who == Who.OWNER:
            return [self._wallets[OWNER]]
        return [self._wallets[name] for name in self._casts[number].attackers[attack]]


def _stop(node: NodeProcess) -> None:
    node.terminate()
    node.reap(time.monotonic() + 10)
