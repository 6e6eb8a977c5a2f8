"""The gas and time half of the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omninode.chain.devchain import GAS_LIMIT
from omninode.reproduce import gas_paper as paper
from omninode.reproduce import gas_tables as tables
from omninode.reproduce.cells import NOT_RUN, Results, Section
from omninode.reproduce.gas_growth import growth, krum, points
from omninode.reproduce.gas_plots import Curve, Panel, panels
from omninode.reproduce.gas_shapes import Shape, by_group_size, by_rounds, of_dimensions
from omninode.reproduce.gas_sizes import BLOCK_S, ITSELF, SESSION, cost, crossing, ratios, refused
from omninode.reproduce.gas_steps import IN_THE_PAPER, Step, Way
from omninode.reproduce.gas_tables import NAMES, in_the_paper, of_step, session
from omninode.reproduce.markdown import image, table
from protocols.onchain.limits import MOST_PARAMETERS


def sections(results: Results, plots: Path) -> list[Section]:
    """Sections 100 to 199; pictures go into ``plots``."""
    return [
        Section(100, "Table 1: time and gas of every step, by rounds", _by_rounds(results, plots)),
        Section(110, "Table 6: time and gas of every step, by data owners in a round", _by_group_size(results, plots)),
        Section(120, "Figures 3 and 6: how gas grows", _growth(results)),
        Section(130, "Gas by the size of the model", _by_dimension(results, plots)),
        Section(140, "Blockchain processing time of a whole session", _time(results)),
        Section(150, "How gas and time were measured", _method()),
    ]


def _heads(name: str, values: Sequence[int]) -> list[str]:
    return [f"{name} = {value}" for value in values]


def _by_rounds(results: Results, plots: Path) -> str:
    head = _heads("R", paper.ROUNDS)
    name = "figure3.png"
    shapes = by_rounds()
    _steps_plot(results, plots / name, shapes, [s.rounds for s in shapes], "rounds R", paper.TOTAL_BY_ROUNDS_MS)
    return f"""R rounds of {paper.TABLE_1_GROUP_SIZE} data owners, mu = 25 %, {paper.DIMENSION:,} parameters. The three \
ways play one after the other on the same chain, with the same data owners; mode `verified` has no rounds: R N data \
owners, each judged by itself. "on chain" is the paper's contract as built here. For the steps see *How gas and time were \
measured*.

Milliseconds of the chain:

{tables.by_step(results, shapes, head, "ms", tables.printed_by_rounds())}
Million gas (the paper prints none):

{tables.by_step(results, shapes, head, "gas", {})}
{tables.rules(results, shapes, head)}
{image(plots, name, "Gas and time of a session by the number of rounds: the baseline far above both of ours")}"""


def _by_group_size(results: Results, plots: Path) -> str:
    head = _heads("N", paper.GROUP_SIZES)
    name = "figure6.png"
    shapes = by_group_size()
    sizes = [s.group_size for s in shapes]
    _steps_plot(results, plots / name, shapes, sizes, "data owners in a round N", paper.TOTAL_BY_GROUP_SIZE_MS)
    return f"""{paper.TABLE_6_ROUNDS} rounds of N data owners, otherwise as above; of the paper's table only its last \
row is known here.

Milliseconds of the chain:

{tables.by_step(results, shapes, head, "ms", tables.printed_by_group_size())}
Million gas:

{tables.by_step(results, shapes, head, "gas", {})}
{tables.rules(results, shapes, head)}
{image(plots, name, "Gas and time of a session by the size of a round: the baseline far above both of ours")}"""


def _steps_plot(
    results: Results, path: Path, shapes: Sequence[Shape], x: Sequence[int], xlabel: str, printed: Sequence[float]
) -> None:
    """Gas of the three ways; gas of the baseline's steps; milliseconds of the paper's steps."""
    ways = [(index, way, points(results, shapes, x, way, session("gas"))) for index, way in enumerate(Way)]
    steps = [
        (index, step, points(results, shapes, x, Way.ONCHAIN, of_step("gas", step)))
        for index, step in enumerate(IN_THE_PAPER)
    ]
    times = [(index, way, points(results, shapes, x, way, in_the_paper("ms"))) for index, way in enumerate(Way)]
    drawn = [
        Panel("whole session", xlabel, "gas", [Curve(NAMES[way], at.x, at.y, index) for index, way, at in ways]),
        Panel("on chain, by step", xlabel, "gas", [Curve(str(step), at.x, at.y, index) for index, step, at in steps]),
        Panel(
            "time of the paper's steps", xlabel, "milliseconds",
            [
                Curve(tables.PAPER, [float(value) for value in x], printed, None),
                *(Curve(NAMES[way], at.x, [max(y, LEAST_MS) for y in at.y], index) for index, way, at in times),
            ],
        ),
    ]  # fmt: skip
    panels(path, f"Cost of a session by {xlabel}", drawn)


LEAST_MS = 0.1
"""What a logarithmic axis shows at least: below it is noise."""


def _growth(results: Results) -> str:
    return f"""The paper draws gas without printing it: linear in R and N, Krum about R^2 and constant in N. Beside it \
what the measured numbers say: constant or linear where they are within a few per cent of it, else the power that fits \
best.

{growth(results)}
{krum(results)}"""


def _by_dimension(results: Results, plots: Path) -> str:
    shapes, name = of_dimensions(results), "gas-by-size.png"
    sentences = list(crossing(results, shapes))
    _size_plot(results, plots / name, shapes)
    told = "\n".join(f"- {sentence}" for sentence in [*sentences, *filter(None, (refused(s, results) for s in shapes))])
    return f"""R = {shapes[0].rounds}, N = {shapes[0].group_size}. What is aggregated on the chain grows with the model; ours \
puts only digests and decisions there. Million gas of a whole session:

{ratios(results, shapes, SESSION)}
Million gas that a data owner pays itself, the mean:

{ratios(results, shapes, ITSELF)}
{told}

{image(plots, name, "Gas of a session by the number of parameters: the baseline rises with it, ours is flat")}"""


def _size_plot(results: Results, path: Path, shapes: Sequence[Shape]) -> None:
    curves = []
    for index, way in enumerate(Way):
        found = [(s.dimension, cost(results, s, way, SESSION)) for s in shapes]
        known = [(float(d), c) for d, c in found if c is not None]
        hollow = [d for d, c in known if not c[1]]
        curves.append(Curve(NAMES[way], [d for d, _ in known], [c[0] for _, c in known], index, hollow))
    marks = {f"the contract holds no more ({MOST_PARAMETERS:,})": float(MOST_PARAMETERS)}
    panel = Panel("hollow: computed", "parameters", "gas of a session", curves, log_x=True, marks=marks)
    panels(path, "Gas of a session by the size of the model", [panel])


def _time(results: Results) -> str:
    shapes = by_rounds()
    largest = next((s for s in reversed(shapes) if s.name in results), shapes[-1])
    rows = [["the paper", _printed_total(largest), f"below {paper.WHOLE_SESSION_MS:g}", "", ""]]
    for way in Way:
        found = largest.result(results, way)
        if found is None:
            rows.append([NAMES[way], *[NOT_RUN] * 4])
            continue
        gas = found["gas"]
        shown = [in_the_paper("ms")(found), session("ms")(found)]
        rows.append([NAMES[way], *map(tables.milliseconds, shown), f"{gas['transactions']:,}", f"{gas['calldata']:,}"])
    head = ["", "the paper's steps, ms", "whole session, ms", "transactions", "bytes of calldata"]
    return f"""R = {largest.rounds}, N = {largest.group_size}, {largest.dimension:,} parameters.

{table(head, rows)}
The paper's milliseconds are of its own machine and chain, which it does not describe; ours are processor time of anvil \
on this one. Compare the ways with each other. On a public chain none of this is what one waits for: there a block comes \
every {BLOCK_S} seconds, and the baseline's uploads alone fill {_blocks(results, largest)} of them."""


def _blocks(results: Results, shape: Shape) -> str:
    """Blocks of the main chain that the baseline's Aggregate step fills."""
    found = shape.result(results, Way.ONCHAIN)
    return NOT_RUN if found is None else f"{of_step('gas', Step.AGGREGATE)(found) / GAS_LIMIT:,.1f}"


def _printed_total(shape: Shape) -> str:
    by = dict(zip(paper.ROUNDS, paper.TOTAL_BY_ROUNDS_MS, strict=True))
    known = shape.group_size == paper.TABLE_1_GROUP_SIZE and shape.rounds in by
    return f"{by[shape.rounds]:g}" if known else ""


def _method() -> str:
    return f"""Real machines, wallets, signatures and contracts on anvil; only the network between the nodes is \
simulated. Every session's sum, selection and pay are checked in plain integers, or there is no result. Gas is what \
receipts say, repayments not subtracted; deploying the contracts, and what provers pay once to enter the registry, are \
not in it.

The time of a block is the chain's processor time for the request that mines it, less that of an empty block, each the \
least of several on the same state; within a block it is split by gas. What is left of noise is some tenths of a \
millisecond per block, of either sign.

Which function counts for which step (`poke`, by which anybody ends a phase that is over, for the step that it ends):

{tables.mapping()}
Two things make the baseline cheaper than the paper's contract, so that the ratios are in its favour: four parameters \
share a storage word, and every chunk is added to its round's sum as it comes instead of being kept. The paper's \
condition m < (1 - 2 mu) R - 2 leaves m below 1 for R = 2, 4, 6; m is here the largest that our contract admits, \
R - floor(mu R) - 2, and the baseline's at least 1. Mode `grouped` takes rule `none` where m-Krum would need more rounds \
or would accept fewer than three data owners. Mode `verified` selects by rule `trust` and pays by contribution, as it \
does unless told otherwise."""
