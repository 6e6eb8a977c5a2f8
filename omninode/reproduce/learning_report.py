"""Sections on accuracy that stand beside the paper's: Table 3 with Figure 5, Figure 4, Tables 4 and 5."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

from omninode.learning.presets import MNIST
from omninode.learning.public_part import choose
from omninode.reproduce import byzantine_report, floors, owners_report, paper, plots
from omninode.reproduce.cells import Results, Section
from omninode.reproduce.gather import curves, finals, gains, lengths, pretrained, seeds
from omninode.reproduce.learning_more import readings, unlike
from omninode.reproduce.markdown import image, percent, table
from omninode.reproduce.setting import HELD_OUT, OWNER_SAMPLES, PAPER_DIMENSION, PARTY_SAMPLES

ALL_OF_MNIST = 70_000


def sections(results: Results, folder: Path) -> list[Section]:
    """All sections on accuracy; plots go into ``folder``."""
    return [
        floors.summary(results), _setup(results), floors.section(results), _layers(results, folder),
        owners_report.owners(results, folder), owners_report.epochs(results), byzantine_report.section(results, folder),
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
