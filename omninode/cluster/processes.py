"""Node processes: started with their own session and log file, ended by pid."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
STOP_GRACE_S = 20.0


def free_ports(count: int) -> list[int]:
    """``count`` different TCP ports that nobody listens on now."""
    import socket

    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def die_with_parent() -> None:
    """For ``preexec_fn``: the kernel ends this process when its parent dies, however it dies (Linux).

    "Parent" is the thread that started it: start attached processes from the main thread only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def node_environment(threads: int = 1) -> dict[str, str]:
    """Environment of a node among many on one machine: few threads each, one Numba cache for all."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(names, str(threads))}
    env.setdefault("NUMBA_CACHE_DIR", str(Path.cwd() / ".cache" / "numba"))
    return env


def runs(pid: int, word: str) -> bool:
    """Whether this process is alive and has ``word`` in its command line: a pid left in a file may be another's now."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and any(word in part for part in process.cmdline())
    except psutil.Error:  # gone, or somebody else's
        return False


@dataclass
class NodeProcess:
    """One daemon. module: what `python -m` runs ("omninode" itself, or a hostile stand-in of the demo)."""

    name: str
    directory: Path
    module: str = "omninode"
    attached: bool = True
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.directory / "config.toml"

    @property
    def socket(self) -> Path:
        return self.directory / "control.sock"

    @property
    def pid(self) -> int | None:
        """Pid of the running daemon, from our handle or from its pid file."""
        if self.process is not None:
            return self.process.pid if self.process.poll() is None else None
        try:
            pid = int((self.directory / "node.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if runs(pid, str(self.config)) else None

    def start(self) -> None:
        """Start the daemon in the background; its output goes to node.log."""
        with (self.directory / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, "start", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=node_environment(),
                start_new_session=True,
                preexec_fn=die_with_parent if self.attached else None,
            )
        (self.directory / "node.pid").write_text(str(self.process.pid))

    def kill(self) -> None:
        """SIGKILL, now."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def terminate(self) -> None:
        """SIGTERM; `reap` waits."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGTERM)

    def reap(self, deadline: float) -> int | None:
        """Wait until ``deadline`` (monotonic seconds), then SIGKILL. Returns the exit code where we know it."""
        while self.pid is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.pid is not None:
            self.kill()
        return self.process.returncode if self.process is not None else None


def stop_all(nodes: list[NodeProcess]) -> dict[str, int | None]:
    """SIGTERM to all, one common grace period, SIGKILL to the rest. Exit codes by name."""
    for node in nodes:
        node.terminate()
    deadline = time.monotonic() + STOP_GRACE_S
    return {node.name: node.reap(deadline) for node in nodes}
