"""The demo's tables, and result.json."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from omninode.demo.record import SessionRecord
from omninode.roles import outcome

ETHER = 10**18


@dataclass(frozen=True, slots=True)
class Fault:
    """One attack of the hostile run: what should happen, what was seen, and whether they agree."""

    kind: str
    expected: str
    observed: str
    ok: bool


def ether(wei: int) -> str:
    """Wei as ether with four decimals."""
    return f"{wei / ETHER:.4f}"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def accuracy_table(owner_alone: float, pooled: float, records: Sequence[SessionRecord]) -> Table:
    """Accuracy on the held-out test set, from the owner alone to training on everybody's data."""
    table = Table(title="Accuracy on the held-out test set", title_justify="left")
    table.add_column("model")
    table.add_column("accuracy", justify="right")
    table.add_column("accepted", justify="right")
    table.add_column("seconds", justify="right")
    table.add_row("owner alone", f"{owner_alone:.4f}", "", "")
    for record in records:
        shown = "aborted" if record.accuracy is None else f"{record.accuracy:.4f}"
        table.add_row(
            f"after session {record.session}", shown, _accepted(record), f"{sum(record.seconds.values()):.1f}"
        )
    table.add_row("all data in one place", f"{pooled:.4f}", "", "")
    return table


def _accepted(record: SessionRecord) -> str:
    """How many were accepted, of how many."""
    if record.verified:
        entries = outcome.data_owners(record.view)
        return f"{sum(entry['accepted'] for entry in entries)} of {len(entries)} updates"
    groups = record.groups()
    return f"{sum(group['accepted'] for group in groups)} of {len(groups)} groups"


def people_table(records: Sequence[SessionRecord], names: Mapping[bytes, str]) -> Table:
    """Per data owner: what became of it in every session, and what it was paid.

    Mode grouped: its group, and why not. Mode verified: its score in percent of B squared, what it earned, or why not.
    """
    verified = any(record.verified for record in records)
    told = "score in % of the largest there can be, and reward" if verified else "reward"
    table = Table(title=f"Data owners ({told} in ether)", title_justify="left")
    table.add_column("data owner")
    for record in records:
        table.add_column(f"s{record.session}")
    table.add_column("paid", justify="right")
    members = {m.address for record in records for m in record.view.members}
    for address in sorted(members, key=lambda a: names.get(a, a.hex())):
        row, paid = [], 0
        for record in records:
            member = record.view.member_of(address)
            if member is None or not record.view.groups:
                row.append("-")
                continue
            row.append(_fate(record, member.index))
            paid += outcome.payouts(record.view)[member.index] if address in record.claimed else 0
        table.add_row(names.get(address, "0x" + address.hex()[:8]), *row, ether(paid))
    return table


def _fate(record: SessionRecord, index: int) -> str:
    view = record.view
    fate = outcome.fate(view, index)
    if not record.verified:
        return f"g{view.group_of(index)}" + ("" if fate == "accepted" else f" {fate}")
    paid = outcome.payouts(view)[index]
    if fate != "accepted":
        return f"{fate} {ether(paid)}" if paid else fate
    score, copies = outcome.scores_of(view).get(index, (None, 1))
    shown = "" if score is None else f"{100 * score / view.p.bound**2:.0f} % "
    return shown + (f"/{copies} " if copies > 1 else "") + ether(paid)


def prover_table(records: Sequence[SessionRecord], names: Mapping[bytes, str]) -> Table:
    """Per prover: sessions served, fees and gas refunds claimed, stake lost."""
    table = Table(title="Provers, in ether", title_justify="left")
    for column in ("prover", "committees", "claimed", "stake lost"):
        table.add_column(column, justify="left" if column == "prover" else "right")
    served: dict[bytes, int] = defaultdict(int)
    for record in records:
        for prover in record.view.committee:
            served[prover.address] += 1
    for address in sorted(served, key=lambda a: names.get(a, a.hex())):
        claimed = sum(record.claimed.get(address, 0) for record in records)
        lost = sum(record.slashed.get(address, 0) for record in records)
        table.add_row(
            names.get(address, address.hex()[:8]), str(served[address]), ether(claimed), ether(lost) if lost else ""
        )
    return table


def gas_table(records: Sequence[SessionRecord]) -> Table:
    """Gas per contract function: calls and mean gas over all sessions, and the sum of each session."""
    table = Table(title="Gas", title_justify="left")
    table.add_column("function")
    table.add_column("calls", justify="right")
    table.add_column("mean gas", justify="right")
    functions = sorted({fn for record in records for fn in record.gas})
    for fn in functions:
        calls = sum(record.calls.get(fn, 0) for record in records)
        gas = sum(record.gas.get(fn, 0) for record in records)
        table.add_row(fn, str(calls), f"{gas // max(calls, 1):,}")
    table.add_section()
    for record in records:
        table.add_row(f"session {record.session}", str(sum(record.calls.values())), f"{sum(record.gas.values()):,}")
    return table


def phase_table(records: Sequence[SessionRecord]) -> Table:
    """Wall seconds per phase, and bytes that all nodes sent."""
    table = Table(title="Seconds per phase, bytes sent by all nodes", title_justify="left")
    table.add_column("session")
    phases = list(dict.fromkeys(name for record in records for name in record.seconds))
    for name in phases:
        table.add_column(name, justify="right")
    table.add_column("bytes", justify="right")
    for record in records:
        cells = [f"{record.seconds.get(name, 0.0):.1f}" for name in phases]
        table.add_row(str(record.session), *cells, size(sum(record.bytes_moved.values())))
    return table


def proof_table(records: Sequence[SessionRecord]) -> Table:
    """Certificate zk: what the contract verified in each session, for how much gas, and how long provers took."""
    table = Table(title="Proofs that the contract itself has verified", title_justify="left")
    for column in ("session", "statement", "data owners", "rows", "gas", "gas each", "seconds to prove"):
        table.add_column(column, justify="left" if column == "statement" else "right")
    for record in records:
        proof = record.proof()
        if proof is None:
            table.add_row(str(record.session), "none")
            continue
        count, gas = proof["data_owners"], proof["gas"]
        seconds = f"{record.seconds.get('prove + verify', 0.0):.1f}"
        cells = [str(count), f"{proof['rows']:,}", f"{gas:,}", f"{gas // max(count, 1):,}", seconds]
        table.add_row(str(record.session), proof["statement"], *cells)
    return table


def fault_table(faults: Sequence[Fault]) -> Table:
    """The attacks of the hostile run."""
    table = Table(title="Attacks", title_justify="left")
    for column in ("attack", "expected", "observed", ""):
        table.add_column(column)
    for fault in faults:
        verdict = "[green]as expected[/]" if fault.ok else "[red]NOT as expected[/]"
        table.add_row(fault.kind, fault.expected, fault.observed, verdict)
    return table


def print_report(
    console: Console,
    owner_alone: float,
    pooled: float,
    records: Sequence[SessionRecord],
    names: Mapping[bytes, str],
    faults: Sequence[Fault],
) -> None:
    """All tables, the most important last: that is where the eye rests."""
    for table in (gas_table(records), phase_table(records), prover_table(records, names), people_table(records, names)):
        console.print(table)
    if any(record.zk for record in records):
        console.print(proof_table(records))
    if faults:
        console.print(fault_table(faults))
    console.print(accuracy_table(owner_alone, pooled, records))


def fault_json(faults: Sequence[Fault]) -> list[dict[str, object]]:
    """The faults part of result.json."""
    return [asdict(fault) for fault in faults]
