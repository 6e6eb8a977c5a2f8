"""Our transactions on disk: written before the first byte of one leaves, so that no crash makes us send it twice."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from omninode.chain.errors import ChainError
from omninode.chain.interface import Log
from omninode.chain.transaction import Attempt, Receipt, TxRecord, TxState

_SCHEMA = """
CREATE TABLE IF NOT EXISTS chain_tx (
    scope TEXT NOT NULL, key TEXT NOT NULL, nonce INTEGER NOT NULL, state TEXT NOT NULL, fn TEXT NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (scope, key)
) WITHOUT ROWID
"""


class StoreFailed(ChainError):
    """The transaction could not be written to disk (full, read-only, damaged); it was not sent."""


class TxStore(Protocol):
    """Where transactions are remembered. scope: one wallet on one chain. Called from worker threads, one at a time."""

    def unsettled(self, scope: str) -> list[TxRecord]:
        """All records that are not FINAL, by nonce."""

    def find(self, scope: str, key: str) -> TxRecord | None:
        """The record of this key, in any state."""

    def save(self, scope: str, record: TxRecord) -> None:
        """Insert or replace by key; on disk when this returns. Raises StoreFailed."""


class SqliteTxStore:
    """A table of its own in a SQLite file (which may hold other tables)."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise StoreFailed(f"cannot open {path}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def unsettled(self, scope: str) -> list[TxRecord]:
        """See TxStore."""
        sql = "SELECT body FROM chain_tx WHERE scope = ? AND state != ? ORDER BY nonce"
        with self._lock:
            rows = self._db.execute(sql, (scope, TxState.FINAL)).fetchall()
        return [_unpack(body) for (body,) in rows]

    def find(self, scope: str, key: str) -> TxRecord | None:
        """See TxStore."""
        with self._lock:
            row = self._db.execute("SELECT body FROM chain_tx WHERE scope = ? AND key = ?", (scope, key)).fetchone()
        return _unpack(row[0]) if row else None

    def save(self, scope: str, record: TxRecord) -> None:
        """See TxStore."""
        row = (scope, record.key, record.nonce, record.state, record.fn, _pack(record))
        try:
            with self._lock:
                self._db.execute("INSERT OR REPLACE INTO chain_tx VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise StoreFailed(f"transaction {record.key} could not be recorded: {error}") from error


def _pack(record: TxRecord) -> str:
    return json.dumps(asdict(record), default=bytes.hex)


def _unpack(body: str) -> TxRecord:
    fields: dict[str, Any] = json.loads(body)
    fields["attempts"] = [
        Attempt(bytes.fromhex(a["raw"]), bytes.fromhex(a["tx_hash"]), a["tip"], a["max_fee"])
        for a in fields["attempts"]
    ]
    if (receipt := fields["receipt"]) is not None:
        for name in ("tx_hash", "contract"):
            receipt[name] = bytes.fromhex(receipt[name])
        receipt["logs"] = tuple(_unpack_log(log) for log in receipt["logs"])
        fields["receipt"] = Receipt(**receipt)
    fields |= {name: bytes.fromhex(fields[name]) for name in ("to", "data")}
    return TxRecord(**{**fields, "state": TxState(fields["state"])})


def _unpack_log(fields: dict[str, Any]) -> Log:
    binary = {name: bytes.fromhex(fields[name]) for name in ("address", "data", "block_hash")}
    return Log(**{**fields, **binary, "topics": tuple(bytes.fromhex(topic) for topic in fields["topics"])})
