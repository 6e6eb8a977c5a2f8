"""Which blobs are here for sessions only, and until when: nobody else's files stay for ever.

    blobs/holds/<session>/<hex>    the session needs this blob; written before the blob is fetched
    blobs/holds/kept/<hex>         the document of an ended session, kept for a while

A blob without a mark is the node's own and never touched. A mark goes after its blob: whenever the process dies, the
next start finds what is left over (``collect``).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from omninode.store.blobs import FileBlobStore

KEPT_DOCUMENTS = 64
_KEPT = "kept"
_DOCUMENT = b"document"
_MARK = re.compile(r"[0-9a-f]{64}")


class Holds:
    """Marks of one blob store. Safe from several threads; one object per store. Files of others are left alone."""

    def __init__(self, blobs: FileBlobStore) -> None:
        self._blobs, self._root = blobs, blobs.root / "holds"
        self._root.mkdir(exist_ok=True)
        self._lock = threading.Lock()

    def take(self, session: int, digest: bytes, *, document: bool = False) -> None:
        """Say that ``session`` needs the blob, before it is fetched. The node's own blobs need no mark."""
        with self._lock:
            if self._blobs.has(digest) and not self._holders(digest.hex()):
                return
            folder = self._root / str(session)
            folder.mkdir(exist_ok=True)
            (folder / digest.hex()).write_bytes(_DOCUMENT if document else b"")

    def sessions(self) -> set[int]:
        """Those that hold anything, or nothing but a folder."""
        folders = [p for p in self._root.iterdir() if p.name.isascii() and p.name.isdigit() and p.is_dir()]
        return {int(folder.name) for folder in folders if _marks(folder) or not any(folder.iterdir())}

    def release(self, session: int, *, keep_documents: bool = False) -> None:
        """Delete what only this session held; with ``keep_documents``, the last few sessions' documents stay.

        What has become public meanwhile is the node's own.
        """
        with self._lock:
            self._release(session, keep_documents)

    def collect(self, live: Callable[[], Collection[int]]) -> list[int]:
        """Release every session that is not live; which ones. Their documents stay for a while.

        ``live`` is asked once nothing can be taken any more: what was taken until then belongs to a session it knows.
        """
        with self._lock:
            there = self.sessions()
            gone = sorted(there - set(live()))
            for session in gone:
                self._release(session, keep_documents=True)
        return gone

    def _release(self, session: int, keep_documents: bool) -> None:
        folder = self._root / str(session)
        if not folder.is_dir():
            return
        for mark in _marks(folder):
            if keep_documents and mark.stat().st_size:
                (self._root / _KEPT).mkdir(exist_ok=True)
                os.utime(mark)
                os.replace(mark, self._root / _KEPT / mark.name)
            else:
                self._drop(mark)
        with suppress(OSError):  # somebody's file is in it
            folder.rmdir()
        self._forget_old()

    def _holders(self, name: str) -> list[Path]:
        return [folder / name for folder in self._root.iterdir() if (folder / name).exists()]

    def _drop(self, mark: Path) -> None:
        digest = bytes.fromhex(mark.name)
        if self._holders(mark.name) == [mark] and not self._blobs.is_public(digest):
            self._blobs.delete(digest)
        mark.unlink()

    def _forget_old(self) -> None:
        kept = self._root / _KEPT
        if kept.is_dir():
            marks = sorted(_marks(kept), key=lambda mark: mark.stat().st_mtime_ns, reverse=True)
            for mark in marks[KEPT_DOCUMENTS:]:
                self._drop(mark)


def _marks(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _MARK.fullmatch(path.name)]
