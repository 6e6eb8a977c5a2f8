"""At most so many torch workers at work on one machine: flock'ed files in a directory that the daemons share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

_POLL_S = 0.05


@asynccontextmanager
async def slot(directory: Path, count: int) -> AsyncIterator[int]:
    """Hold one of ``count`` slots, waiting for it; gives its number. A dead process frees its slot at once.

    Raises OSError if the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    while True:
        for number in range(count):
            handle = os.open(directory / f"slot-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            try:
                yield number
            finally:
                os.close(handle)
            return
        await trio.sleep(_POLL_S)
