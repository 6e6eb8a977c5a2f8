"""What the demo says while it runs: one plain line per thing worth knowing, and a live status line on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rich.console import Console

from omninode.demo.record import SessionRecord
from omninode.roles.outcome import owners_in
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Beacon, Bitmap, Phase
from protocols.zk.params import Statement, choose


class Narrator:
    """Prints with the seconds since the start. names: wallet address -> node name."""

    def __init__(self, console: Console) -> None:
        self._console, self._start = console, time.monotonic()
        self.names: Mapping[bytes, str] = {}
        self._status = console.status("")
        if console.is_terminal:
            self._status.start()

    def say(self, text: str) -> None:
        """One line, marked up with Rich."""
        self._console.print(f"[dim]{time.monotonic() - self._start:7.1f} s[/]  {text}", highlight=False)

    def status(self, text: str) -> None:
        """The live line (terminal only)."""
        self._status.update(text)

    def close(self) -> None:
        """Remove the live line."""
        self._status.stop()

    def name(self, address: bytes) -> str:
        """A node's name, or the start of a stranger's address."""
        return self.names.get(address, "0x" + address.hex()[:8])

    def event(self, record: SessionRecord, event: ev.ChainEvent) -> None:
        """Tell one event of the chain, if it is worth a line."""
        teller = _TELLERS.get(type(event))
        text = teller(self, record, event) if teller else None
        if text:
            self.say(f"session {record.session}  {text}")
        view = record.view
        keys = "" if record.verified else f"key shares {len(view.share_roots)}  "
        self.status(
            f"session {record.session}: {view.phase.name.lower()}  "
            f"registered {len(view.members)}  {keys}uploads {len(view.upload_roots)}"
        )


def _created(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str:
    p = r.view.p
    who = f"{p.groups} data owners" if r.verified else f"{p.groups} groups of {p.group_size}"
    text = (
        f"[bold]created[/]: {p.reward / 1e18:g} ether reward in escrow for {who}, "
        f"{p.dimension:,} parameters, norm bound {p.bound / 2**p.frac_bits:.2f}"
    )
    if not p.zk:
        return text
    size = choose(p.dimension, p.bound)
    return text + f", certificate zk: {size.bits} bits a coordinate ({p.frac_bits} fractional), {size.size:,} rows"


def _committee(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str:
    return "committee drawn by the beacon: " + ", ".join(n.name(p.address) for p in r.view.committee)


def _reference(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str:
    return "the owner has committed its reference update, from data that it trains on nowhere else"


def _groups(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str:
    members = r.view.members
    groups = ("+".join(n.name(members[k].address).rsplit("-", 1)[-1] for k in group) for group in r.view.groups)
    return f"{len(members)} data owners drawn into groups: " + "  ".join(groups)


def _set(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str | None:
    assert isinstance(event, ev.SetFixed)
    count, total = owners_in(event.bits), len(r.view.members)
    if r.verified:
        return _verified_set(r, event.kind, count, total)
    return {
        Bitmap.BUNDLES: f"key shares complete for {count} of {total}",
        Bitmap.DELIVERED: f"masked updates of {count} data owners shared to the provers",
        Bitmap.VALID: f"shares of {count} data owners are consistent",
    }[event.kind]


def _verified_set(r: SessionRecord, kind: Bitmap, count: int, total: int) -> str:
    also = " and the owner's reference" if r.view.in_set(kind, REFERENCE) else ""
    if r.zk and kind == Bitmap.VALID:
        claim = "range and norm" if r.view.p.statement != Statement.GRAM else "range"
        return f"proofs of {claim} of {count} of {total} data owners{also} hold, and shares fit their commitments"
    return {
        Bitmap.BUNDLES: f"{total} data owners registered",
        Bitmap.DELIVERED: f"updates of {count} data owners{also} shared to the provers: they may go offline",
        Bitmap.VALID: f"proofs of {count} of {total} data owners{also} are right",
    }[kind]


def _batch(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str:
    assert isinstance(event, ev.BatchFinal)
    if r.verified:
        rule = r.view.p.rule.name.lower().replace("_", "-")
        valid = owners_in(r.view.sets.get(Bitmap.VALID, 0))
        return f"batch final: rule {rule} accepts {event.accepted.bit_count()} of {valid} valid updates"
    refused = len(r.view.groups) - event.selected.bit_count()
    tail = f", {refused} left out" if refused else ""
    return f"batch final: {event.selected.bit_count()} groups, {event.accepted.bit_count()} updates accepted{tail}"


def _proved(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str:
    proof = r.proof()
    assert proof is not None
    count = proof["data_owners"]
    what = {
        "gram": f"all {count * (count + 1) // 2} inner products of {count} updates, and so their norms",
        "score": f"the scores of {count} updates, and all norms within the bound",
        "none": f"the norms of {count} updates within the bound",
    }[proof["statement"]]
    return f"[green]the contract itself has verified the proof[/]: {what}; the sum is committed to"


def _attested(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str:
    assert isinstance(event, ev.Attested)
    provers = [n.name(p.address) for i, p in enumerate(r.view.committee) if event.provers >> i & 1]
    owners = [n.name(m.address) for m in r.view.members if event.data_owners >> m.index & 1]
    return "[yellow]attested[/]: " + ", ".join([f"{p} lied" for p in provers] + [f"{o} stayed silent" for o in owners])


def _phase(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str | None:
    assert isinstance(event, ev.PhaseChanged)
    return "finished; everybody can claim" if event.phase == Phase.FINISHED else None


def _aborted(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str:
    assert isinstance(event, ev.SessionAborted)
    return f"[red]aborted[/]: {event.reason}; everybody gets back what is theirs"


def _beacon(n: Narrator, r: SessionRecord, event: ev.ChainEvent) -> str | None:
    assert isinstance(event, ev.BeaconSet)
    return "beacon for the checks: every vector is now fixed" if event.purpose == Beacon.QUERY else None


_TELLERS: dict[type[ev.ChainEvent], Callable[[Narrator, SessionRecord, ev.ChainEvent], str | None]] = {
    ev.SessionCreated: _created,
    ev.CommitteeDrawn: _committee,
    ev.ReferenceCommitted: _reference,
    ev.GroupsDrawn: _groups,
    ev.SetFixed: _set,
    ev.BeaconSet: _beacon,
    ev.Proved: _proved,
    ev.BatchFinal: _batch,
    ev.Attested: _attested,
    ev.PhaseChanged: _phase,
    ev.SessionAborted: _aborted,
}
