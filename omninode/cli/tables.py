"""Tables: Rich on a terminal, plain columns elsewhere, so that grep, cut and diff work on what is printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TextIO


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "", out: TextIO | None = None
) -> None:
    """Print ``rows``, one cell per column. out: standard output unless a test says so."""
    out = sys.stdout if out is None else out
    cells = [[cell(value) for value in row] for row in rows]
    if out.isatty():
        _rich(columns, cells, title, out)
        return
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    if title:
        out.write(title + "\n")
    for line in [list(columns), *cells]:
        out.write("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() + "\n")


def print_pairs(pairs: Sequence[tuple[str, Any]], *, out: TextIO | None = None) -> None:
    """Print names and values, one pair per line."""
    out = sys.stdout if out is None else out
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        out.write(f"{name.ljust(width)}  {cell(value)}\n")


def cell(value: Any) -> str:
    """One value as a person reads it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(cell(item) for item in value) or "-"
    if isinstance(value, dict):
        return " ".join(f"{key}={cell(item)}" for key, item in value.items()) or "-"
    return str(value)


def _rich(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str, out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title or None, title_justify="left")
    for row in rows:
        table.add_row(*(Text(text) for text in row))  # Text: nothing of a peer is read as markup
    Console(file=out).print(table)
