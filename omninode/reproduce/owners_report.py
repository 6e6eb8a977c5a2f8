"""Sections on Figure 4, the number of data owners, and Table 4, epochs."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

from omninode.reproduce import paper, plots
from omninode.reproduce.cells import Results, Section
from omninode.reproduce.gather import alone, finals, lengths, seeds
from omninode.reproduce.markdown import image, percent, table

OWNERS = (8, 16, 32, 64, 128)


def owners(results: Results, folder: Path) -> Section:
    """Figure 4, and whether it shows anything."""
    found = {count: seeds(results, "figure4", f"owners{count}") for count in OWNERS}
    rows = [[f"{count}", f"{count // 2}", percent(finals(runs)), percent(alone(runs))] for count, runs in found.items()]
    body = table(("data owners", "in a session", "accuracy %", "owner alone %"), rows, 2)
    every = [run for runs in found.values() for run in runs]
    body += f"\nAfter {lengths(every)}. The paper shows this as a figure without numbers.\n"
    there = [count for count, runs in found.items() if runs]
    body += _trend({count: finals(found[count]) for count in there})
    if there:
        ours = plots.Line("with data owners", there, [finals(found[count]) for count in there])
        base = plots.Line("owner alone", there, [alone(found[count]) for count in there], paper=True)
        panels = {"": [ours, base]}
        plots.lines(
            folder / "figure4.png", "Accuracy by number of data owners", "data owners (log scale)", panels, there
        )
        body += "\n" + image(folder, "figure4.png", "Accuracy over the number of data owners")
    return Section(230, "Figure 4: number of data owners", body)


def _trend(ends: dict[int, list[float]]) -> str:
    """Whether more data owners help, beside what the seeds alone do."""
    if len(ends) < 2:
        return ""
    first, *_, last = ends
    change = 100 * (mean(ends[last]) - mean(ends[first]))
    spread = 100 * max(max(values) - min(values) for values in ends.values())
    says = "no trend can be read from it" if abs(change) <= spread else "more than the seeds do"
    return (
        f"\nFrom {first} to {last} data owners accuracy changes by {change:+.1f} points; between the seeds of one"
        f" number it differs by up to {spread:.1f}: {says}.\n"
    )


def epochs(results: Results) -> Section:
    """Table 4 beside the paper's."""
    rows, ours = [], {}
    for (before, epochs), printed in paper.EPOCHS.items():
        for adapt, theirs in zip((1, 2, 4), printed, strict=True):
            runs = seeds(results, "table4", f"{before}-{epochs}-{adapt}")
            numbers = [f"{before}", f"{epochs}", f"{adapt}"]
            rows.append([*numbers, percent(finals(runs)), percent(alone(runs)), f"{theirs:.2f}"])
            if runs:
                ours[before, epochs, adapt] = 100 * mean(finals(runs)), theirs
    body = table(("MOPreEp", "DOEp", "MOEp", "accuracy %", "owner alone %", "paper %"), rows, 2)
    return Section(240, "Table 4: epochs", body + _epochs_notes(ours))


def _epochs_notes(ours: dict[tuple[int, int, int], tuple[float, float]]) -> str:
    """ours: by MOPreEp, DOEp, MOEp what we have and what the paper has, in per cent."""
    if not ours:
        return ""
    gaps = [here - theirs for here, theirs in ours.values()]
    text = f"\nOurs minus the paper's, in points: {min(gaps):+.1f} to {max(gaps):+.1f}, {mean(gaps):+.1f} on average."
    pairs = [((a, b, c), (a, b, 2 * c)) for a, b, c in ours if (a, b, 2 * c) in ours]
    if pairs:
        steps = [max(abs(ours[x][side] - ours[y][side]) for x, y in pairs) for side in (0, 1)]
        text += (
            f" From one MOEp to the next ours changes by {steps[0]:.1f} points at most, the paper's by {steps[1]:.1f}"
        )
        text += ": its numbers look like one run each." if steps[1] > 2 * steps[0] else "."
    return text + "\n"
