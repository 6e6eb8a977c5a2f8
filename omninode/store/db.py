"""Everything of a node that must survive, behind one object. Methods block: call them through ``trio.to_thread``."""

from __future__ import annotations

from pathlib import Path

from omninode.store.connection import Database
from omninode.store.journal import Journal
from omninode.store.meta import Meta
from omninode.store.safety import Safety
from omninode.store.transcript import Transcripts

DATABASE = "node.sqlite"
FILES = "journal"


class Store:
    """The store of one data directory. Safe from any thread. Every method may raise StoreError."""

    def __init__(self, database: Database, files: Path) -> None:
        self._database = database
        journal, safety, meta = Journal(database, files), Safety(database), Meta(database)
        self.begin, self.append, self.inputs = journal.begin, journal.append, journal.inputs
        self.sessions, self.set_state, self.forget_inputs = journal.sessions, journal.set_state, journal.forget_inputs
        self.record_once, self.recorded = safety.record_once, safety.recorded
        transcripts = Transcripts(database, journal)
        self.transcript, self.payload = transcripts.transcript, transcripts.payload
        self.meta_get, self.meta_put = meta.get, meta.put

    @classmethod
    def open(cls, data_dir: Path) -> Store:
        """Open or create the store of ``data_dir``."""
        return cls(Database(data_dir / DATABASE), data_dir / FILES)

    def close(self) -> None:
        """Idempotent."""
        self._database.close()
