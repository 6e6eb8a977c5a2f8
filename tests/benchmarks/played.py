"""Runs the real demo, with all its processes, in a folder under runs/bench."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "runs" / "bench" / "demo"
LIMIT_S = 600.0


@dataclass(frozen=True)
class Played:
    """A run that ended well. folder: of its files. wall_s: of the whole command, interpreter's start included."""

    folder: Path
    result: dict[str, Any]
    wall_s: float

    def discard(self) -> None:
        """Remove the folder: keys and journals of eighteen nodes."""
        shutil.rmtree(self.folder)


def play(
    *, seed: int = 0, sessions: int = 5, mode: str = "verified", hostile: bool = False,
    watch: Callable[[int], None] | None = None,
) -> Played:  # fmt: skip
    """One run of ``omninode demo --json``. ``watch(pid)`` is called again and again while it lasts.

    RuntimeError with the end of what it said if it fails, or if an attack did not end as expected.
    """
    OUT.mkdir(parents=True, exist_ok=True)
    before = set(OUT.iterdir())
    options = ["--mode", mode, "--seed", str(seed), "--sessions", str(sessions), "--out", str(OUT)]
    options += ["--hostile"] if hostile else []
    began = time.monotonic()
    with (OUT / "output.log").open("w") as log, (OUT / "output.json").open("w") as answer:
        process = subprocess.Popen(
            [sys.executable, "-m", "omninode", "demo", "--json", *options],
            stdin=subprocess.DEVNULL, stdout=answer, stderr=log, cwd=ROOT,
        )  # fmt: skip
        try:
            code = _wait(process, began + LIMIT_S, watch)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
    if code != 0:
        end = (OUT / "output.log").read_text().splitlines()[-12:]
        raise RuntimeError(f"the demo ended with code {code} (hostile: {hostile}, seed {seed}):\n" + "\n".join(end))
    (folder,) = [path for path in OUT.iterdir() if path not in before and path.is_dir()]
    return Played(folder, json.loads((OUT / "output.json").read_text()), time.monotonic() - began)


def _wait(process: subprocess.Popen[bytes], deadline: float, watch: Callable[[int], None] | None) -> int:
    while time.monotonic() < deadline:
        try:
            return process.wait(1.0)
        except subprocess.TimeoutExpired:
            if watch is not None:
                watch(process.pid)
    raise RuntimeError(f"the demo did not end within {LIMIT_S:g} s")
