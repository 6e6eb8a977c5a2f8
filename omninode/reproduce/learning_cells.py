"""The learning experiments as cells: every table and figure of the paper that is about accuracy, and what it lacks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from omninode.learning import data
from omninode.learning.split import Deal, deal
from omninode.reproduce.cells import Cell, Options
from omninode.reproduce.setting import HELD_OUT, NOISE, OWNER_SAMPLES, PARTY_SAMPLES, READINGS, ROOT, RULES, Setting

VERSION = 1
"""Of everything that a learning cell computes."""
SESSION_SECONDS = 0.55  # 32 data owners, two epochs, on one core
RATES = (2, 4, 6, 8, 12, 16)
MUS = (2500, 5000)
DEALS = {
    "iid": Deal(),
    "dirichlet0.5": Deal("dirichlet", 0.5),
    "dirichlet0.1": Deal("dirichlet", 0.1),
    "labels2": Deal("labels", 2),
    "sizes": Deal("sizes"),
}
FLOOR = Setting(epochs=5, sessions=10)
ATTACKED = replace(FLOOR, rule="multi-krum", mu_bps=5000, bounded=False, attack=NOISE, factor=1.0, rate=0.08)


@dataclass(frozen=True, slots=True)
class Entry:
    """An experiment of some group: one cell per seed. label: unique in the group."""

    group: str
    label: str
    setting: Setting

    def name(self, seed: int) -> str:
        """Of the cell."""
        return f"{self.group}-{self.label}-s{seed}"


def cells(options: Options) -> list[Cell]:
    """All learning cells, or the few of the quick run."""
    entries = [entry for entry in everything() if not options.quick or (entry.group, entry.label) in QUICK]
    return [_cell(entry, seed, options) for entry in entries for seed in options.seeds]


def _cell(entry: Entry, seed: int, options: Options) -> Cell:
    setting = entry.setting
    if options.quick and entry.group != "floors":
        setting = replace(setting, sessions=min(5, setting.sessions))
    drawn = setting.owners * setting.share * setting.epochs / 64
    arguments = {"setting": setting.encode(), "seed": seed, "data": options.fingerprint}
    cost = 0.5 + setting.sessions * (0.1 + SESSION_SECONDS * (drawn if setting.public else 0))
    return Cell(entry.name(seed), entry.group, run, arguments, cost, VERSION)


def everything() -> Iterator[Entry]:
    """Every experiment of the full run, what matters most first."""
    yield Entry("floors", "honest", FLOOR)
    yield Entry("floors", "attacked", ATTACKED)
    yield Entry("floors", "bounded", replace(ATTACKED, bounded=True))
    yield from (Entry("table3", f"pl{count}", Setting(public=count)) for count in range(5))
    for reading in READINGS:
        yield Entry("readings", reading, Setting(reading=reading))
    yield Entry("readings", "whole", Setting(public=5))
    yield from (Entry("figure4", f"owners{count}", Setting(owners=count)) for count in (8, 16, 32, 64, 128))
    yield from _byzantine()
    for before, epochs in product((20, 40, 80), (1, 2)):
        for adapt in (1, 2, 4):
            changed = Setting(pre_epochs=before, epochs=epochs, adapt_epochs=adapt)
            yield Entry("table4", f"{before}-{epochs}-{adapt}", changed)
    yield from _unlike()


def _byzantine() -> Iterator[Entry]:
    """Table 5 under three regimes: no bound as in the paper, with the standard rule and its own, and with our bound."""
    base = Setting(attack=NOISE, factor=1.0)
    for mu in MUS:
        for rate in RATES:
            for label, rule, bounded in REGIMES:
                changed = replace(base, mu_bps=mu, rate=rate / 100, rule=rule, bounded=bounded)
                yield Entry("table5", f"{label}-mu{mu // 100}-rate{rate:02}", changed)


REGIMES = (("multi-krum", "multi-krum", False), ("m-krum", "m-krum", False), ("bound", "multi-krum", True))


def _unlike() -> Iterator[Entry]:
    """Data owners that are not alike, under every rule, among themselves and with a fifth of sign flippers."""
    for name, how in DEALS.items():
        for rule in RULES:
            honest = Setting(rule=rule, deal=how, sessions=10)
            yield Entry("noniid", f"{name}-{rule}-honest", honest)
            hostile = replace(honest, attack="sign-flip", inside=True, rate=0.2)
            yield Entry("noniid", f"{name}-{rule}-attacked", hostile)


QUICK = {
    ("table3", "pl1"), ("table3", "pl3"), ("figure4", "owners16"), ("figure4", "owners64"), ("table4", "20-1-1"),
    ("table4", "20-2-2"), ("table5", "multi-krum-mu25-rate08"), ("table5", "multi-krum-mu50-rate08"),
    ("readings", "stateless"), ("readings", "own"), ("floors", "honest"), ("floors", "attacked"),
    ("noniid", "dirichlet0.1-none-honest"), ("noniid", "dirichlet0.1-trust-attacked"),
}  # fmt: skip
"""Group and label of what the quick run does."""


def run(arguments: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The function behind every learning cell. arguments: "setting" and "seed"; folder: the data."""
    import torch

    from omninode.reproduce.market import play

    torch.set_num_threads(1)  # so small tensors only lose by threads
    setting, seed = Setting.decode(arguments["setting"]), int(arguments["seed"])
    everybody = samples(folder)
    return {"images": len(everybody)} | play(setting, dealt(everybody, setting, seed), seed)


def dealt(everybody: data.Samples, setting: Setting, seed: int) -> data.Split:
    """The data of one run; the owner has ROOT samples more where it needs a root set."""
    owner = OWNER_SAMPLES + (ROOT if setting.rule == "trust" else 0)
    return deal(everybody, seed, setting.deal, owner, PARTY_SAMPLES, setting.owners, HELD_OUT)


@lru_cache(maxsize=1)
def samples(folder: Path) -> data.Samples:
    """The data set in a folder, read once per process. Raises DataError."""
    return data.load_idx(folder)


def fingerprint(everybody: data.Samples) -> str:
    """SHA-256 of a data set, in hex: results of other data are stale."""
    digest = hashlib.sha256(everybody.x.tobytes())
    digest.update(everybody.y.tobytes())
    return digest.hexdigest()
