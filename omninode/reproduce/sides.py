"""Both sides of the reproduction, gas and time on a real chain and accuracy, as one."""

from __future__ import annotations

from pathlib import Path

from omninode.reproduce import gas_cells, learning_cells, learning_report
from omninode.reproduce.cells import Cell, Options, Results, Section


def cells(options: Options) -> list[Cell]:
    """Every cell of the run that was asked for."""
    return [*gas_cells.cells(options), *learning_cells.cells(options)]


def sections(results: Results, plots: Path) -> list[Section]:
    """Every section of the report, in its order; plots are written into ``plots``."""
    parts = [*gas_cells.sections(results, plots), *learning_report.sections(results, plots)]
    return sorted(parts, key=lambda part: part.order)
