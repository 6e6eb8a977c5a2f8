"""The hostile run: chooses its targets after the draw of session 3, lets them misbehave, and judges what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omninode.cluster.local import LocalCluster
from omninode.demo.orders import order_fault
from omninode.demo.report import Fault
from protocols.sessions import events as ev
from protocols.sessions.params import Bitmap, Phase

if TYPE_CHECKING:
    from omninode.cluster.processes import NodeProcess
    from omninode.demo.narrate import Narrator
    from omninode.demo.options import DemoOptions
    from omninode.demo.record import SessionRecord

ATTACKED = 3


class Attacks:
    """Does nothing unless the run is hostile. Targets by name once they are chosen."""

    def __init__(self, options: DemoOptions, cluster: LocalCluster, narrator: Narrator) -> None:
        self._on = options.hostile and options.mode == "grouped"
        self._cluster, self._narrator = cluster, narrator
        self.faults: list[Fault] = []  # verdicts of attacks that another act plays
        self._garbage: int | None = None  # registration indices in the attacked session
        self._killed: int | None = None
        self._liar = b""
        self.down: set[str] = set()  # nodes that are dead on purpose
        self._killed_name = self._garbage_name = self._liar_name = ""

    def on_event(self, record: SessionRecord, event: ev.ChainEvent) -> None:
        """Choose when the groups are drawn; kill when the key shares are complete."""
        if not self._on or record.session != ATTACKED:
            return
        if isinstance(event, ev.GroupsDrawn):
            self._choose(record)
        elif isinstance(event, ev.SetFixed) and event.kind == Bitmap.BUNDLES:
            self.down.add(self._killed_name)
            self._cluster.node(self._killed_name).kill()
            self._narrator.say(f"session {ATTACKED}  [red]SIGKILL[/] to {self._killed_name} after key sharing")

    def _choose(self, record: SessionRecord) -> None:
        view, name = record.view, self._narrator.name
        self._garbage, self._killed = view.groups[0][0], view.groups[1][0]
        self._liar = view.committee[0].address
        self._garbage_name = name(view.members[self._garbage].address)
        self._killed_name = name(view.members[self._killed].address)
        self._liar_name = name(self._liar)
        for target, kind in ((self._garbage_name, "garbage"), (self._killed_name, "hold"), (self._liar_name, "lie")):
            order_fault(self._cluster.node(target).directory, ATTACKED, kind)
        self._narrator.say(
            f"session {ATTACKED}  [red]attack[/]: {self._garbage_name} will send a random vector of ten times the "
            f"bound, {self._killed_name} will be killed, {self._liar_name} lies in every opening"
        )

    def cannot_claim(self, record: SessionRecord) -> set[bytes]:
        """Wallets that nobody should wait for."""
        if not self._on or record.session != ATTACKED or self._killed is None:
            return set()
        return {record.view.members[self._killed].address, self._liar}

    def after_session(self, record: SessionRecord) -> NodeProcess | None:
        """Bring the killed node back, if this is the moment; it must take part again."""
        if not (self._on and record.session == ATTACKED and self._killed_name):
            return None
        node = self._cluster.node(self._killed_name)
        node.start()
        self.down.discard(self._killed_name)
        self._narrator.say(f"{self._killed_name} is started again")
        return node

    def verdicts(self, records: dict[int, SessionRecord]) -> list[Fault]:
        """Expected against observed, one line per attack."""
        if not self._on:
            return self.faults
        record = records.get(ATTACKED)
        if record is None or self._garbage is None or self._killed is None:
            return [Fault("all", "session 3 is attacked", "it never drew its groups", False)]
        return [self._judge_garbage(record, records), self._judge_kill(record, records), self._judge_liar(record)]

    def _judge_garbage(self, record: SessionRecord, records: dict[int, SessionRecord]) -> Fault:
        view = record.view
        refused = [r for r, group in enumerate(record.groups()) if not group["accepted"]]
        assert self._garbage is not None
        hit = view.group_of(self._garbage)
        observed = "groups left out: " + (", ".join(f"g{r}" for r in refused) or "none")
        expected = f"only its group g{hit} is left out"
        return Fault(f"{self._garbage_name} sends 10 x bound", expected, observed, refused == [hit])

    def _judge_kill(self, record: SessionRecord, records: dict[int, SessionRecord]) -> Fault:
        assert self._killed is not None
        view = record.view
        group = view.group_of(self._killed)
        survivors = view.within(Bitmap.VALID, group)
        accepted = bool(view.batch and view.batch.selected >> group & 1)
        address = view.members[self._killed].address
        later = [
            s for s, r in records.items()
            if s > ATTACKED and (m := r.view.member_of(address)) and r.view.in_set(Bitmap.VALID, m.index)
        ]  # fmt: skip
        size = len(view.groups[group])
        observed = f"g{group} {'accepted' if accepted else 'lost'} with {len(survivors)}; back in {later or 'none'}"
        ok = accepted and len(survivors) == size - 1 and self._killed not in survivors and bool(later)
        expected = f"g{group} accepted with {size - 1}; takes part again"
        return Fault(f"{self._killed_name} killed after key sharing", expected, observed, ok)

    def _judge_liar(self, record: SessionRecord) -> Fault:
        view = record.view
        named = [p.address for i, p in enumerate(view.committee) if view.named_provers >> i & 1]
        slashed = set(record.slashed)
        final = view.batch is not None and view.phase == Phase.FINISHED
        who = [", ".join(map(self._narrator.name, some)) or "nobody" for some in (named, slashed)]
        observed = f"result {'right' if final else 'missing'}, named: {who[0]}, slashed: {who[1]}"
        ok = final and named == [self._liar] and slashed == {self._liar}
        return Fault(f"{self._liar_name} lies in every opening", "corrected, named, slashed; nobody else", observed, ok)
