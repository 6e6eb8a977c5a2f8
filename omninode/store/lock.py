"""One process per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from omninode.errors import AlreadyRunningError, disk_error

FILE = "lock"


class DataDirLock:
    """Context manager. The kernel holds the lock, so that it is free again after SIGKILL, whatever the file says.

    Raises AlreadyRunningError naming the other process.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._handle: int | None = None

    def __enter__(self) -> DataDirLock:
        path = self._data_dir / FILE
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise AlreadyRunningError(
                f"{self._data_dir} is in use by process {other}", f"stop it first: kill {other}"
            ) from None
        try:
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        except OSError as error:
            os.close(handle)
            raise disk_error(error, path) from error
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
