"""The gas and time half of the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omninode.reproduce import gas_method, gas_noise, gas_summary
from omninode.reproduce import gas_paper as paper
from omninode.reproduce import gas_tables as tables
from omninode.reproduce.cells import Results, Section
from omninode.reproduce.gas_growth import Points, growth, krum, points
from omninode.reproduce.gas_plots import Curve, Panel, panels
from omninode.reproduce.gas_shapes import Shape, by_group_size, by_rounds, of_dimensions
from omninode.reproduce.gas_sizes import ITSELF, SESSION, cost, crossing, ratios, refused
from omninode.reproduce.gas_steps import IN_THE_PAPER, Way
from omninode.reproduce.gas_tables import NAMES, of_step, session
from omninode.reproduce.markdown import image
from protocols.onchain.limits import MOST_PARAMETERS


def sections(results: Results, plots: Path) -> list[Section]:
    """Sections 20 and 100 to 199; pictures go into ``plots``."""
    return [
        Section(20, "Gas in short", gas_summary.summary(results, of_dimensions(results))),
        Section(100, "Table 1: time and gas of every step, by rounds", _by_rounds(results, plots)),
        Section(110, "Table 6: time and gas of every step, by data owners in a round", _by_group_size(results, plots)),
        Section(120, "Figures 3 and 6: how gas grows", _growth(results)),
        Section(130, "Gas by the size of the model", _by_dimension(results, plots)),
        Section(140, "Blockchain processing time of a whole session", gas_method.time(results)),
        Section(150, "How gas and time were measured", gas_method.method(results)),
    ]


def _heads(name: str, values: Sequence[int]) -> list[str]:
    return [f"{name} = {value}" for value in values]


def _by_rounds(results: Results, plots: Path) -> str:
    head = _heads("R", paper.ROUNDS)
    name = "figure3.png"
    shapes = by_rounds()
    _steps_plot(results, plots / name, shapes, [s.rounds for s in shapes], "rounds R", paper.TOTAL_BY_ROUNDS_MS)
    return f"""R rounds of {paper.TABLE_1_GROUP_SIZE} data owners, mu = 25 %, {paper.DIMENSION:,} parameters. The \
three ways play one after the other on the same chain, with the same data owners; mode `verified` has no rounds: R N \
data owners, each judged by itself. "on chain" is the paper's contract as built here. For the steps see *How gas and \
time were measured*.

Milliseconds of the chain:

{tables.by_step(results, shapes, head, "ms", tables.printed_by_rounds())}
Million gas (the paper prints none):

{tables.by_step(results, shapes, head, "gas", {})}
{gas_summary.shares(results)}

{tables.rules(results, shapes, head)}
{image(plots, name, "Gas and time of a session by the number of rounds, of the three ways")}"""


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
{image(plots, name, "Gas and time of a session by the size of a round, of the three ways")}"""


def _steps_plot(
    results: Results, path: Path, shapes: Sequence[Shape], x: Sequence[int], xlabel: str, printed: Sequence[float]
) -> None:
    """Gas of the three ways; gas of the baseline's steps; milliseconds of the paper's steps."""
    ways = [(index, way, points(results, shapes, x, way, session("gas"))) for index, way in enumerate(Way)]
    steps = [
        (index, step, points(results, shapes, x, Way.ONCHAIN, of_step("gas", step)))
        for index, step in enumerate(IN_THE_PAPER)
    ]
    times = [(index, way, _times(results, shapes, x, way)) for index, way in enumerate(Way)]
    drawn = [
        Panel(
            "whole session", xlabel, "gas (log scale)",
            [Curve(NAMES[way], at.x, at.y, index) for index, way, at in ways],
        ),
        Panel(
            "on chain, by step", xlabel, "gas (log scale)",
            [Curve(str(step), at.x, at.y, len(Way) + index) for index, step, at in steps],
        ),
        Panel(
            "time of the paper's steps", xlabel, "milliseconds (log scale)",
            [
                Curve(tables.PAPER, [float(value) for value in x], printed, None),
                *(Curve(NAMES[way], at.x, at.y, index) for index, way, at in times),
            ],
        ),
    ]  # fmt: skip
    panels(path, f"Cost of a session by {xlabel}", drawn)


def _times(results: Results, shapes: Sequence[Shape], x: Sequence[int], way: Way) -> Points:
    """Of the paper's steps, where they are above the noise."""
    found = [(float(at), shape.result(results, way)) for at, shape in zip(x, shapes, strict=True)]
    loud = [(at, result) for at, result in found if result and gas_noise.heard(result, IN_THE_PAPER)]
    return Points([at for at, _ in loud], [gas_noise.spent(result, IN_THE_PAPER) for _, result in loud])


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
    return f"""R = {shapes[0].rounds}, N = {shapes[0].group_size}. What is aggregated on the chain grows with the \
model; ours puts only digests and decisions there. Million gas of a whole session:

{ratios(results, shapes, SESSION)}
Per data owner, that is divided by {shapes[0].data_owners}, the ratios are the same. Million gas that a data owner \
pays itself, the mean:

{ratios(results, shapes, ITSELF)}
{told}

{image(plots, name, "Gas of a session by the number of parameters, of the three ways")}"""


def _size_plot(results: Results, path: Path, shapes: Sequence[Shape]) -> None:
    curves = []
    for index, way in enumerate(Way):
        found = [(s.dimension, cost(results, s, way, SESSION)) for s in shapes]
        known = [(float(d), c) for d, c in found if c is not None]
        hollow = [d for d, c in known if not c[1]]
        curves.append(Curve(NAMES[way], [d for d, _ in known], [c[0] for _, c in known], index, hollow))
    marks = {f"the contract holds no more ({MOST_PARAMETERS:,})": float(MOST_PARAMETERS)}
    panel = Panel(
        "hollow, dashed: computed",
        "parameters (log scale)",
        "gas of a session (log scale)",
        curves,
        log_x=True,
        marks=marks,
    )
    panels(path, "Gas of a session by the size of the model", [panel])
