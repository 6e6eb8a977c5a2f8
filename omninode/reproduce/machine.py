"""Where cells were run and how long that took, kept beside their folder."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spent:
    """seconds: by the clock, of all runs that filled a folder.  machines: what they ran on, in words."""

    seconds: float = 0.0
    machines: tuple[str, ...] = ()


def read(path: Path) -> Spent:
    """What was written down; nothing where there is no file, or a damaged one."""
    try:
        found = json.loads(path.read_text())
        return Spent(float(found["seconds"]), tuple(map(str, found["machines"])))
    except (OSError, ValueError, TypeError, KeyError):
        return Spent()


def add(path: Path, seconds: float) -> None:
    """A run on this machine has ended. Raises OSError."""
    before = read(path)
    machines = list(dict.fromkeys([*before.machines, machine()]))
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"seconds": round(before.seconds + seconds, 1), "machines": machines}, indent=1))
    partial.replace(path)


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
