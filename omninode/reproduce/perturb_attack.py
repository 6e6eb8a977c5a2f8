"""One liar among sixteen on a perturbed model: ``python -m omninode.reproduce.perturb_attack [--out FILE.png]``.

Every lie is inside the length of the liar's honest vectors, so no bound that honest data owners meet can refuse it.
Prints the table of docs/perturbation.md and draws its figure; about two minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from omninode.learning import data
from omninode.learning.data import Split
from omninode.learning.plot import INK, LINE, MUTED, POOLED, tidy
from omninode.learning.presets import DIGITS
from omninode.learning.simulate_perturb import LIES, SHORT_LIES, perturbed, plain

PARTIES = 16
GOAL = 0.9
_RED, _ORANGE = "#b91c1c", "#d97706"
Curves = list[list[float]]
"""Accuracy before the first and after each session, one list for each seed."""
Run = Callable[[Split, int], list[float]]

HONEST = "perturbed, nobody lies"
PLAIN = "not perturbed, one random gradient"


def runs(sessions: int) -> dict[str, Run]:
    """What is compared, by the name in the table."""
    made: dict[str, Run] = {
        HONEST: lambda split, seed: perturbed(DIGITS, split, seed, sessions),
        PLAIN: lambda split, seed: plain(DIGITS, split, seed, sessions, lie=True),
    }
    for name, lie in {**LIES, **SHORT_LIES}.items():
        made[name] = lambda split, seed, lie=lie: perturbed(DIGITS, split, seed, sessions, lie)  # type: ignore[misc]
    return made


def measure(sessions: int, seeds: int) -> dict[str, Curves]:
    """All runs over seeds 0, 1, .."""
    samples = data.load_digits()
    splits = [data.split(samples, seed, parties=PARTIES) for seed in range(seeds)]
    return {name: [run(split, seed) for seed, split in enumerate(splits)] for name, run in runs(sessions).items()}


def table(found: Mapping[str, Curves]) -> Table:
    """Accuracy alone, after one, ten and all sessions (means), the least and the most, and how soon GOAL is met."""
    made = Table("what party 0 does", "alone", "after 1", "after 10", "last", "least", "most", f"{GOAL:.0%} at")
    for name, curves in found.items():
        means = np.mean(curves, axis=0)
        last = [curve[-1] for curve in curves]
        cells = [means[0], means[1], means[min(10, len(means) - 1)], means[-1], min(last), max(last)]
        reached = np.flatnonzero(means >= GOAL)
        made.add_row(name, *(f"{cell:.1%}" for cell in cells), str(reached[0]) if len(reached) else "never")
    return made


def draw(path_png: Path, found: Mapping[str, Curves]) -> None:
    """Write the picture: means, and all single runs of the lies of honest length."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, colour, label in (
        (HONEST, LINE, "perturbed, nobody lies"),
        (PLAIN, POOLED, "not perturbed, 1 liar of 16"),
        ("random, a hundredth as long", MUTED, "perturbed, 1 liar of 16, a hundredth of the honest length"),
        ("random, a tenth as long", _ORANGE, "perturbed, 1 liar of 16, a tenth of the honest length"),
    ):
        axes.plot(np.mean(found[name], axis=0), color=colour, linewidth=2.0, label=label)
    lies = [curve for name in LIES for curve in found[name]]
    for index, curve in enumerate(lies):
        text = f"perturbed, 1 liar of 16 inside the honest length ({len(lies)} runs)" if index == 0 else None
        axes.plot(curve, color=_RED, linewidth=1.2, alpha=0.8, label=text)
    axes.set(ylim=(0, 1), xlim=(-2, len(lies[0]) + 1))
    axes.set_title("A bound on perturbed vectors is no defence", loc="left", color=INK, fontsize=13, pad=10)
    tidy(axes)
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.32), frameon=False, fontsize=9, labelcolor=INK)
    figure.savefig(path_png, format="png")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m omninode.reproduce.perturb_attack", description=__doc__)
    parser.add_argument("--sessions", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("docs/perturb_attack.png"))
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = measure(chosen.sessions, chosen.seeds)
    Console(width=110).print(table(found))
    draw(chosen.out, found)


if __name__ == "__main__":
    main()
