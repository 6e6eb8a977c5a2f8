"""Sections on accuracy that the paper lacks: readings of its private layers, data owners that are unlike."""

from __future__ import annotations

from math import comb
from pathlib import Path
from statistics import mean
from typing import Any

from omninode.reproduce import plots
from omninode.reproduce.cells import NOT_RUN, Results, Section
from omninode.reproduce.gather import curves, finals, lengths, seeds, share
from omninode.reproduce.learning_cells import DEALS
from omninode.reproduce.markdown import image, percent, table
from omninode.reproduce.setting import RULES, Setting

Runs = list[dict[str, Any]]
RATE = 0.2
"""Of sign flippers, as in ``learning_cells``."""

_READINGS = {
    "own": ("random of its own, kept", "nothing of them", "the literal reading"),
    "kept": ("those of W0, then its own, kept", "nothing of them", ""),
    "stateless": ("those of W0, in every session", "nothing of them", "what omninode does"),
    "handed": ("the model owner's, handed over", "all of them", "not what the paper promises"),
    "whole": ("none: the whole model is public", "the model", "PL 5"),
}
_DEALS = {
    "iid": "alike (IID)",
    "dirichlet0.5": "Dirichlet .5",
    "dirichlet0.1": "Dirichlet .1",
    "labels2": "two classes each",
    "sizes": "unequal sizes",
}


def readings(results: Results, folder: Path) -> Section:
    """Where a data owner's private layers come from decides the result."""
    rows, drawn = [], []
    for label, (text, leaks, remark) in _READINGS.items():
        runs = seeds(results, "readings", label)
        rows.append([text, percent(finals(runs)), leaks, remark])
        if runs:
            drawn.append(plots.Line(text, range(len(curves(runs))), curves(runs)))
    body = "The paper does not say where a data owner's private layers come from; PL 3, everything else as above.\n\n"
    body += table(("a data owner's private layers", "accuracy %", "leaks", ""), rows, 1)
    if drawn:
        title = "Accuracy by origin of the private layers"
        plots.lines(folder / "readings.png", title, "sessions", {"": drawn})
        body += "\n" + image(folder, "readings.png", "Accuracy over sessions for five readings")
    return Section(260, "Readings of the private layers", body)


def unlike(results: Results, folder: Path) -> Section:
    """Every deal of data with every rule, honest and attacked."""
    hostile = round(RATE * Setting().owners)
    body = f"""\
Beyond the paper: 64 data owners whose data are not alike. "Dirichlet": class proportions drawn for each; "two
classes each": 30 images of two digits; "unequal sizes": log-normal, 10 at least, 60 on average. Rules none to
m-Krum judge groups of 4 by the distances of their means with mu = .25; trust judges every update by its product
with the owner's, from 30 more images that are its root set.
Everybody is held to our bound. Attackers: {hostile} of the 64 (a fifth) send their update backwards, as long as the
bound allows, so that no bound can tell. Of the groups of 4, {_spoiled(hostile):.0%} then hold an attacker on average;
mu = .25 reckons with a quarter.
"""
    panels = {}
    for side, title in (("honest", "All honest"), ("attacked", "A fifth flips signs")):
        found = {(name, rule): seeds(results, "noniid", f"{name}-{rule}-{side}") for name in _DEALS for rule in RULES}
        rows = [[_DEALS[name], *(percent(finals(found[name, rule])) for rule in RULES)] for name in DEALS]
        body += f"\n{title}: accuracy in %, after {lengths([run for runs in found.values() for run in runs])}\n\n"
        body += table(("data", *RULES), rows)
        body += f"\n{title}: honest updates left out, in %" + (
            " / attackers summed, in %\n\n" if side == "attacked" else "\n\n"
        )
        body += table(
            ("data", *RULES), [[_DEALS[n], *(_left_out(found[n, rule], side) for rule in RULES)] for n in DEALS]
        )
        panels[title] = {
            _DEALS[name].replace(" ", "\n"): {rule: finals(found[name, rule]) for rule in RULES} for name in DEALS
        }
    body += _bounds(results)
    if any(values for panel in panels.values() for group in panel.values() for values in group.values()):
        plots.dots(folder / "unlike.png", "Accuracy by data and rule", panels)
        body += "\n" + image(folder, "unlike.png", "Accuracy by how data are dealt and by selection rule")
    return Section(270, "Data owners that are not alike", body)


def _spoiled(hostile: int) -> float:
    """Share of groups with an attacker, expected."""
    here = Setting()
    return 1 - comb(here.owners - hostile, here.group_size) / comb(here.owners, here.group_size)


def _left_out(runs: Runs, side: str) -> str:
    if not runs:
        return NOT_RUN
    left = 100 * (1 - mean(share(runs, "honest_kept", "honest")))
    if side == "honest":
        return f"{left:.0f}"
    hostile = [sum(run["hostile_kept"]) / max(1, sum(run["hostile"])) for run in runs]
    return f"{left:.0f} / {100 * mean(hostile):.0f}"


def _bounds(results: Results) -> str:
    """That trust differs from the others in more than whom it leaves out."""
    groups, trust = (seeds(results, "noniid", f"dirichlet0.1-{rule}-honest") for rule in ("none", "trust"))
    if not groups or not trust:
        return ""
    ends = [mean(run["bound"][-1] for run in runs) for runs in (groups, trust)]
    return (
        "\nThe two modes also choose the next bound differently: grouped from the norms of group means, which are short"
        " where updates disagree, verified from the sum and the owner's own update. With Dirichlet .1 and everybody"
        f" honest the last session's bound is {ends[0]:.2f} under none and {ends[1]:.2f} under trust: part of what"
        " separates trust from the others is that its data owners are clipped less.\n"
        if ends[1] > ends[0]
        else ""
    )
