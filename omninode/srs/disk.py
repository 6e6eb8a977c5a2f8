"""Files appear whole or not at all: content first, then the name."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from omninode.errors import UsageError, disk_error


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


def mapped(path: Path) -> memoryview:
    """The bytes of a file; what is not looked at is not loaded. Raises OSError."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
