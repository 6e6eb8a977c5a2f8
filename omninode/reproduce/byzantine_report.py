"""The section on Table 5: Byzantine data owners."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from omninode.reproduce import paper, plots
from omninode.reproduce.cells import NOT_RUN, Results, Section
from omninode.reproduce.gather import bad_kept, finals, lengths, seeds
from omninode.reproduce.learning_cells import ATTACKED, MUS, RATES, REGIMES
from omninode.reproduce.markdown import image, percent, table
from protocols.selection.rules import MULTI_KRUM, guarantees


def section(results: Results, folder: Path) -> Section:
    """Accuracy by mu, attackers and regime, beside the paper's."""
    rows, every, panels = [], [], {}
    for mu in MUS:
        found = {
            (label, rate): seeds(results, "table5", f"{label}-mu{mu // 100}-rate{rate:02}")
            for label, _, _ in REGIMES
            for rate in RATES
        }
        for rate in RATES:
            count = replace(ATTACKED, rate=rate / 100).attackers
            ours = [percent(finals(found[label, rate])) for label, _, _ in REGIMES]
            kept = [_kept(found[label, rate], mu) for label in ("multi-krum", "m-krum")]
            who = f"{rate} % ({count})"
            rows.append([f".{mu // 100}", who, f"{paper.BYZANTINE[mu][rate]:.2f}", *ours, *kept])
        every += [run for runs in found.values() for run in runs]
        panels[f"mu = .{mu // 100}"] = _lines(found, mu)
    lowest, after = finals(every), lengths(every)
    ways = ("multi-Krum", "m-Krum", "multi-Krum and bound")
    head = ("mu", "attackers", "paper", *ways, "bad groups kept, multi-Krum", "bad groups kept, m-Krum")
    body = table(head, rows, 5) + _notes(lowest, after)
    if lowest:
        plots.lines(folder / "table5.png", "Accuracy under random vectors", "attackers, %", panels, RATES, plots.LINEAR)
        body += "\n" + image(folder, "table5.png", "Accuracy over the share of attackers, for mu = .25 and .5")
    return Section(250, "Table 5: Byzantine data owners", body)


def _kept(runs: list[dict[str, Any]], mu: int) -> str:
    few, few_kept, many, many_kept = bad_kept(runs, mu)
    return f"{few_kept} of {few}; {many_kept} of {many}" if runs else NOT_RUN


def _lines(found: dict[tuple[str, int], list[dict[str, Any]]], mu: int) -> list[plots.Line]:
    names = {"multi-krum": "multi-Krum", "m-krum": "m-Krum", "bound": "multi-Krum and bound"}
    drawn = []
    for label, name in names.items():
        there = [rate for rate in RATES if found[label, rate]]
        drawn.append(plots.Line(name, there, [finals(found[label, rate]) for rate in there]))
    drawn.append(plots.Line("paper", RATES, [[paper.BYZANTINE[mu][rate] / 100] for rate in RATES], paper=True))
    return drawn


def _notes(lowest: list[float], after: str) -> str:
    text = f"""
After {after}. Attackers are so many (in brackets: data owners) of the 64 and send normal random numbers of
deviation 1, since the paper says no more than "random vectors". "multi-Krum" scores once and keeps
R - floor(mu R) groups; "m-Krum" is the paper's Algorithm 1 with neighbours floored at 1 and m as large as it may be;
both without any bound, as in the paper. "and bound" is what our market does: a data owner clips itself to the
published bound, and step 6 refuses a group whose sum is longer. "Bad groups kept": sessions in which the rule,
without a bound, kept a group with an attacker, of those with at most floor(mu R) bad groups; then of those with more.

"""
    for mu in MUS:
        holds, why = guarantees(MULTI_KRUM, 8, mu, 0)
        said = "holds" if holds else "does not hold"
        text += f"- mu = .{mu // 100}: Krum's guarantee {said} for the paper's R = 8: {why}.\n"
    if lowest:
        printed = min(value for row in paper.BYZANTINE.values() for value in row.values())
        text += (
            f"- The lowest of all our runs is {100 * min(lowest):.1f} %. "
            + (
                f"The paper's {printed:g} % does not come out; why is not known."
                if 100 * min(lowest) > printed + 3
                else ""
            )
            + "\n"
        )
    return text
