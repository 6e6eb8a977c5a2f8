"""``python -m omninode.learning.simulate``: what to expect of a run, as a table over seeds."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from omninode.learning import data
from omninode.learning.presets import DIGITS, MNIST, Preset
from omninode.learning.simulate import Options, Plan, Run, draw, pooled_accuracy, simulate

PARTIES, GROUP_SIZE, HOSTILE_SESSION = 12, 3, 2
VARIANTS: dict[str, tuple[Options, bool]] = {
    "float, no clip": (Options(clip=False), False),
    "float, clip at B": (Options(), False),
    "fixed point, clip at B": (Options(integers=True), False),
    "same, hostile session 3": (Options(integers=True), True),
}


def hostile(plans: list[Plan]) -> list[Plan]:
    """The demo's faults: in session 3 one party of group 0 sends random vectors of 10 B, one of group 1 drops out."""
    chosen = plans[HOSTILE_SESSION]
    faults = replace(chosen, hostile=frozenset(chosen.groups[0][:1]), dropped=frozenset(chosen.groups[1][:1]))
    return [*plans[:HOSTILE_SESSION], faults, *plans[HOSTILE_SESSION + 1 :]]


def task(folder: Path | None) -> tuple[Preset, Callable[[int], data.Split]]:
    """The preset and its split by seed: the digits, or MNIST where a folder is given."""
    preset = MNIST if folder else DIGITS
    samples = data.load_idx(folder) if folder else data.load_digits()
    return preset, lambda seed: data.split(samples, seed, preset.owner_samples, preset.party_samples, PARTIES)


def row(name: str, runs: list[Run]) -> list[str]:
    """Cells: mean accuracy after each session, then mean and least of the last, least gain, bound, groups dropped."""
    curve = np.mean([[s.accuracy for s in run.sessions] for run in runs], axis=0)
    final = [run.final for run in runs]
    ratio = np.median([s.bound / np.median(s.norms) for run in runs for s in run.sessions])
    clipped = np.mean([norm > s.bound for run in runs for s in run.sessions for norm in s.norms])
    dropped = sum(GROUP_COUNT - len(s.accepted) for run in runs for s in run.sessions)
    cells = [" ".join(f"{a:.3f}" for a in curve), f"{np.mean(final):.3f}", f"{min(final):.3f}"]
    return [name, *cells, f"{min(run.gain for run in runs):.3f}", f"{ratio:.2f}", f"{clipped:.0%}", str(dropped)]


GROUP_COUNT = PARTIES // GROUP_SIZE
COLUMNS = ("variant", "mean after each session", "last", "least", "least gain", "B / median", "clipped", "dropped")


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m omninode.learning.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=5)
    parser.add_argument("--data", type=Path, metavar="DIR", help="MNIST IDX files instead of the digits")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    preset, split = task(options.data)
    splits = [split(seed) for seed in range(options.seeds)]
    table = Table(*COLUMNS, title=f"{preset.name}: {PARTIES} data owners, {GROUP_COUNT} groups of {GROUP_SIZE}")
    alone: list[float] = []
    for name, (how, attacked) in VARIANTS.items():
        runs = []
        for seed, parts in enumerate(splits):
            plans = draw(PARTIES, GROUP_SIZE, options.sessions, seed)
            plans = hostile(plans) if attacked and len(plans) > HOSTILE_SESSION else plans
            runs.append(simulate(preset, parts, seed, plans, how))
        alone = [run.owner_alone for run in runs]
        table.add_row(*row(name, runs))
    pooled = [pooled_accuracy(preset, parts, seed) for seed, parts in enumerate(splits)]
    console = Console(width=140)
    console.print(table)
    for name, values in (("owner alone", alone), ("all data in one place", pooled)):
        console.print(f"{name}: mean {np.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f}")
