"""A journal as `session verify` reads it: entry by entry, with the links, and with what was sealed along the way."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass

from omninode.store.connection import Database
from omninode.store.journal import Journal


@dataclass(frozen=True, slots=True)
class Entry:
    """One input without its payload. link: 32 bytes, None where it was written before links were kept."""

    seq: int
    kind: str
    link: bytes | None


@dataclass(frozen=True, slots=True)
class Seal:
    """A safety record. entries, link: how long the journal was when it was made, and its last link (None: unknown)."""

    key: str
    value: bytes
    entries: int | None
    link: bytes | None


@dataclass(frozen=True, slots=True)
class Transcript:
    """All of one (session, role). entries: ascending.  seals: by length of the journal, those without one first.

    count, link: how many entries there were after the last one was written, and its link; None: not known.
    seed: None if the part was never begun.
    """

    session: int
    role: str
    seed: bytes | None
    entries: tuple[Entry, ...]
    seals: tuple[Seal, ...]
    count: int | None
    link: bytes | None


class Transcripts:
    """Reads only. ``payload`` is apart, so that nobody needs to hold a whole journal."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._db, self._journal = database, journal

    def transcript(self, session: int, role: str) -> Transcript:
        """One moment's state, whatever is written meanwhile."""
        where = (session, role)
        with self._db.reading() as sql:
            begun = sql.execute("SELECT seed, entries, link FROM sessions WHERE session = ? AND role = ?", where)
            seed, count, link = begun.fetchone() or (None, None, None)
            query = "SELECT seq, kind, link FROM inputs WHERE session = ? AND role = ? ORDER BY seq"
            entries = tuple(Entry(*row) for row in sql.execute(query, where))
            seals = self._seals(sql, session, role)
        return Transcript(session, role, seed, entries, seals, count, link)

    @staticmethod
    def _seals(sql: sqlite3.Connection, session: int, role: str) -> tuple[Seal, ...]:
        rows = sql.execute("SELECT key, value, entries, link FROM safety WHERE session = ?", (session,)).fetchall()
        mine = [Seal(k.removeprefix(role + "/"), v, n, link) for k, v, n, link in rows if k.startswith(role + "/")]
        return tuple(sorted(mine, key=lambda seal: (seal.entries or 0, seal.key)))

    def payload(self, session: int, role: str, seq: int) -> tuple[bytes, bytes]:
        """One payload and its SHA-256. Raises StoreError if its file is gone or damaged, or there is no such entry."""
        payload = self._journal.payload(session, role, seq)
        return payload, hashlib.sha256(payload).digest()
