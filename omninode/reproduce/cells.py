"""What a cell of the reproduction is, and what a part of the report looks like.

A side of the reproduction is a module with

    cells(options: Options) -> list[Cell]
    sections(results: Results, plots: Path) -> list[Section]

``sections`` must live with any cell missing from ``results``: it writes ``NOT_RUN`` in its place.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOT_RUN = "not run"
"""What the report says in the place of a cell without a result."""

Run = Callable[[dict[str, Any], Path], dict[str, Any]]
"""A function at the top of a module (it is pickled): a cell's arguments and the data folder give JSON values."""

Results = Mapping[str, dict[str, Any]]
"""By cell name what the cell returned; only of cells that are done and not stale."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.=_-]{0,99}")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. data: the folder.  fingerprint: of the samples in it.  quick: few cells, one seed."""

    data: Path
    fingerprint: str
    quick: bool
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement. name: unique, the stem of its file.  group: what ``--only`` takes, such as "table5" or "gas".

    arguments: JSON values; with function and version they make the digest by which a stored result is known to be
    current, and cells of the same digest are run once.
    cost: seconds it takes on one core, roughly, for the estimate of what is left.  version: a digest of the
    code that it runs (``versions``).  alone: nothing else may run beside it (it measures time, or starts processes).
    Raises ValueError for a name that is no file name.
    """

    name: str
    group: str
    run: Run
    arguments: Mapping[str, Any]
    cost: float
    version: str = ""
    alone: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot be a cell's name")

    @property
    def digest(self) -> str:
        """SHA-256 of function, arguments and version, in hex: cells that have the same compute the same."""
        run = f"{self.run.__module__}.{self.run.__qualname__}"
        known = json.dumps([run, dict(self.arguments), self.version], sort_keys=True, allow_nan=False)
        return hashlib.sha256(known.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report. order: sections are sorted by it.  body: Markdown below the title (## level)

    Plots are PNG files that ``sections`` has written into the folder ``plots``; the body links them as
    ``f"{plots.name}/name.png"``.
    """

    order: int
    title: str
    body: str
