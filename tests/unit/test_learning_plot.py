"""The picture of a run is a PNG of the right size, whatever the numbers."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from omninode.learning.plot import accuracy_plot


@pytest.mark.parametrize("sessions", [[], [0.7], [0.75, 0.84, 0.89, 0.92, 0.93], [0.0, 1.0] * 20])
def test_png(tmp_path: Path, sessions: list[float]) -> None:
    path = tmp_path / "accuracy.png"
    accuracy_plot(path, 0.64, 0.97, sessions, title="digits")
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (1200, 675)


def test_importing_the_module_is_cheap() -> None:
    code = "import sys, omninode.learning.plot; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
