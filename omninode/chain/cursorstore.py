"""Where an event cursor stands, in a SQLite file."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

_SCHEMA = "CREATE TABLE IF NOT EXISTS chain_cursor (name TEXT PRIMARY KEY, blocks TEXT NOT NULL) WITHOUT ROWID"


class SqliteCursorStore:
    """One row of a table of its own. name: tells cursors of the same file apart."""

    def __init__(self, path: Path, name: str) -> None:
        self._name, self._lock = name, threading.Lock()
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")  # a lost save only means reading some blocks again
        self._db.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def load(self) -> list[tuple[int, bytes]]:
        """See CursorStore."""
        with self._lock:
            row = self._db.execute("SELECT blocks FROM chain_cursor WHERE name = ?", (self._name,)).fetchone()
        return [(number, bytes.fromhex(digest)) for number, digest in json.loads(row[0])] if row else []

    def save(self, blocks: Sequence[tuple[int, bytes]]) -> None:
        """See CursorStore."""
        text = json.dumps([(number, digest.hex()) for number, digest in blocks])
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO chain_cursor VALUES (?, ?)", (self._name, text))
