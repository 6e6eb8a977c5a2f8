"""Sections on accuracy that stand beside the paper's: Table 3 with Figure 5, Figure 4, Tables 4 and 5."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

from omninode.learning.presets import MNIST
from omninode.learning.public_part import choose
from omninode.reproduce import byzantine_report, floors, paper, plots
from omninode.reproduce.cells import Results, Section
from omninode.reproduce.gather import alone, curves, finals, gains, lengths, pretrained, seeds
from omninode.reproduce.learning_more import readings, unlike
from omninode.reproduce.markdown import image, percent, table
from omninode.reproduce.setting import HELD_OUT, OWNER_SAMPLES, PAPER_DIMENSION, PARTY_SAMPLES

ALL_OF_MNIST = 70_000
OWNERS = (8, 16, 32, 64, 128)


def sections(results: Results, folder: Path) -> list[Section]:
    """All sections on accuracy; plots go into ``folder``."""
    return [
        floors.summary(results), _setup(results), floors.section(results), _layers(results, folder),
        _owners(results, folder), _epochs(results), byzantine_report.section(results, folder),
        readings(results, folder), unlike(results, folder),
    ]  # fmt: skip


def _setup(results: Results) -> Section:
    part = choose(MNIST.model, 3)
    same = part.dimension == PAPER_DIMENSION[3] == paper.PUBLIC and part.total == paper.PARAMETERS
    counted = sorted({run["images"] for run in results.values() if "images" in run})
    images = " or ".join(f"{count:,}" for count in counted) or "no"
    default = seeds(results, "table3", "pl3")
    body = f"""\
Every accuracy below comes from sessions simulated in one process: training as in the daemons, updates as the
protocol's integers, its bounds, its selection rules. Masks, shares and proofs are left out because they change no
number (a test holds the sums against the protocol's own machines); the chain's side is measured on a real chain,
above.

- The owner alone, beside every number, has trained as many epochs of its own from the same seed: what sessions add is
  measured against that (PL 0), not against the owner before the first session.
- Network: two 5x5 convolutions and three linear layers, {part.total:,} parameters, {part.dimension:,} of them
  public at PL 3; the paper's {paper.PARAMETERS:,} and {paper.PUBLIC:,} are {"met exactly" if same else "NOT met"}.
- The paper's defaults: MOPreEp 20, MOEp 2, DOEp 2, 64 data owners, groups of N = 4, R = 8 groups, PL 3, Frag .5:
  half of the data owners, drawn afresh, take part in a session.
- The paper does not say how many sessions, which optimiser or how much data. Here: so many sessions as each table
  says; SGD with learning rate .05, momentum .5, batches of 10; {OWNER_SAMPLES} images for the owner, with which it
  reaches {percent(pretrained(default))} % before the first session (the paper's, alone: {paper.ALONE:g} %);
  {PARTY_SAMPLES} for each data owner, {HELD_OUT:,} held out for testing. Under every rule the same samples are dealt.
- The {OWNER_SAMPLES} images and the optimiser were chosen by trying, so that the owner comes near the paper's
  {paper.ALONE:g} %, on images of the same file that also test: a choice that leans in no known direction, but no
  blind test.
- Unless a row says "our bound", data owners are not clipped, as in the paper.
- Data: {images} images in the folder given.{_few(counted)}
- A number is the mean of the seeds, in brackets the lowest and the highest.
"""
    return Section(200, "How accuracy was measured", body)


def _few(counted: list[int]) -> str:
    """A warning where the data are not all of MNIST."""
    if not counted or min(counted) >= ALL_OF_MNIST:
        return ""
    return (
        f" MNIST has {ALL_OF_MNIST:,}: with fewer than all of them no figure can be compared with published MNIST\n"
        "  accuracies, and with the paper's only in shape."
    )


def _layers(results: Results, folder: Path) -> Section:
    by_count = {count: seeds(results, "table3", f"pl{count}") for count in range(5)}
    bound = seeds(results, "table3", "pl3-bound")
    rows = [_layer(f"{count}", count, runs) for count, runs in by_count.items()]
    rows.insert(4, _layer("3, our bound", 3, bound))
    head = ("PL", "public layers", "parameters", "share", "paper's share", "accuracy %", "more than alone, points")
    body = table(head, rows, 2)
    every = [run for runs in by_count.values() for run in runs]
    other = choose(MNIST.model, ["fc3", "fc2"])
    body += f"""
After {lengths(every)}. The paper's own curves are a figure without numbers; its text gives {paper.ALONE:g} % alone
and {paper.TOGETHER:g} % for PL 3.

PL 2 is fc3 with conv2: the paper's text names the second linear layer there, but fc3 with fc2 would be
{100 * other.share:.2f} %, not the {paper.SHARES[2]:g} % it prints."""
    if by_count[3] and by_count[4]:
        more = 100 * (mean(finals(by_count[4])) - mean(finals(by_count[3])))
        body += f" Publishing conv1 too (PL 4) changes the result by {more:+.1f} points."
    if by_count[3] and bound:
        more = 100 * (mean(finals(bound)) - mean(finals(by_count[3])))
        body += f" Our bound, with data owners who clip themselves to it, changes it by {more:+.1f} points."
    body += _against(by_count[3], results)
    drawn = [plots.Line(f"PL {k}", range(len(curves(r))), curves(r)) for k, r in by_count.items() if r]
    if drawn:
        plots.lines(folder / "figure5.png", "Accuracy by number of public layers", "sessions", {"": drawn})
        body += "\n\n" + image(folder, "figure5.png", "Accuracy over sessions for 0 to 4 public layers")
    return Section(220, "Table 3 and Figure 5: public layers", body)


def _layer(name: str, count: int, runs: list[dict[str, Any]]) -> list[str]:
    """A row of Table 3."""
    part = choose(MNIST.model, count) if count else None
    layers, dimension = (", ".join(part.layers), f"{part.dimension:,}") if part else ("none", "0")
    share = f"{100 * part.share:.2f} %" if part else "0.00 %"
    return [name, layers, dimension, share, f"{paper.SHARES[count]:.2f} %", percent(finals(runs)), percent(gains(runs))]


def _against(runs: list[dict[str, Any]], results: Results) -> str:
    """How the default run compares with the paper's headline."""
    if not runs or 100 * mean(finals(runs)) >= paper.TOGETHER - 1:
        return ""
    reached = 100 * mean(finals(runs))
    text = (
        f" Ours ends at {reached:.1f} %, {paper.TOGETHER - reached:.1f} points below the paper's {paper.TOGETHER:g} %"
    )
    handed = seeds(results, "readings", "handed")
    if handed and 100 * mean(finals(handed)) > reached:
        leaking = 100 * mean(finals(handed))
        text += (
            f"; with the owner's private layers handed over, which leaks them, it would be {leaking:.1f} %"
            " (see the readings below)"
        )
    return text + "."


def _owners(results: Results, folder: Path) -> Section:
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


def _epochs(results: Results) -> Section:
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
