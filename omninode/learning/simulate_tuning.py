"""``python -m omninode.learning.simulate_tuning``: the owner's own rule for the next terms against the published one.

Accuracy after 5 and after 10 sessions, mean and least over seeds, honest and under attack, for every kind of statistic.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from omninode.learning import data, poison
from omninode.learning.presets import DIGITS
from omninode.learning.reference import ROOT_SAMPLES
from omninode.learning.simulate import Options, draw, simulate
from omninode.learning.simulate_table import hostile
from omninode.learning.simulate_verified import Setup, simulate_verified

PARTIES, GROUP_SIZE, SESSIONS, SHORT = 16, 4, 10, 5
ATTACKERS = frozenset(range(4))
STRETCHED = "stretched to B"
"""Honest updates scaled up to the bound, to pump it up."""
ATTACKS = ("", STRETCHED, "random", "sign-flip", "label-flip", "alie", "ipm")
Curve = list[float]


def grouped(seed: int, published: str, attacked: bool) -> Curve:
    """Accuracy after each session; attacked: one random vector of 10 B and one drop-out in session 3."""
    split = data.split(data.load_digits(), seed, DIGITS.owner_samples, DIGITS.party_samples, PARTIES)
    plans = draw(PARTIES, GROUP_SIZE, SESSIONS, seed)
    how = Options(integers=True, published=bool(published))
    run = simulate(DIGITS, split, seed, hostile(plans) if attacked else plans, how)
    return [session.accuracy for session in run.sessions]


def verified(seed: int, published: str, rule: str, attack: str) -> Curve:
    """Accuracy after each session; a quarter of the data owners attack, in the form that the demo knows."""
    samples = DIGITS.owner_samples + ROOT_SAMPLES
    split = data.split(data.load_digits(), seed, samples, DIGITS.party_samples, PARTIES)
    name, form = (attack, None) if attack != STRETCHED else ("scaled", poison.Setting(1, inside=True))
    attackers = ATTACKERS if attack else frozenset()
    setup = Setup(rule, attack=name, form=form, attackers=attackers, published=published)
    return [judged.accuracy for judged in simulate_verified(DIGITS, split, seed, SESSIONS, setup).sessions]


@dataclass(frozen=True, slots=True)
class Case:
    """play: seed and statistic ("": the owner's own rule) -> curve.  kind: what is published."""

    session: str
    attack: str
    kind: str
    play: Callable[[int, str], Curve]


def cases() -> list[Case]:
    """Everything that is compared."""
    grouped_ones = [
        Case("grouped, outlier", name, "distances", partial(grouped, attacked=attacked))
        for name, attacked in (("none", False), ("random, once", True))
    ]
    rules = (("multi-krum", "norms"), ("trust", "scores"), ("trust", "nothing"))
    return grouped_ones + [
        Case(f"verified, {rule}", attack or "none", kind, partial(verified, rule=rule, attack=attack))
        for rule, kind in rules
        for attack in ATTACKS
    ]


def cells(own: list[Curve], published: list[Curve]) -> list[str]:
    """After ``SHORT`` and after all sessions: mean / least of both, and the mean difference with its standard error."""
    columns = []
    for at in (SHORT - 1, SESSIONS - 1):
        a, b = (np.array([curve[at] for curve in curves]) for curves in (own, published))
        error = np.std(b - a, ddof=1) / len(a) ** 0.5 if len(a) > 1 else 0.0
        columns += [f"{x.mean():.3f} / {x.min():.3f}" for x in (a, b)] + [f"{(b - a).mean():+.3f} ± {error:.3f}"]
    return columns


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m omninode.learning.simulate_tuning", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args(arguments).seeds)
    torch.set_num_threads(1)
    heads = [f"{what}, {after}" for after in (SHORT, SESSIONS) for what in ("own", "published", "difference")]
    table = Table("session", "attack", "statistic", *heads, title=f"digits, {len(seeds)} seeds, {PARTIES} data owners")
    for case in cases():
        own, published = ([case.play(seed, used) for seed in seeds] for used in ("", case.kind))
        table.add_row(case.session, case.attack, case.kind, *cells(own, published))
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
