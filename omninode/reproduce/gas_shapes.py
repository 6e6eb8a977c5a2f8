"""The sizes of sessions that are measured, and where their results are."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from omninode.reproduce import gas_paper as paper
from omninode.reproduce.cells import Results
from omninode.reproduce.gas_steps import Way


@dataclass(frozen=True, order=True)
class Shape:
    """R rounds of N data owners on d parameters."""

    rounds: int
    group_size: int
    dimension: int

    @property
    def name(self) -> str:
        """Of its cell."""
        return f"gas-r{self.rounds}-n{self.group_size}-d{self.dimension}"

    @property
    def data_owners(self) -> int:
        """R N."""
        return self.rounds * self.group_size

    def result(self, results: Results, way: Way) -> dict[str, Any] | None:
        """What this way cost, None where it was not measured."""
        found: dict[str, Any] | None = results.get(self.name, {}).get("ways", {}).get(str(way))
        return found


USUAL = Shape(8, 4, paper.DIMENSION)
"""The paper's defaults."""
DIMENSIONS = (20, 250, 1_000, paper.DIMENSION, 100_000)
"""The first one so that both sides of the place where the baseline begins to cost more are measured."""


def by_rounds() -> list[Shape]:
    """Table 1 and Figure 3."""
    return [Shape(rounds, paper.TABLE_1_GROUP_SIZE, paper.DIMENSION) for rounds in paper.ROUNDS]


def by_group_size() -> list[Shape]:
    """Table 6 and Figure 6."""
    return [Shape(paper.TABLE_6_ROUNDS, size, paper.DIMENSION) for size in paper.GROUP_SIZES]


def by_dimension() -> list[Shape]:
    """Gas by the length of an update."""
    return [replace(USUAL, dimension=dimension) for dimension in DIMENSIONS]


def of_dimensions(results: Results) -> list[Shape]:
    """Sessions that differ in the dimension only: the paper's defaults, or whatever was measured in more than one."""
    known = {(shape.rounds, shape.group_size) for shape in map(_parsed, results) if shape is not None}
    for rounds, size in [(USUAL.rounds, USUAL.group_size), *sorted(known)]:
        shapes = [Shape(rounds, size, dimension) for dimension in DIMENSIONS]
        if sum(shape.result(results, Way.ONCHAIN) is not None for shape in shapes) > 1:
            return shapes
    return by_dimension()


def _parsed(name: str) -> Shape | None:
    found = re.fullmatch(r"gas-r(\d+)-n(\d+)-d(\d+)", name)
    return Shape(*map(int, found.groups())) if found else None
