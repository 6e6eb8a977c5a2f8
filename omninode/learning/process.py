"""One worker process seen from the node: start, ask, kill. Runs under Trio; imports no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import trio

import omninode
from omninode.learning import framing

_TAIL = 4096
_LAST_WORDS_S = 2.0


class WorkerGone(Exception):
    """The worker ended without an answer; ``code`` is its exit code, the text the end of its stderr."""

    def __init__(self, code: int, tail: str) -> None:
        self.code = code
        super().__init__(f"worker ended with code {code}" + (f": {tail}" if tail else ""))


class WorkerProcess:
    """A running worker. Make it with ``start``; end it with ``kill``."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._tail = b""

    @classmethod
    async def start(cls, device: str, threads: int, linger_s: float) -> WorkerProcess:
        """Start ``python -m omninode.learning.worker``; torch is imported there with the first request."""
        root = str(Path(next(iter(omninode.__path__))).parent)
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
        limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "omninode.learning.worker", device, str(threads), str(linger_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **limits, "PYTHONPATH": path},
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs; an idle worker ends by itself."""
        return self._process.poll() is None

    async def ask(self, request: Any) -> Any:
        """Send one request and wait for the answer. Raises WorkerGone; after a cancel the worker must be killed."""
        answer: bytes | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._drain)
            try:
                await self._stdin.send_all(framing.pack(request))
                header = await self._read(framing.HEADER.size)
                answer = await self._read(framing.length(header)) if header else None
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                answer = None
            if answer is None:
                with trio.move_on_after(_LAST_WORDS_S):
                    await self._process.wait()
                    await trio.sleep(0.01)  # lets _drain read what is left in the pipe
            nursery.cancel_scope.cancel()
        if answer is None:
            await self.kill()
            raise WorkerGone(self._process.returncode or 0, self._tail.decode(errors="replace").strip())
        return framing.unpack(answer)

    async def kill(self) -> None:
        """SIGKILL and reap, even when cancelled. Safe to call twice."""
        with trio.CancelScope(shield=True):
            if self.alive:
                self._process.kill()
            await self._process.wait()
            for stream in (self._stdin, self._stdout, self._stderr):
                await stream.aclose()

    async def _drain(self) -> None:
        try:
            while chunk := await self._stderr.receive_some(_TAIL):
                self._tail = (self._tail + chunk)[-_TAIL:]
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _read(self, count: int) -> bytes | None:
        """Exactly ``count`` bytes, or None at the end of the stream."""
        parts = bytearray()
        while len(parts) < count:
            chunk = await self._stdout.receive_some(min(count - len(parts), 1 << 20))
            if not chunk:
                return None
            parts += chunk
        return bytes(parts)
