"""Share vectors of one session on disk, so that a prover's memory does not grow with the number of data owners.

A cache, no more: the journal is what survives. Nothing is synced, and a replay puts the same bytes again.
"""

from __future__ import annotations

import mmap
import os
import shutil
from pathlib import Path
from urllib.parse import quote

from omninode.errors import disk_error

FOLDER = "shelf"


class DiskShelf:
    """A file per vector in ``folder`` (0700, files 0600), which is emptied first. Safe from any thread.

    Files are written, never mapped for writing: a full disk is a StoreError then, and not the end of the process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = False
        self.close()

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``; views of what stood there before stay valid. Raises StoreError."""
        path = self._path(name)
        partial = path.with_suffix(f".{os.urandom(4).hex()}")
        try:
            self._make()
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise disk_error(error, path) from error

    def get(self, name: str) -> memoryview:
        """The bytes under ``name``, read-only and mapped: what is not looked at is not loaded. KeyError if none."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if size else memoryview(b"")
        except FileNotFoundError:
            raise KeyError(name) from None
        except OSError as error:
            raise disk_error(error, path) from error

    def drop(self, name: str) -> None:
        """Forget ``name``, if it is there; views of it stay valid. Raises StoreError."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(error, path) from error

    def close(self) -> None:
        """Remove everything; the shelf can be used again. Never raises: what is left goes at the next start."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._made = False

    def _make(self) -> None:
        if not self._made:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder.parent.chmod(0o700)
            self._made = True

    def _path(self, name: str) -> Path:
        return self._folder / (quote(name, safe="") + ".bin")


def clear(data_dir: Path) -> None:
    """Remove what an earlier run of this node left."""
    shutil.rmtree(data_dir / FOLDER, ignore_errors=True)


def shelf_of(data_dir: Path, session: int) -> DiskShelf:
    """The empty shelf of one session."""
    return DiskShelf(data_dir / FOLDER / str(session))
