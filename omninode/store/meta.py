"""Single values of the node: where it stands on the chain, and the like."""

from __future__ import annotations

from omninode.store.connection import Database


class Meta:
    """Text by key."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, key: str) -> str | None:
        """The value, or None."""
        with self._db.reading() as sql:
            row = sql.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Write or replace."""
        with self._db.transaction() as sql:
            sql.execute(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
            )
