"""Gas by the length of an update: the three ways as ratios, where they cross, and what cannot be run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import mean

from omninode.chain.devchain import GAS_LIMIT
from omninode.reproduce.cells import NOT_RUN, Results
from omninode.reproduce.gas_growth import by_size
from omninode.reproduce.gas_shapes import Shape
from omninode.reproduce.gas_steps import Way
from omninode.reproduce.gas_tables import NAMES, million
from omninode.reproduce.markdown import table
from protocols.onchain.limits import MOST_PARAMETERS, misfit, session_gas

UPLOAD_BLOCKS = 200
"""A window for uploads; more hours than a session should take on the main chain, a block each 12 s."""
BLOCK_S = 12
SAME = 0.01
"""Largest relative difference that may be called none."""
SESSION, ITSELF = "session", "data_owner"


def cost(results: Results, shape: Shape, way: Way, what: str) -> tuple[float, bool] | None:
    """Gas of the session, or what a data owner pays itself; and whether it was measured. None: neither nor.

    The baseline's is computed where it does not fit on the chain: for the session straight on from the two largest
    sizes that were measured, for a data owner its share of that by the refusal's own formula.
    """
    result = shape.result(results, way)
    if result is not None:
        return float(result["gas"][what]), True
    fitted = by_size(results, [replace(shape, dimension=d) for d in measured_sizes(results, shape)])
    if way != Way.ONCHAIN or shape.dimension <= MOST_PARAMETERS or fitted is None:
        return None
    formula = session_gas(shape.dimension, shape.rounds, shape.group_size)
    share = 1.0 if what == SESSION else formula.data_owner / formula.total
    return fitted.at(shape.dimension) * share, False


def measured_sizes(results: Results, shape: Shape) -> list[int]:
    """Dimensions in which the baseline was run with these R and N."""
    prefix = f"gas-r{shape.rounds}-n{shape.group_size}-d"
    sizes = sorted(int(name.removeprefix(prefix)) for name in results if name.startswith(prefix))
    return [d for d in sizes if replace(shape, dimension=d).result(results, Way.ONCHAIN) is not None]


def ratios(results: Results, shapes: Sequence[Shape], what: str) -> str:
    """A table by dimension."""
    ours = (Way.GROUPED, Way.VERIFIED)
    rows = []
    for shape in shapes:
        costs = {way: cost(results, shape, way, what) for way in Way}
        base = costs[Way.ONCHAIN]
        cells = [_shown(costs[way]) for way in Way]
        cells += [shown_ratio(base, costs[way]) for way in ours]
        rows.append([f"{shape.dimension:,}", *cells])
    head = ["parameters", *(NAMES[way] for way in Way), *(f"on chain / {NAMES[way]}" for way in ours)]
    return table(head, rows)


def _shown(found: tuple[float, bool] | None) -> str:
    if found is None:
        return NOT_RUN
    return million(found[0]) + ("" if found[1] else " (computed)")


def shown_ratio(base: tuple[float, bool] | None, ours: tuple[float, bool] | None) -> str:
    """On chain over ours, three digits."""
    if base is None or ours is None:
        return NOT_RUN
    ratio = base[0] / ours[0]
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def crossing(results: Results, shapes: Sequence[Shape]) -> Iterator[str]:
    """Sentences: from which dimension on the baseline costs more than each of ours."""
    fitted = by_size(results, shapes)
    for way in (Way.GROUPED, Way.VERIFIED):
        found = [result for shape in shapes if (result := shape.result(results, way)) is not None]
        if fitted is None or not found:
            continue
        sizes = [float(result["gas"]["session"]) for result in found]
        spread = (max(sizes) - min(sizes)) / mean(sizes)
        at = fitted.reaches(mean(sizes))
        yield (
            f"Mode {way} {'costs the same at every size' if spread < SAME else 'depends on the size'} (between the"
            f" least and the most: {spread:.2%})"
            + (f"; the baseline costs more than it from about {at:,.0f} parameters on, and less below." if at else ".")
        )


def refused(shape: Shape, results: Results) -> str:
    """Why the baseline cannot carry the model, and how well what is computed agrees with what was measured."""
    why = misfit(shape.dimension, shape.rounds, shape.group_size, UPLOAD_BLOCKS, GAS_LIMIT)
    known = by_size(results, [replace(shape, dimension=d) for d in measured_sizes(results, shape)])
    if not why or known is None:
        return ""
    gas = known.at(shape.dimension)
    blocks = math.ceil(gas / GAS_LIMIT)
    return (
        f"At {shape.dimension:,} parameters the baseline refuses: *{why}.* Computed here, straight on from the two "
        f"largest sizes that were run: {million(gas)} million gas. That is {blocks:,} full blocks of {GAS_LIMIT:,} gas "
        f"with nothing else in them: {blocks * BLOCK_S / 60:,.0f} minutes of the whole main chain."
    )
