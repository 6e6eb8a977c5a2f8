"""The safety journal: what was said once in a session is never said differently, crashes included (design: MARKET)."""

from __future__ import annotations

from omninode.errors import SafetyError
from omninode.store.connection import Database


class Safety:
    """Write-once values by (session, key). Never deleted: they outlive the inputs of the session.

    Keys are "role/name". A new record seals the journal of its role: how long it is, and its last link.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def record_once(self, session: int, key: str, value: bytes) -> None:
        """Write (key, value), on disk when this returns; the same again is fine. SafetyError for another value."""
        with self._db.transaction() as sql:
            query = "SELECT seq + 1, link FROM inputs WHERE session = ? AND role = ? ORDER BY seq DESC LIMIT 1"
            seal = sql.execute(query, (session, key.partition("/")[0])).fetchone() or (None, None)
            sql.execute("INSERT OR IGNORE INTO safety VALUES (?, ?, ?, ?, ?)", (session, key, value, *seal))
            row = sql.execute("SELECT value FROM safety WHERE session = ? AND key = ?", (session, key)).fetchone()
            if bytes(row[0]) != value:
                raise SafetyError(
                    f"session {session}: the safety journal holds another value for {key}",
                    "this node leaves the session; was its data directory copied or put back?",
                )

    def recorded(self, session: int, key: str) -> bytes | None:
        """The value under a key, if there is one."""
        with self._db.reading() as sql:
            row = sql.execute("SELECT value FROM safety WHERE session = ? AND key = ?", (session, key)).fetchone()
        return None if row is None else bytes(row[0])
