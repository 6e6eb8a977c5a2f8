"""One SQLite connection, one lock, whole transactions, and errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omninode.errors import StoreError, disk_error

MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE sessions (
        session INTEGER NOT NULL, role TEXT NOT NULL, seed BLOB NOT NULL, state TEXT,
        PRIMARY KEY (session, role)
    ) WITHOUT ROWID;
    CREATE TABLE inputs (
        session INTEGER NOT NULL, role TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
        payload BLOB, digest BLOB, CHECK ((payload IS NULL) <> (digest IS NULL)),
        PRIMARY KEY (session, role, seq)
    );
    CREATE INDEX inputs_by_digest ON inputs (digest) WHERE digest IS NOT NULL;
    CREATE TABLE safety (
        session INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (session, key)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE inputs ADD COLUMN link BLOB;
    ALTER TABLE sessions ADD COLUMN entries INTEGER;
    ALTER TABLE sessions ADD COLUMN link BLOB;
    ALTER TABLE safety ADD COLUMN entries INTEGER;
    ALTER TABLE safety ADD COLUMN link BLOB;
    """,
)
VERSION = len(MIGRATIONS)
BUSY_S = 10.0


class Database:
    """A file in WAL mode with synchronous=FULL: what a transaction wrote survives a crash once it returned."""

    def __init__(self, path: Path) -> None:
        """Open or create ``path`` (0600) and bring it to the newest version. Raises StoreError."""
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise disk_error(error, path) from error
        with translated(path):
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY)")
        done = self._connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]
        if done > VERSION:
            raise StoreError(
                f"{self.path} was written by a newer omninode (store version {done}, this one knows {VERSION})",
                "start the newer version; the data was not touched",
            )
        for version, script in enumerate(MIGRATIONS[done:], start=done + 1):
            self._connection.executescript(f"BEGIN; {script} INSERT INTO migrations VALUES ({version}); COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; on disk when it ends. Raises StoreError."""
        with self._lock, translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For queries only."""
        with self._lock, translated(self.path):
            yield self._connection

    def close(self) -> None:
        """Idempotent. The write-ahead log is folded into the file."""
        with self._lock:
            self._connection.close()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as StoreError."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise StoreError(f"{path} is closed or misused: {error}") from error
    except sqlite3.Error as error:
        raise _in_words(error, path) from error


def _in_words(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"the disk that holds {path} is full", "free some space and start again; nothing was lost")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(f"{path} cannot be written", "mount it writable or mend its permissions")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{path} is in use by another process", "end it, then start again")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(f"{path} is damaged: {error}", "put a copy back; without the safety journal use a new wallet")
    return StoreError(f"{path}: {error}", "check the disk")
