"""Blobs on disk: a file per blob, named by its SHA-256, written whole or not at all.

    root/public/<hex>    served to whoever asks
    root/private/<hex>   ours alone
    root/partial/...     being written; emptied at the start

A file appears under its name only after its content was checked, written to disk (fsync) and renamed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

DIGEST_BYTES = 32
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class BlobError(Exception):
    """Root of what the store raises."""


class BlobMissing(BlobError):
    """There is no such blob here."""


class BlobCorrupt(BlobError):
    """What was written does not have the digest that was promised; nothing was kept."""


class BlobTooLarge(BlobError):
    """It has more bytes than were asked for."""


class StoreFull(BlobError):
    """No room: the cap of the store is reached, or the disk is full or read-only."""


class BlobWriter:
    """One blob being written. Leaving the ``with`` block without ``commit`` leaves nothing behind.

    size: bytes so far. Usable from one thread at a time, any thread.
    """

    def __init__(self, store: FileBlobStore, digest: bytes | None, max_size: int) -> None:
        self.digest = digest
        self.size = 0
        self._store = store
        self._max_size = max_size
        self._hash = hashlib.sha256()
        self._file, self._path = store._temporary()

    def write(self, data: bytes) -> None:
        """Append. StoreFull if the store or the disk has no room, BlobTooLarge beyond ``max_size``."""
        if self.size + len(data) > self._max_size:
            raise BlobTooLarge(f"blob larger than {self._max_size} bytes")
        self._store._reserve(len(data))
        self.size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise _translated(error) from error
        self._hash.update(data)

    def restart(self) -> None:
        """Forget everything written so far."""
        self._store._release(self.size)
        self._file.seek(0)
        self._file.truncate()
        self._hash, self.size = hashlib.sha256(), 0

    def commit(self, public: bool = False) -> Path:
        """Check the digest, force the blob to disk and give it its name. BlobCorrupt if it is another blob."""
        digest = self._hash.digest()
        if self.digest is not None and digest != self.digest:
            raise BlobCorrupt(f"expected {self.digest.hex()}, got {digest.hex()}")
        self.digest = digest
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            return self._store._place(self._path, digest, self.size, public)
        except OSError as error:
            raise _translated(error) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Drop what is not committed. Idempotent."""
        self._file.close()
        if self._path.exists():
            self._path.unlink()
            self._store._release(self.size)

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.discard()


class FileBlobStore:
    """Blobs under ``root``, together at most ``max_total`` bytes. Digests are 32 raw bytes (SHA-256)."""

    def __init__(self, root: Path | str, max_total: int = 8 << 30) -> None:
        self.root = Path(root)
        self.max_total = max_total
        for name in ("public", "private", "partial"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for left in (self.root / "partial").iterdir():
            left.unlink()
        self.used = sum(p.stat().st_size for kind in ("public", "private") for p in (self.root / kind).iterdir())

    def has(self, digest: bytes) -> bool:
        """Whether the blob is here, public or not."""
        return self._find(digest) is not None

    def path(self, digest: bytes) -> Path:
        """The file of the blob. BlobMissing if it is not here."""
        found = self._find(digest)
        if found is None:
            raise BlobMissing(digest.hex())
        return found

    def size(self, digest: bytes) -> int:
        """Bytes of the blob. BlobMissing if it is not here."""
        return self.path(digest).stat().st_size

    def is_public(self, digest: bytes) -> bool:
        """Whether strangers may have it."""
        return len(digest) == DIGEST_BYTES and (self.root / "public" / digest.hex()).is_file()

    def open(self, digest: bytes) -> BinaryIO:
        """The blob for reading, at any offset. BlobMissing if it is not here."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise BlobMissing(digest.hex()) from error

    def check_size(self, digest: bytes, max_size: int) -> Path:
        """The file of a blob of at most ``max_size`` bytes. BlobMissing, BlobTooLarge."""
        path = self.path(digest)
        size = path.stat().st_size
        if size > max_size:
            raise BlobTooLarge(f"blob {digest.hex()[:16]} has {size} bytes, more than {max_size}")
        return path

    def read(self, digest: bytes, max_size: int | None = None) -> bytes:
        """The whole blob. BlobTooLarge, without reading it, if that is more than ``max_size``."""
        if max_size is not None:
            self.check_size(digest, max_size)
        with self.open(digest) as file:
            return file.read()

    def writer(self, digest: bytes | None = None, *, max_size: int = 1 << 40) -> BlobWriter:
        """Begin a blob; with a digest, only a blob that has it can be committed."""
        if digest is not None and len(digest) != DIGEST_BYTES:
            raise ValueError("a digest has 32 bytes")
        return BlobWriter(self, digest, max_size)

    def put(self, data: bytes, *, public: bool = False) -> bytes:
        """Store ``data`` and return its digest."""
        with self.writer() as writer:
            writer.write(data)
            writer.commit(public)
            assert writer.digest is not None
            return writer.digest

    def set_public(self, digest: bytes, public: bool) -> None:
        """Let strangers have the blob, or no longer. BlobMissing if it is not here."""
        os.replace(self.path(digest), self.root / ("public" if public else "private") / digest.hex())

    def delete(self, digest: bytes) -> None:
        """Remove the blob if it is here."""
        found = self._find(digest)
        if found is not None:
            size = found.stat().st_size
            found.unlink()
            self._release(size)

    def _find(self, digest: bytes) -> Path | None:
        if len(digest) != DIGEST_BYTES:
            return None
        candidates = (self.root / kind / digest.hex() for kind in ("public", "private"))
        return next((path for path in candidates if path.is_file()), None)

    def _temporary(self) -> tuple[BinaryIO, Path]:
        try:
            handle, name = tempfile.mkstemp(dir=self.root / "partial")
        except OSError as error:
            raise _translated(error) from error
        return os.fdopen(handle, "wb"), Path(name)

    def _place(self, written: Path, digest: bytes, size: int, public: bool) -> Path:
        there = self._find(digest)
        target = self.root / ("public" if public or self.is_public(digest) else "private") / digest.hex()
        os.replace(written, target)
        if there is not None:
            self._release(size)
            if there != target:
                there.unlink()
        _sync_directory(target.parent)
        return target

    def _reserve(self, size: int) -> None:
        if self.used + size > self.max_total:
            raise StoreFull(f"the blob store would exceed {self.max_total} bytes")
        self.used += size

    def _release(self, size: int) -> None:
        self.used -= size


def _translated(error: OSError) -> Exception:
    return StoreFull(f"the disk refuses: {error.strerror}") if error.errno in _FULL else error


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
