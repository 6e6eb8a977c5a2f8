"""Files appear whole or not at all: content first, then the name."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from omninode.errors import StoreError, UsageError, disk_error

MOST_READ = 512 << 20


def write_new(path: Path, parts: Iterable[bytes], mode: int = 0o644) -> None:
    """Write a file that is not there yet. Raises UsageError if it is, StoreError if the disk does not take it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        raise UsageError(f"{path} is there already", "choose another name: a string is never overwritten") from None
    except FileNotFoundError:
        raise UsageError(f"there is no folder {path.parent}", "make it first") from None
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def put(path: Path, parts: Iterable[bytes]) -> None:
    """Write or replace a file of a cache: mode 0600, in a folder of mode 0700. Raises StoreError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def contents(path: Path) -> memoryview:
    """The bytes of a file. Raises OSError.

    Files of more than ``MOST_READ`` bytes are mapped: what is not looked at is not loaded, and whoever cuts such a file
    short while it is looked at ends this process.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= MOST_READ:
            return memoryview(file.read())
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def check_ours(folder: Path) -> None:
    """Refuse a folder of the cache that others can write to: StoreError. It need not exist."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk_error(error, folder) from error
    if found.st_uid != os.geteuid():
        raise StoreError(f"{folder} belongs to somebody else", "remove it, or run the node as its owner")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StoreError(
            f"others can write to {folder}, which says what was checked",
            f"if you trust what is in it: chmod 700 {folder}; else remove it",
        )
