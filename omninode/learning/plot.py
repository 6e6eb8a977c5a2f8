"""The picture of a run: accuracy over sessions between the owner alone and the pooled data.

Imports matplotlib when called (a second of CPU): from a thread or a process of its own, never on the Trio thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

INK, MUTED, LINE, POOLED = "#1f2430", "#6b7280", "#2563eb", "#0f766e"


def accuracy_plot(
    path_png: Path, owner_alone: float, pooled: float, sessions: Sequence[float], title: str = ""
) -> None:
    """Write a PNG. owner_alone, pooled, sessions: accuracies from 0 to 1; an empty run shows the two yardsticks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    values, last = [owner_alone, *sessions], max(1, len(sessions))
    low, high = min([*values, pooled]) - 0.08, max([*values, pooled]) + 0.05
    axes.set(xlim=(-0.03 * last, 1.08 * last), ylim=(max(0.0, low), min(1.0, high)))
    _yardstick(axes, pooled, f"all data in one place  {pooled:.1%}", POOLED, at=0, above=True)
    _yardstick(axes, owner_alone, f"owner alone  {owner_alone:.1%}", MUTED, at=1.07 * last, above=False)
    _curve(axes, values)
    axes.set_title(title or "Accuracy on held-out data after each session", loc="left", color=INK, fontsize=13, pad=10)
    tidy(axes)
    figure.savefig(path_png, format="png")


def _yardstick(axes: Any, level: float, text: str, colour: str, at: float, above: bool) -> None:
    axes.axhline(level, color=colour, linewidth=1.4, linestyle=(0, (5, 4)), zorder=1)
    sign, ha, va = (1, "left", "bottom") if above else (-1, "right", "top")
    offset = {"xytext": (0, 5 * sign), "textcoords": "offset points"}
    axes.annotate(text, (at, level), **offset, ha=ha, va=va, color=colour, fontsize=10)


def _curve(axes: Any, values: Sequence[float]) -> None:
    style = {"color": LINE, "linewidth": 2.4, "marker": "o", "markersize": 7, "markeredgecolor": "white"}
    axes.plot(range(len(values)), values, **style, zorder=3)
    box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    offset = {"xytext": (5, -6), "textcoords": "offset points", "ha": "left", "va": "top"}
    for step, value in list(enumerate(values))[1:]:  # below and right of the point: a rising line passes above
        text = {"color": LINE, "fontsize": 10, "fontweight": "bold"}
        axes.annotate(f"{value:.1%}", (step, value), **offset, **text, bbox=box, zorder=4)


def tidy(axes: Any) -> None:
    """Sessions against accuracy, in the manner of all our pictures."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlabel("sessions", color=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#d1d5db")
