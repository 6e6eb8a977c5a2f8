"""Memory of a tree of processes by role, sampled while it lives.

Linux: the peak RSS that the kernel keeps (VmHWM), so that nothing between two samples is missed, and PSS; elsewhere the
highest RSS seen.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import defaultdict
from pathlib import Path

import psutil

PSS_EVERY_S = 5.0  # reading it walks every mapping of the process: not each second for twenty of them
_NODE = re.compile(r"/nodes/([a-z-]+?)(?:-\d+)?/config\.toml")


def role_of(command: list[str]) -> str:
    """ "prover", "data-owner", "model-owner", "worker" (torch), "anvil", or "demo" for what runs them all."""
    line = " ".join(command)
    if found := _NODE.search(line):
        return found[1]
    if "omninode.learning.worker" in line:
        return "worker"
    return "anvil" if command and Path(command[0]).name.startswith("anvil") else "demo"


def pss(pid: int) -> int:
    """Bytes, with shared pages counted by share; 0 where the kernel does not say."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


def peak_rss(process: psutil.Process) -> int:
    """Bytes. Raises psutil.Error where the process is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return int(process.memory_info().rss)


class Watch:
    """Call it with the root's pid now and then. rss, pss: highest bytes by role and pid; total: highest PSS of all."""

    def __init__(self) -> None:
        self.rss: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self.pss: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self.total = 0
        self._last = 0.0

    def __call__(self, root: int) -> None:
        """One sample. Processes that end meanwhile are left out."""
        everybody: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(root)
            everybody = [parent, *parent.children(recursive=True)]
        deep = time.monotonic() - self._last >= PSS_EVERY_S
        self._last = time.monotonic() if deep else self._last
        sums = 0
        for process in everybody:
            with contextlib.suppress(psutil.Error):
                role = role_of(process.cmdline())
                self.rss[role][process.pid] = max(self.rss[role][process.pid], peak_rss(process))
                share = pss(process.pid) if deep else 0
                self.pss[role][process.pid] = max(self.pss[role][process.pid], share)
                sums += share
        self.total = max(self.total, sums)

    def roles(self) -> list[str]:
        """Those seen."""
        return sorted(self.rss)

    def most(self, role: str) -> tuple[float, float]:
        """(RSS, PSS) in MB (10^6 bytes) of the largest process of this role at its worst moment."""
        return max(self.rss[role].values()) / 1e6, max(self.pss[role].values()) / 1e6


def start_growth() -> float:
    """MB that this process has now; from here on its peak counts anew (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return float(psutil.Process().memory_info().rss) / 1e6


def grown(before: float) -> float:
    """MB by which the peak has grown since ``start_growth``."""
    return peak_rss(psutil.Process()) / 1e6 - before
