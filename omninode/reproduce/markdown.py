"""Pieces of Markdown that the sections of the report share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from omninode.reproduce.cells import NOT_RUN


def table(head: Sequence[str], rows: Sequence[Sequence[str]], measured: int = 0) -> str:
    """A table; the first column to the left, the others to the right.

    measured: how many columns hold measurements; rows without any are left out, with a line that says so. 0: none are.
    """
    there = [row for row in rows if not measured or row.count(NOT_RUN) < measured]
    if rows and not there:
        return f"{NOT_RUN}\n"
    rule = ["---", *["---:"] * (len(head) - 1)]
    text = "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *there)) + "\n"
    return text + (f"\n{len(rows) - len(there)} more rows: {NOT_RUN}.\n" if len(there) < len(rows) else "")


def percent(shares: Sequence[float]) -> str:
    """Mean and range of shares from 0 to 1, in per cent: "79.4 (75.1-80.3)"; NOT_RUN for none."""
    if not shares:
        return NOT_RUN
    middle = f"{100 * mean(shares):.1f}"
    return middle if len(shares) == 1 else f"{middle} ({100 * min(shares):.1f}-{100 * max(shares):.1f})"


def image(plots: Path, name: str, says: str) -> str:
    """A link to a plot. says: what a reader sees who cannot see it."""
    return f"![{says}]({plots.name}/{name})\n"
