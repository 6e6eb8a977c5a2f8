"""Cells that cost nothing, for tests of the store and the pool: their functions must be importable by a worker."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from omninode.reproduce.cells import Cell, Run


def square(arguments: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Leaves a trace in the folder each time it runs."""
    trace = folder / f"ran-{arguments['x']}"
    trace.write_text(f"{int(trace.read_text()) + 1}" if trace.exists() else "1")
    return {"square": arguments["x"] ** 2}


def fails(arguments: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A cell that is broken."""
    raise RuntimeError(f"broken at {arguments['x']}")


def dies(arguments: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A cell whose process is gone, as when memory runs out."""
    os._exit(9)


def sleeps(arguments: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A cell that takes long, and leaves its process number."""
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(60)
    return {}


def make(x: int, run: Run = square, version: str = "", alone: bool = False, name: str = "") -> Cell:
    """A cell of x."""
    return Cell(name or f"cell-{x}", "odd" if x % 2 else "even", run, {"x": x}, 1.0, version, alone)
