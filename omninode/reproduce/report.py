"""The report: one Markdown file and a folder of plots beside it, from whatever results there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from omninode.reproduce import sides
from omninode.reproduce.cells import Cell, Options, Section
from omninode.reproduce.machine import Spent
from omninode.reproduce.store import Stored

NAME = "omnilytics"
_QUICK = """\
**This is the quick run: one seed, few cells, few sessions. It shows that everything works; quote the full one.**

"""
_OPENING = """\
OmniLytics is a market for training: a model owner, who has little data, pays data owners to improve its model, without
seeing their data and without showing them all of its model. A contract adds up what they send, masked, leaves out what
looks foreign, and pays. Three ways of doing it are compared here:

- *on chain*: as the paper has it. Masked models, their sums and the choice among them are all in the contract.
- *grouped*: omninode's own. Provers off the chain add up groups of data owners and judge the sums; the chain holds
  digests, decisions and money.
- *verified*: the same, with every single update judged before it is summed.

Words, mostly the paper's:

| word | meaning |
| --- | --- |
| PL | how many layers of the model are public; the others never leave the model owner |
| W0 | a public random model, from which a data owner takes the layers that it is not shown |
| MOPreEp | epochs that the model owner trains before the first session |
| MOEp | epochs that it trains on its own data after every session |
| DOEp | epochs that a data owner trains in a session |
| Frag | share of the data owners that take part in a session |
| R, N | R rounds (groups) of N data owners, whose updates are only ever seen as a sum |
| m-Krum | m groups are kept, one after the other, whose sums lie closest to others; multi-Krum: all at once |
| mu | share of groups that may be bad and that the rule reckons with |
| our bound | largest length of an update: data owners shorten theirs to it, what is longer is refused |
"""


def write(folder: Path, cells: Sequence[Cell], stored: Mapping[str, Stored], options: Options, spent: Spent) -> Path:
    """Write ``folder``/omnilytics.md and its plots; returns the file. spent: on all runs. Raises OSError."""
    plots = folder / NAME
    plots.mkdir(parents=True, exist_ok=True)
    results = {name: each.result for name, each in stored.items()}
    text = _head(cells, stored, options, spent) + "".join(map(_part, sides.sections(results, plots)))
    path = folder / f"{NAME}.md"
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)
    return path


def _part(section: Section) -> str:
    return f"\n## {section.title}\n\n{section.body.strip()}\n"


def _head(cells: Sequence[Cell], stored: Mapping[str, Stored], options: Options, spent: Spent) -> str:
    work = sum(each.seconds for each in stored.values())
    quick = _QUICK if options.quick else ""
    missing = "" if len(stored) == len(cells) else "; what is missing says so in its place"
    again = len(cells) - len({cell.digest for cell in cells})
    twice = f" ({again} of them are the same as others, and were run once)" if again else ""
    command = "omninode reproduce omnilytics --data DIR" + (" --quick" if options.quick else "")
    return f"""# OmniLytics, reproduced

{quick}The experiments of OmniLytics (arXiv 2107.05252, 2021), run again with
omninode, each beside what the paper prints. This file and its plots are made by `{command}`
(or `make reproduce DATA=DIR`); nothing in it is written by hand.

{_OPENING}
- {len(stored)} of {len(cells)} cells run{twice}{missing}; seeds {", ".join(map(str, options.seeds))}.
- {work / 60:.0f} minutes of work in cells, {spent.seconds / 60:.0f} minutes by the clock.
- Machine: {"; ".join(spent.machines) or "not known"}.
"""
