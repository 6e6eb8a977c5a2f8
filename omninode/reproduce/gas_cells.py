"""The gas and time half of the reproduction: Tables 1 and 6, Figures 3 and 6, and what a larger model costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from contracts import loader
from omninode.reproduce import gas_report, gas_run, versions
from omninode.reproduce.cells import Cell, Options, Results, Section
from omninode.reproduce.gas_shapes import DIMENSIONS, USUAL, Shape, by_dimension, by_group_size, by_rounds
from omninode.reproduce.gas_steps import Way
from protocols.onchain.limits import MOST_PARAMETERS

GROUP = "gas"
TIMES = 7


def shapes(quick: bool) -> list[Shape]:
    """Every session that is measured, once. Quick: two columns of Table 1, the first with a small model too."""
    if quick:
        first, second, *_ = by_rounds()
        return [first, second, replace(first, dimension=DIMENSIONS[1])]
    return list(dict.fromkeys([*by_rounds(), *by_group_size(), *by_dimension()]))


def cell(shape: Shape, version: str) -> Cell:
    """All ways that can carry a model of this size, on one chain."""
    ways = [Way.GROUPED, Way.VERIFIED]  # before the baseline, whose megabytes of state make every block dearer to time
    ways += [Way.ONCHAIN] if shape.dimension <= MOST_PARAMETERS else []
    arguments = {
        "rounds": shape.rounds, "group_size": shape.group_size, "dimension": shape.dimension,
        "ways": [str(way) for way in ways], "times": TIMES,
    }  # fmt: skip
    cost = 12 + shape.data_owners * (0.2 + min(shape.dimension, MOST_PARAMETERS) / 10_000)
    return Cell(shape.name, GROUP, gas_run.measure, arguments, cost, version, alone=True)


def cells(options: Options) -> list[Cell]:
    """What is to be measured."""
    artifacts = sorted((loader.ROOT / "artifacts").glob("*.json"))
    version = versions.of_modules(gas_run.__name__, ("omninode.reproduce", "protocols"), artifacts)
    return [cell(shape, version) for shape in shapes(options.quick)]


def sections(results: Results, plots: Path) -> list[Section]:
    """Sections 100 to 199 of the report, with their pictures."""
    return gas_report.sections(results, plots)


__all__ = ["DIMENSIONS", "GROUP", "USUAL", "cells", "sections", "shapes"]
