"""The learning experiments as cells: every table and figure of the paper that is about accuracy, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from omninode.learning.split import Deal
from omninode.reproduce import learning_run, versions
from omninode.reproduce.cells import Cell, Options
from omninode.reproduce.setting import NOISE, READINGS, RULES, Setting

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
ATTACKED = replace(FLOOR, rule="multi-krum", mu_bps=5000, attack=NOISE, factor=1.0, rate=0.08)
FLOORS = {
    "honest": FLOOR,
    "honest-bound": replace(FLOOR, bounded=True),
    "attacked": ATTACKED,
    "attacked-bound": replace(ATTACKED, bounded=True),
}
"""What has floors, by label."""


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
    version = versions.of_modules(learning_run.__name__, ("omninode", "protocols"))
    return [_cell(entry, seed, options, version) for entry in entries for seed in options.seeds]


def _cell(entry: Entry, seed: int, options: Options, version: str) -> Cell:
    setting = entry.setting
    if options.quick and entry.group != "floors":
        setting = replace(setting, sessions=min(5, setting.sessions))
    drawn = setting.owners * setting.share * setting.epochs / 64
    arguments = {"setting": setting.encode(), "seed": seed, "data": options.fingerprint}
    cost = 0.5 + setting.sessions * (0.1 + SESSION_SECONDS * (drawn if setting.public else 0))
    return Cell(entry.name(seed), entry.group, learning_run.run, arguments, cost, version)


def everything() -> Iterator[Entry]:
    """Every experiment of the full run, what matters most first."""
    yield from (Entry("floors", label, setting) for label, setting in FLOORS.items())
    yield from (Entry("table3", f"pl{count}", Setting(public=count)) for count in range(5))
    yield Entry("table3", "pl3-bound", Setting(bounded=True))
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
            honest = Setting(rule=rule, deal=how, bounded=True, sessions=10)
            yield Entry("noniid", f"{name}-{rule}-honest", honest)
            hostile = replace(honest, attack="sign-flip", inside=True, rate=0.2)
            yield Entry("noniid", f"{name}-{rule}-attacked", hostile)


QUICK = {
    ("table3", "pl1"), ("table3", "pl3"), ("table3", "pl3-bound"), ("figure4", "owners16"), ("figure4", "owners64"),
    ("table4", "20-1-1"),
    ("table4", "20-2-2"), ("table5", "multi-krum-mu25-rate08"), ("table5", "multi-krum-mu50-rate08"),
    ("readings", "stateless"), ("readings", "own"), ("floors", "honest"), ("floors", "attacked"),
    ("noniid", "dirichlet0.1-none-honest"), ("noniid", "dirichlet0.1-trust-attacked"),
}  # fmt: skip
"""Group and label of what the quick run does."""
