"""How gas grows with R, N and d: fits through what was measured, in words that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from omninode.reproduce.cells import NOT_RUN, Results
from omninode.reproduce.gas_fit import Polyline, exponent, line
from omninode.reproduce.gas_shapes import Shape, by_group_size, by_rounds
from omninode.reproduce.gas_steps import IN_THE_PAPER, Step, Way
from omninode.reproduce.gas_tables import NAMES, Pick, of_step, session
from omninode.reproduce.markdown import table

CONSTANT, STRAIGHT = 0.05, 0.03
"""Largest relative deviation from a constant, and from a straight line, that may be called so."""
LEAST_POINTS = 3
DRAWN = {
    Step.REGISTER: ("linear", "linear"), Step.KEYS: ("linear", "linear"), Step.AGGREGATE: ("linear", "linear"),
    Step.OUTLIER: ("~ R^2", "constant"),
}  # fmt: skip
"""What the paper's Figures 3 and 6 show, by R and by N."""


@dataclass(frozen=True)
class Points:
    """What was measured. x: R, N or d.  y: gas."""

    x: list[float]
    y: list[float]


def points(results: Results, shapes: Sequence[Shape], x: Sequence[float], way: Way, pick: Pick) -> Points:
    """Only of cells that were run."""
    found = [(at, shape.result(results, way)) for at, shape in zip(x, shapes, strict=True)]
    known = [(float(at), pick(result)) for at, result in found if result is not None]
    return Points([at for at, _ in known], [value for _, value in known])


def word(of: Points) -> str:
    """ "constant", "linear" or a power, with how well it fits."""
    if len(of.x) < LEAST_POINTS or min(of.y) <= 0:
        return NOT_RUN
    middle = sum(of.y) / len(of.y)
    off = max(abs(value / middle - 1) for value in of.y)
    if off <= CONSTANT:
        return f"constant (within {off:.1%})"
    straight = line(of.x, of.y)
    if straight.worst <= STRAIGHT:
        return f"linear (within {straight.worst:.1%})"
    return f"power {exponent(of.x, of.y):.2f}"


def growth(results: Results) -> str:
    """A table: what grows how, by R and by N, beside the paper's figures."""
    sides = [(by_rounds(), [s.rounds for s in by_rounds()]), (by_group_size(), [s.group_size for s in by_group_size()])]

    def words(way: Way, pick: Pick) -> list[str]:
        return [word(points(results, shapes, x, way, pick)) for shapes, x in sides]

    rows = []
    for step in IN_THE_PAPER:
        here = words(Way.ONCHAIN, of_step("gas", step))
        rows.append([f"{step}, on chain", DRAWN[step][0], here[0], DRAWN[step][1], here[1]])
    for way in Way:
        here = words(way, session("gas"))
        rows.append([f"whole session, {NAMES[way]}", "", here[0], "", here[1]])
    return table(["gas of", "paper, by R", "here, by R", "paper, by N", "here, by N"], rows)


def krum(results: Results) -> str:
    """A sentence on the part of the baseline's Outlier step that grows with R^2; "" with too few points."""
    of = points(results, by_rounds(), [s.rounds for s in by_rounds()], Way.ONCHAIN, of_step("gas", Step.OUTLIER))
    if len(of.x) < LEAST_POINTS:
        return ""
    square, slope, base = np.polyfit(of.x, of.y, 2)
    last = of.x[-1]
    share = square * last**2 / of.y[-1]
    return (
        f"The baseline's Outlier step is {base / 1e6:.2f} + {slope / 1e6:.2f} R + {square / 1e6:.3f} R^2 million gas "
        f"(a parabola through the points): at R = {last:g} the squared part, comparing pairs, is {share:.0%} of it, "
        f"the linear one, reading R sums from storage, {slope * last / of.y[-1]:.0%}. The step goes as R^2 only where "
        "that part is most of it."
        + (" Comparing is cheap here: two words that were read once give four differences." if share < 0.5 else "")
    )


def by_size(results: Results, shapes: Sequence[Shape]) -> Polyline | None:
    """The baseline's gas by d, through where it was measured; None with too few points."""
    of = points(results, shapes, [shape.dimension for shape in shapes], Way.ONCHAIN, session("gas"))
    return Polyline(tuple(of.x), tuple(of.y)) if len(of.x) > 1 else None
