"""Which processes a cluster takes for its own: by pid and command line, for pids are used again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from omninode.cluster.processes import NodeProcess, free_ports, runs

SLEEP = "import time; time.sleep(60)"


def test_the_pid_of_another_process_is_not_the_node(tmp_path: Path) -> None:
    """Left over by a node that was killed long ago: nobody may be stopped in its place."""
    node = NodeProcess("node", tmp_path)
    (tmp_path / "node.pid").write_text(str(os.getpid()))
    assert node.pid is None
    node.terminate()
    node.kill()
    assert node.reap(time.monotonic() + 1) is None


def test_a_node_is_known_by_its_configuration(tmp_path: Path) -> None:
    node = NodeProcess("node", tmp_path)
    with subprocess.Popen([sys.executable, "-c", SLEEP, str(node.config)]) as process:
        (tmp_path / "node.pid").write_text(str(process.pid))
        assert node.pid == process.pid
        node.kill()
        assert process.wait(30) != 0
    assert node.pid is None


def test_a_zombie_does_not_run(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SLEEP, "word"])
    assert runs(process.pid, "word")
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert not runs(process.pid, "word")
    process.wait()
    assert not runs(process.pid, "word")


def test_damaged_and_missing_pid_files(tmp_path: Path) -> None:
    node = NodeProcess("node", tmp_path)
    assert node.pid is None
    (tmp_path / "node.pid").write_text("nonsense")
    assert node.pid is None


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20
