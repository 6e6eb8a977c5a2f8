"""The table of the attack suite."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from omninode.demo.verdicts import Line

CAPTION = (
    "rejected: updates not in the sum, and why. paid: has its part of the reward (data owners) or its fee (provers). "
    "named, slashed: by the contract; and rules that so many nodes wrote down as broken. accuracy: of the owner's "
    "model after the session. no attack: the same session, from the same weights, had everybody been honest. no "
    "defence: the same session, had everything that was uploaded been summed."
)


def print_siege(console: Console, lines: Sequence[Line]) -> None:
    """The table, and below it what is not as expected."""
    table = Table(title="Attacks", title_justify="left", caption=CAPTION, caption_justify="left",
                  box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))  # fmt: skip
    table.add_column("attack", no_wrap=True)
    for column in ("by", "rejected", "paid", "named, slashed"):
        table.add_column(column, overflow="fold")
    for column in ("accu-\nracy", "no\nattack", "no de-\nfence"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("as ex-\npected", no_wrap=True)
    for line in lines:
        numbers = [_number(x) for x in (line.accuracy, line.unattacked, line.undefended)]
        verdict = "[green]yes[/]" if line.ok else "[red]NO[/]"
        table.add_row(line.attack, _who(line.attackers), line.rejected, line.paid, line.named, *numbers, verdict)
    console.print(table)
    for line in lines:
        if not line.ok:
            console.print(f"[red]{line.attack} (session {line.session})[/]: " + "; ".join(line.problems))


def _who(names: Sequence[str]) -> str:
    short = [name.replace("data-owner-", "do-") for name in names]
    return short[0] if len(short) == 1 else f"{short[0]} to {short[-1].rsplit('-', 1)[-1]}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
