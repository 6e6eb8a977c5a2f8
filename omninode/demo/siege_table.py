"""The table of the attack suite."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from omninode.demo.verdicts import Line

CAPTION = (
    "accuracy: of the owner's model after the session. no attack: the same session, from the same weights, had "
    "everybody been honest. undefended: the same session, had everything that was uploaded been summed. paid: of the "
    "reward (data owners), the fee (provers)."
)


def siege_table(lines: Sequence[Line]) -> Table:
    """One row per attack."""
    table = Table(title="Attacks", title_justify="left", caption=CAPTION, caption_justify="left")
    table.add_column("attack", no_wrap=True)
    for column in ("attackers", "rejected", "paid", "named, slashed"):
        table.add_column(column)
    for column in ("accuracy", "no attack", "undefended"):
        table.add_column(column, justify="right")
    table.add_column("")
    for line in lines:
        verdict = "[green]as expected[/]" if line.ok else "[red]NOT as expected[/]: " + "; ".join(line.problems)
        numbers = [_number(x) for x in (line.accuracy, line.unattacked, line.undefended)]
        names = ", ".join(line.attackers).replace("data-owner-", "do-")
        table.add_row(line.attack, names, line.rejected, line.paid, line.named, *numbers, verdict)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
