"""A played session in real stores: one node's journal as its daemon would have left it, and hands that change it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from omninode.reproduce.stage.node import Node
from omninode.roles.verify_entry import BadEntry
from omninode.roles.verify_transcript import Replay, Source
from omninode.store.db import DATABASE, Store
from omninode.store.links import first_link, next_link
from protocols.sessions.events import ChainEvent
from tests.simulation.recorded import chain_events, record
from tests.simulation.session import Session

Row = dict[str, Any]


@dataclass
class Kept:
    """The journal of one node in ``folder``. events: what the chain says now."""

    folder: Path
    node: Node
    role: str
    session: int
    events: list[ChainEvent]
    done: bool = True

    @classmethod
    def of(cls, folder: Path, played: Session, node: Node, role: str) -> Kept:
        """Written anew in ``folder``, with what another node read from the chain."""
        store = Store.open(folder)
        record(node, store, role, bytes(32))
        store.close()
        other = played.owner if node is not played.owner else played.committee()[0]
        return cls(folder, node, role, node.context.session, chain_events(other))

    @contextmanager
    def store(self) -> Iterator[Store]:
        store = Store.open(self.folder)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def source(self) -> Iterator[Source]:
        """What a replay works on. The wallets of simulations sign nothing in gossip."""
        with self.store() as store:
            transcript = store.transcript(self.session, self.role)
            payload = partial(store.payload, self.session, self.role)
            yield Source(
                self.node.context, transcript, payload, self.node._make, self.events, self.node.address, self.done,
                lambda context, message: True,
            )  # fmt: skip

    def replay(self) -> Replay:
        """Play it; raises BadEntry."""
        with self.source() as source:
            replay = Replay(source)
            replay.run()
            return replay

    def first_bad(self) -> BadEntry | None:
        """The first entry that does not hold."""
        try:
            self.replay()
        except BadEntry as bad:
            return bad
        return None

    # -- other people's hands -------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        with self._sql() as sql:
            query = "SELECT seq, kind, payload, digest, link FROM inputs WHERE session = ? ORDER BY seq"
            return [dict(zip(("seq", "kind", "payload", "digest", "link"), row, strict=True))
                    for row in sql.execute(query, (self.session,))]  # fmt: skip

    def write(self, rows: list[Row], *, number: bool = False, link: bool = False, count: bool = False) -> None:
        """Put these entries instead. number: 0, 1, ...; link: with new links; count: with the new end noted as well."""
        rows = [{**row, "seq": i} if number else row for i, row in enumerate(rows)]
        if link:
            rows = list(self._relinked(rows))
        with self._sql() as sql:
            sql.execute("DELETE FROM inputs WHERE session = ?", (self.session,))
            values = [(self.session, self.role, *row.values()) for row in rows]
            sql.executemany("INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            if count:
                end = (len(rows), rows[-1]["link"], self.session)
                sql.execute("UPDATE sessions SET entries = ?, link = ? WHERE session = ?", end)

    def unseal(self) -> None:
        """Take the seals from the safety records."""
        with self._sql() as sql:
            sql.execute("UPDATE safety SET entries = NULL, link = NULL")

    def execute(self, query: str, *values: object) -> None:
        with self._sql() as sql:
            sql.execute(query, values)

    def _relinked(self, rows: list[Row]) -> Iterator[Row]:
        link = first_link(self.session, self.role)
        for row in rows:
            digest = row["digest"] or hashlib.sha256(row["payload"]).digest()
            link = next_link(link, row["kind"], digest)
            yield {**row, "link": link}

    @contextmanager
    def _sql(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.folder / DATABASE)
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            yield connection
        connection.close()
