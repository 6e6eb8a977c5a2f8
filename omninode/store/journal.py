"""Sessions and what their machines were fed, in order: replaying the journal gives the same bytes again."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from omninode.errors import StoreError, disk_error
from omninode.store.connection import Database
from omninode.store.links import first_link, next_link

INLINE = 64 << 10  # bytes; larger payloads are files, so that the database and its log stay small
SEED_BYTES = 32


class Journal:
    """Seeds, inputs and states by (session, role). ``files``: folder for large payloads, named by their SHA-256."""

    def __init__(self, database: Database, files: Path) -> None:
        self._db, self._files = database, files

    def begin(self, session: int, role: str, seed: bytes) -> bytes:
        """The seed of this part in this session: ``seed`` (32 bytes) the first time, ever after the first one."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        with self._db.transaction() as sql:
            sql.execute("INSERT OR IGNORE INTO sessions (session, role, seed) VALUES (?, ?, ?)", (session, role, seed))
            row = sql.execute("SELECT seed FROM sessions WHERE session = ? AND role = ?", (session, role)).fetchone()
            return bytes(row[0])

    def append(self, session: int, role: str, kind: str, payload: bytes) -> int:
        """Write one input, on disk when this returns. Returns its number, counted from 0 within (session, role)."""
        digest = hashlib.sha256(payload).digest()
        if large := len(payload) > INLINE:
            self._write_file(payload, digest)
        content = (None, digest) if large else (payload, None)
        with self._db.transaction() as sql:
            query = "SELECT seq, link FROM inputs WHERE session = ? AND role = ? ORDER BY seq DESC LIMIT 1"
            last, previous = sql.execute(query, (session, role)).fetchone() or (-1, None)
            link = next_link(previous or first_link(session, role), kind, digest)
            row = (session, role, last + 1, kind, *content, link)
            sql.execute("INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            end = (last + 2, link, session, role)
            sql.execute("UPDATE sessions SET entries = ?, link = ? WHERE session = ? AND role = ?", end)
            return int(last) + 1

    def inputs(self, session: int, role: str) -> list[tuple[int, str, bytes]]:
        """All inputs as (number, kind, payload), in order. Raises StoreError if a payload's file is gone or damaged."""
        query = "SELECT seq, kind, payload, digest FROM inputs WHERE session = ? AND role = ? ORDER BY seq"
        with self._db.reading() as sql:
            rows = sql.execute(query, (session, role)).fetchall()
        return [
            (seq, kind, payload if digest is None else self._read_file(digest)) for seq, kind, payload, digest in rows
        ]

    def payload(self, session: int, role: str, seq: int) -> bytes:
        """One input's payload. Raises StoreError as ``inputs`` does, or if there is no such input."""
        query = "SELECT payload, digest FROM inputs WHERE session = ? AND role = ? AND seq = ?"
        with self._db.reading() as sql:
            row = sql.execute(query, (session, role, seq)).fetchone()
        if row is None:
            raise StoreError(f"session {session}: the journal has no entry {seq}")
        return bytes(row[0]) if row[1] is None else self._read_file(row[1])

    def sessions(self) -> list[tuple[int, str, Any]]:
        """(session, role, state) of everything ever begun; state None until it was set."""
        with self._db.reading() as sql:
            rows = sql.execute("SELECT session, role, state FROM sessions ORDER BY session, role").fetchall()
        return [(session, role, None if state is None else json.loads(state)) for session, role, state in rows]

    def set_state(self, session: int, role: str, state: Any) -> None:
        """Remember ``state`` (plain JSON values) for `session show`. Raises StoreError if the session never began."""
        text = json.dumps(state)
        with self._db.transaction() as sql:
            changed = sql.execute("UPDATE sessions SET state = ? WHERE session = ? AND role = ?", (text, session, role))
            if changed.rowcount != 1:
                raise StoreError(f"session {session} was never begun as {role}")

    def forget_inputs(self, session: int, role: str) -> None:
        """Drop the inputs of a session that is over and will not be replayed. Seed, state and safety records stay."""
        with self._db.transaction() as sql:
            where = (session, role)
            large = "SELECT DISTINCT digest FROM inputs WHERE session = ? AND role = ? AND digest IS NOT NULL"
            candidates = [row[0] for row in sql.execute(large, where)]
            sql.execute("DELETE FROM inputs WHERE session = ? AND role = ?", where)
            sql.execute("UPDATE sessions SET entries = NULL, link = NULL WHERE session = ? AND role = ?", where)
            used = "SELECT 1 FROM inputs WHERE digest = ? LIMIT 1"
            orphans = [digest for digest in candidates if sql.execute(used, (digest,)).fetchone() is None]
            for digest in orphans:  # inside the transaction: nobody appends the same payload meanwhile
                self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: bytes) -> Path:
        return self._files / digest.hex()

    def _write_file(self, payload: bytes, digest: bytes) -> None:
        """Content, then name, then folder: after a crash the name stands for the whole content or does not exist."""
        path = self._path(digest)
        if path.exists():
            return
        temporary = path.with_suffix(f".{os.getpid()}-{os.urandom(4).hex()}")
        try:
            self._files.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
            sync_folder(self._files)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise disk_error(error, path) from error

    def _read_file(self, digest: bytes) -> bytes:
        path = self._path(digest)
        try:
            payload = path.read_bytes()
        except OSError as error:
            raise StoreError(f"a part of the journal is missing: {path}", "put the data directory back") from error
        if hashlib.sha256(payload).digest() != digest:
            raise StoreError(f"a part of the journal is damaged: {path}", "put the data directory back")
        return payload


def sync_folder(path: Path) -> None:
    """Make a rename in ``path`` survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
