"""Mode ``verified`` under attack: accuracy of sessions on the digits, and the money that one hand can take.

Simulated sessions (``omninode.learning.simulate_verified``, ``simulate_pay``); docs/contribution.md prints the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import torch

from omninode.learning import data, poison
from omninode.learning.presets import DIGITS
from omninode.learning.reference import ROOT_SAMPLES
from omninode.learning.simulate_pay import STRATEGIES, PayGame, taken, taken_equal
from omninode.learning.simulate_verified import Setup, VerifiedRun, simulate_verified
from tests.benchmarks.rows import Row, against_aim, row

SEEDS, SESSIONS, PARTIES = (0, 1, 2), 10, 16
ATTACKERS = frozenset(range(4))
HONEST = 12
CAPS = (Fraction(1), Fraction(1, 4), Fraction(1, 8), Fraction(1, 16))
NEED_SEVERAL = ("copies, cos .98", "copies, cos .88", "scaled to B, cos .88", "retrained", "data dealt out")
CONTROLS = {"sign-flip": "sign flip x10 without defence", "label-flip": "label flip x10 without defence"}


def deal(samples: data.Samples, seed: int, parties: int) -> data.Split:
    """The owner gets its root set on top of what it trains on."""
    return data.split(samples, seed, DIGITS.owner_samples + ROOT_SAMPLES, DIGITS.party_samples, parties)


def attacked(samples: data.Samples, setup: Setup) -> list[VerifiedRun]:
    """One run per seed."""
    return [simulate_verified(DIGITS, deal(samples, s, PARTIES), s, SESSIONS, setup) for s in SEEDS]


def accuracies(samples: data.Samples) -> Iterator[Row]:
    """Least accuracy over the seeds: no attack, every form of every attack, and the controls without any defence."""
    forms: list[tuple[str, poison.Setting | None]] = [("", None), *poison.forms()]
    for name, form in forms:
        runs = attacked(samples, Setup(attack=name, form=form, attackers=ATTACKERS if name else frozenset()))
        says = {"attack": name or "none"} | ({"x": form.factor, "inside": form.inside} if form else {})
        yield against_aim("verified sessions, accuracy", says | _accepted(runs), _least(runs), "share")
    for name, title in CONTROLS.items():
        setup = Setup("none", False, attack=name, form=poison.Setting(10), attackers=ATTACKERS)
        worst = max(run.final for run in attacked(samples, setup))
        yield against_aim(title, {"seeds": len(SEEDS), "sessions": SESSIONS}, worst, "share")


def _least(runs: list[VerifiedRun]) -> float:
    return min(run.final for run in runs)


def _accepted(runs: list[VerifiedRun]) -> dict[str, Any]:
    """Mean accuracy, and how many honest and hostile updates a session summed."""
    sets = [set(judged.accepted) for run in runs for judged in run.sessions]
    means = {
        "honest": np.mean([len(s - ATTACKERS) for s in sets]),
        "hostile": np.mean([len(s & ATTACKERS) for s in sets]),
    }
    return {"mean": round(float(np.mean([run.final for run in runs])), 3)} | {
        k: round(float(v), 1) for k, v in means.items()
    }


def money(samples: data.Samples, rule: str) -> Iterator[Row]:
    """What one hand with one of 13 data sets takes of all that is paid: mean of the seeds, against one thirteenth.

    rule: "trust", where distances are closed and the copy rule does not exist, or one that opens them.
    """
    for identities, name in product((1, 4), STRATEGIES):
        if identities == 1 and name in NEED_SEVERAL:
            continue
        runs = []
        for seed in SEEDS:
            dealt = deal(samples, seed, HONEST + 1)
            runs.append(PayGame(DIGITS, dealt, seed, Setup(rule), STRATEGIES[name], identities).run(SESSIONS))
        says = {"hand": name, "identities": identities, "rule": rule, "accuracy": round(_least(runs), 3)}
        equal = [taken_equal(run.sessions, HONEST, HONEST + identities, rule == "trust") for run in runs]
        yield _share("taken, equal pay", says, equal)
        for cap in CAPS:
            parts = [taken(run.sessions, HONEST, cap, copy_rule=rule != "trust") for run in runs]
            yield _share("taken, pay by contribution", says | {"cap": f"{cap} B^2"}, parts)


def _share(name: str, says: dict[str, Any], parts: list[float]) -> Row:
    return row(name, says | {"most": round(max(parts), 3)}, float(np.mean(parts)), 1 / (HONEST + 1), "share")


def run() -> list[Row]:
    """Rows for ``make bench``."""
    torch.set_num_threads(1)
    samples = data.load_digits()
    return [*accuracies(samples), *money(samples, "trust"), *money(samples, "outlier")]
