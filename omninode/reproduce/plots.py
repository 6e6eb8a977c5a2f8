"""The report's pictures of learning runs (matplotlib, imported when called)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

INK, MUTED, GRID = "#1f2430", "#6b7280", "#e5e7eb"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#1f2430")
"""Okabe and Ito's, which colour-blind readers can tell apart."""
MARKS = ("o", "s", "^", "D", "v", "P", "X")
LINEAR = True
"""Of an x axis whose ticks lie where their values are."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of points. xs, ys: as many; each y the values of all seeds.  paper: drawn dashed and grey."""

    label: str
    xs: Sequence[float]
    ys: Sequence[Sequence[float]]
    paper: bool = False


def lines(
    path: Path,
    title: str,
    xlabel: str,
    panels: Mapping[str, Sequence[Line]],
    ticks: Sequence[float] | None = None,
    linear: bool = False,
) -> None:
    """Accuracy (0 to 1) over something: means as lines, ranges over seeds as bands. panels: side by side, by title.

    ticks: values named on the x axis, which is logarithmic unless ``linear``; None: any, on a linear axis.
    """
    figure, every = _figure(title, len(panels))
    for axes, (name, drawn) in zip(every, panels.items(), strict=True):
        for index, line in enumerate(drawn):
            _line(axes, line, index, 0.16 if len(drawn) < 4 else 0.09)
        _axes(axes, name, xlabel)
        if ticks is not None:
            if not linear:
                axes.set_xscale("log")
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.set_xticks([], minor=True)
    _finish(figure, every, path)


def dots(path: Path, title: str, panels: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> None:
    """Accuracy (0 to 1) by panel, by place on the x axis, by mark: means, with ranges over seeds as whiskers."""
    figure, every = _figure(title, len(panels))
    labels = list(dict.fromkeys(label for groups in panels.values() for group in groups.values() for label in group))
    for axes, (name, groups) in zip(every, panels.items(), strict=True):
        for index, label in enumerate(labels):
            shift = 0.14 * (index - (len(labels) - 1) / 2)
            here = [(at + shift, group[label]) for at, group in enumerate(groups.values()) if group.get(label)]
            _dots(axes, label, index, here)
        _axes(axes, name, "")
        axes.set_xlim(-0.5, len(groups) - 0.5)
        axes.set_xticks(range(len(groups)), list(groups), color=INK)
    _finish(figure, every, path)


def _figure(title: str, panels: int) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8 if panels == 1 else 5.2 * panels + 1, 4.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=13)
    return figure, list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])


def _line(axes: Any, line: Line, index: int, alpha: float) -> None:
    """alpha: of the band."""
    xs = list(line.xs)
    colour = MUTED if line.paper else COLOURS[index % len(COLOURS)]
    style = {"linestyle": (0, (4, 3))} if line.paper else {}
    mark = {"marker": MARKS[index % len(MARKS)], "markersize": 5, "markeredgecolor": "white"}
    axes.plot(xs, [mean(y) for y in line.ys], color=colour, linewidth=1.8, label=line.label, **mark, **style)
    if any(len(y) > 1 for y in line.ys):
        low, high = [min(y) for y in line.ys], [max(y) for y in line.ys]
        axes.fill_between(xs, low, high, color=colour, alpha=alpha, linewidth=0)


def _dots(axes: Any, label: str, index: int, here: Sequence[tuple[float, Sequence[float]]]) -> None:
    middle = [mean(values) for _, values in here]
    below = [m - min(values) for m, (_, values) in zip(middle, here, strict=True)]
    above = [max(values) - m for m, (_, values) in zip(middle, here, strict=True)]
    style = {"color": COLOURS[index % len(COLOURS)], "fmt": MARKS[index % len(MARKS)], "markersize": 5.5}
    axes.errorbar([at for at, _ in here], middle, yerr=[below, above], label=label, elinewidth=1.2, **style)


def _finish(figure: Any, every: Sequence[Any], path: Path) -> None:
    every[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, labelcolor=INK, fontsize=9)
    every[0].set_ylabel("accuracy on held-out data", color=MUTED)
    figure.savefig(path, format="png")


def _axes(axes: Any, title: str, xlabel: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_title(title, loc="left", color=MUTED, fontsize=10)
    axes.set_xlabel(xlabel, color=MUTED)
    axes.yaxis.set_major_locator(MaxNLocator(steps=(1, 2, 5, 10), nbins=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0, labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#d1d5db")
