"""The report: one Markdown file and a folder of plots beside it, from whatever results there are."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from omninode.reproduce import sides
from omninode.reproduce.cells import Cell, Options, Section
from omninode.reproduce.store import Stored

NAME = "omnilytics"
_QUICK = """\
**This is the quick run: one seed, few cells, few sessions. It shows that everything works; quote the full one.**

"""


def write(folder: Path, cells: Sequence[Cell], stored: Mapping[str, Stored], options: Options, seconds: float) -> Path:
    """Write ``folder``/omnilytics.md and its plots; returns the file. seconds: that all runs took. Raises OSError."""
    plots = folder / NAME
    plots.mkdir(parents=True, exist_ok=True)
    results = {name: each.result for name, each in stored.items()}
    text = _head(cells, stored, options, seconds) + "".join(map(_part, sides.sections(results, plots)))
    path = folder / f"{NAME}.md"
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)
    return path


def _part(section: Section) -> str:
    return f"\n## {section.title}\n\n{section.body.strip()}\n"


def _head(cells: Sequence[Cell], stored: Mapping[str, Stored], options: Options, seconds: float) -> str:
    spent = sum(each.seconds for each in stored.values())
    quick = _QUICK if options.quick else ""
    missing = "" if len(stored) == len(cells) else "; what is missing says so in its place"
    command = "omninode reproduce omnilytics --data DIR" + (" --quick" if options.quick else "")
    return f"""# OmniLytics, reproduced

{quick}The experiments of OmniLytics (Liang, Li, Huang et al. 2021, arXiv 2107.05252), run again with
omninode, each beside what the paper prints. This file and its plots are made by `{command}`
(or `make reproduce DATA=DIR`); nothing in it is written by hand.

- {len(stored)} of {len(cells)} cells run{missing}; seeds {", ".join(map(str, options.seeds))}.
- {spent / 60:.0f} minutes of work in cells, {seconds / 60:.0f} minutes by the clock.
- Machine: {machine()}.
"""


def machine() -> str:
    """Processors and versions that matter."""
    from importlib.metadata import version

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} cores of {_processor()}, {platform.system()}, Python {platform.python_version()}, "
        f"torch {version('torch')}, numpy {version('numpy')}"
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()
