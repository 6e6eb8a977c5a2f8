"""The section on Table 5: Byzantine data owners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omninode.reproduce import paper, plots
from omninode.reproduce.cells import NOT_RUN, Results, Section
from omninode.reproduce.gather import bad_kept, finals, lengths, seeds
from omninode.reproduce.learning_cells import MUS, RATES, REGIMES
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
            few, few_kept, many, many_kept = bad_kept(found["multi-krum", rate], mu)
            counts = f"{few_kept} of {few}; {many_kept} of {many}" if few + many else NOT_RUN
            ours = [percent(finals(found[label, rate])) for label, _, _ in REGIMES]
            rows.append([f".{mu // 100}", f"{rate} %", f"{paper.BYZANTINE[mu][rate]:.2f}", *ours, counts])
        every += [run for runs in found.values() for run in runs]
        panels[f"mu = .{mu // 100}"] = _lines(found, mu)
    lowest, after = finals(every), lengths(every)
    head = ("mu", "attackers", "paper", "multi-Krum", "m-Krum", "multi-Krum and bound", "bad groups kept")
    body = table(head, rows, 4) + _notes(lowest, after)
    if lowest:
        plots.lines(folder / "table5.png", "Accuracy under random vectors", "attackers, %", panels, RATES)
        body += "\n" + image(folder, "table5.png", "Accuracy over the share of attackers, for mu = .25 and .5")
    return Section(250, "Table 5: Byzantine data owners", body)


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
After {after}. Attackers are so many of the 64 data owners and send normal random numbers of deviation 1, each as
large as a weight, since the paper says no more than "random vectors". "multi-Krum" scores once and keeps
R - floor(mu R) groups; "m-Krum" is the paper's Algorithm 1 with neighbours floored at 1 and m as large as it may be;
both without any bound, as in the paper. "and bound" is what our market does: a data owner clips itself to the
published bound, and step 6 refuses a group whose sum is longer. "Bad groups kept": sessions in which multi-Krum kept
a group with an attacker, of those with at most floor(mu R) bad groups; then of those with more.

"""
    for mu in MUS:
        holds, why = guarantees(MULTI_KRUM, 8, mu, 0)
        said = "holds" if holds else "does not hold"
        text += f"- mu = .{mu // 100}: Krum's guarantee {said} for the paper's R = 8: {why}.\n"
    if lowest:
        printed = min(value for row in paper.BYZANTINE.values() for value in row.values())
        text += (
            f"- The lowest of all our runs is {100 * min(lowest):.1f} %. "
            + (f"The paper's {printed:g} % does not come out: " if 100 * min(lowest) > printed + 3 else "")
            + "the owner's own epochs repair much of what a bad group does to the public layers.\n"
        )
    return text
