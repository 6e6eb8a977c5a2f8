"""The gas report's pictures (matplotlib, imported when called)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omninode.reproduce.plots import COLOURS, GRID, INK, MARKS, MUTED


@dataclass(frozen=True, slots=True)
class Curve:
    """A line. style: number of colour and mark; None: the paper's, grey and dashed.  hollow: computed points."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: int | None
    hollow: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """A pair of axes. ticks: of x, which is linear unless ``log_x``; y is logarithmic."""

    title: str
    xlabel: str
    ylabel: str
    curves: Sequence[Curve]
    log_x: bool = False
    marks: Mapping[str, float] | None = None


def panels(path: Path, title: str, drawn: Sequence[Panel]) -> None:
    """Side by side in one PNG. A curve without points is left out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6 if len(drawn) == 1 else 4.8 * len(drawn), 4.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=13)
    for axes, panel in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        _panel(axes, panel)
    figure.savefig(path, format="png")


def _panel(axes: Any, panel: Panel) -> None:
    for curve in panel.curves:
        if curve.x:
            _curve(axes, curve)
    _scale(axes)
    if panel.log_x:
        axes.set_xscale("log")
    else:
        axes.set_xticks(sorted({x for curve in panel.curves for x in curve.x}))
    for text, x in (panel.marks or {}).items():
        axes.axvline(x, color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "right", "va": "top"}
        axes.annotate(text, (x, 0.98), xytext=(-4, 0), color=MUTED, fontsize=8, **place)
    axes.set_title(panel.title, loc="left", color=MUTED, fontsize=10)
    axes.set_xlabel(panel.xlabel, color=MUTED)
    axes.set_ylabel(panel.ylabel, color=MUTED)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0, labelsize=9, which="both")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#d1d5db")
    if shown := sum(bool(curve.x) for curve in panel.curves):
        axes.legend(
            frameon=False,
            labelcolor=INK,
            fontsize=8.5,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            ncols=3 if shown < 4 else 2,
        )


def _scale(axes: Any) -> None:
    """Logarithmic, with enough labels where there are few powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v / 1e6:,g} M" if v >= 1e4 else f"{v:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _curve(axes: Any, curve: Curve) -> None:
    number = 0 if curve.style is None else curve.style
    colour = MUTED if curve.style is None else COLOURS[number % len(COLOURS)]
    dashes = {"linestyle": (0, (4, 3))} if curve.style is None else {}
    mark = {"marker": MARKS[number % len(MARKS)], "markersize": 6, "markeredgecolor": "white"}
    every = list(zip(curve.x, curve.y, strict=True))
    solid = [(x, y) for x, y in every if x not in curve.hollow]
    style = {"color": colour, "linewidth": 1.9, "zorder": 3}
    axes.plot([x for x, _ in solid], [y for _, y in solid], label=curve.label, **style, **mark, **dashes)
    for before, (x, y) in zip(every[:1] + every, every, strict=False):
        if x in curve.hollow:
            axes.plot([before[0], x], [before[1], y], linestyle=(0, (1, 2)), **style)
            axes.plot([x], [y], marker=mark["marker"], markersize=7, color="white", markeredgecolor=colour, zorder=4)
