"""What must hold for learning, judged from what was run, and the lines that say most."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import Any

from omninode.reproduce import paper
from omninode.reproduce.cells import NOT_RUN, Results, Section
from omninode.reproduce.gather import alone, bad_kept, finals, gains, lengths, seeds
from omninode.reproduce.learning_cells import ATTACKED
from omninode.reproduce.markdown import percent, table

EACH, MEAN, GAIN = 0.69, 0.74, 0.08
"""Floors: of every seed, of their mean, of what each seed has more than its owner alone after as many own epochs."""
WHAT = {
    "honest": "honest data owners, rule none, no bound",
    "honest-bound": "the same with our bound",
    "attacked": "8 % send random vectors, rule multi-Krum with mu = .5, no bound",
    "attacked-bound": "the same with our bound",
}
"""By label of the cells in group "floors"."""
Runs = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Check:
    """One floor. holds: None where nothing was run, or nothing that it is about happened."""

    what: str
    floor: str
    measured: str
    holds: bool | None
    seeds: int

    @property
    def verdict(self) -> str:
        """In words."""
        if self.holds is None:
            return "nothing to judge" if self.seeds else NOT_RUN
        return f"{'pass' if self.holds else '**FAIL**'} ({self.seeds} seed{'s' if self.seeds != 1 else ''})"


def checks(results: Results) -> list[Check]:
    """Every floor, in the order of the report."""
    return [check for label in WHAT for check in _checks(label, seeds(results, "floors", label))]


def _checks(label: str, runs: Runs) -> list[Check]:
    if not runs:
        return [Check(WHAT[label], floor, NOT_RUN, None, 0) for floor in _FLOORS[: 4 if "attacked" in label else 3]]
    ends, more = finals(runs), gains(runs)
    measured = [percent(ends), f"{100 * mean(ends):.1f}", percent(more)]
    holds: list[bool | None] = [min(ends) >= EACH, mean(ends) >= MEAN, min(more) >= GAIN]
    if "attacked" in label:
        few, kept, many, _ = bad_kept(runs, ATTACKED.mu_bps)
        measured.append(f"{kept} of {few} sessions kept one ({many} more had more bad groups)")
        holds.append(kept == 0 if few else None)
    return [Check(WHAT[label], *each, len(runs)) for each in zip(_FLOORS, measured, holds, strict=False)]


_FLOORS = (
    f"each at least {100 * EACH:.0f} %",
    f"mean at least {100 * MEAN:.0f} %",
    f"each {100 * GAIN:.0f} points above the owner alone",
    "no bad group kept while there are at most mu R",
)


def section(results: Results) -> Section:
    """The floors as a table."""
    every = [run for label in WHAT for run in seeds(results, "floors", label)]
    rows = [[check.what, check.floor, check.measured, check.verdict] for check in checks(results)]
    body = (
        f"PL 3, data owners start from W0 in every session, DOEp 5, {lengths(every)}. Judged both without a bound, as"
        " in the paper, and with ours. The owner alone has trained as many epochs of its own, from the same seed.\n\n"
    )
    return Section(210, "Floors", body + table(("what", "floor", "measured, %", "verdict"), rows, 2))


def summary(results: Results) -> Section:
    """The report's first section: what it comes to, as far as it was run."""
    lines = [*_headline(results), *_attacked(results)]
    judged = [check for check in checks(results) if check.holds is not None]
    if judged:
        lines.append(f"Floors that must hold: {sum(bool(check.holds) for check in judged)} of {len(judged)} do.")
    body = "\n".join(f"- {line}" for line in lines) or NOT_RUN
    return Section(10, "Accuracy in short", body)


def _headline(results: Results) -> list[str]:
    runs = seeds(results, "table3", "pl3")
    if not runs:
        return []
    return [
        f"Accuracy: {percent(alone(runs))} % for the owner alone, {percent(finals(runs))} % with 64 data owners after"
        f" {lengths(runs)}, with {100 * runs[0]['share']:.1f} % of the model public (the paper:"
        f" {paper.ALONE:g} % and {paper.TOGETHER:g} %)."
    ]


def _attacked(results: Results) -> list[str]:
    lines = []
    for mu in (2500, 5000):
        free, bound = (seeds(results, "table5", f"{label}-mu{mu // 100}-rate16") for label in ("multi-krum", "bound"))
        if free and bound:
            lines.append(
                f"Under attack: with 16 % of the data owners sending random vectors, multi-Krum, mu = .{mu // 100}:"
                f" {percent(finals(free))} % without a bound, {percent(finals(bound))} % with ours (the paper, without:"
                f" {paper.BYZANTINE[mu][16]:g} %)."
            )
    return lines
