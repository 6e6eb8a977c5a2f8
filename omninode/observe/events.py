"""events.jsonl: one JSON object per line for everything that an operator or a test may want to know later."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omninode.errors import disk_error
from omninode.observe.counters import Counters
from omninode.observe.redact import HIDDEN, clean, is_secret_name


class EventLog:
    """Appends {"ts", "node", "event", ...}; ts in seconds since 1970. Safe from any thread.

    An event that cannot be written (full disk) is counted as "events_lost" and never stops the node: what must
    survive is in the store, which does stop it.
    """

    def __init__(self, path: Path, *, node: str, clock: Callable[[], float] = time.time) -> None:
        self._node, self._clock = node, clock
        self._lock = threading.Lock()
        self.counters = Counters()
        try:
            self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise disk_error(error, path) from error

    def write(self, event: str, **fields: Any) -> None:
        """Append one event. Secrets are blanked out by field name and by value; bytes become hex."""
        self.counters.add(event)
        record = {"ts": round(self._clock(), 3), "node": self._node, "event": event}
        record |= {key: HIDDEN if is_secret_name(key) else clean(value) for key, value in fields.items()}
        line = (json.dumps(record, separators=(",", ":"), allow_nan=True) + "\n").encode()
        with self._lock:  # one write per line: readers of a growing file never see half of two
            try:
                if self._file is not None:
                    os.write(self._file, line)
            except OSError:
                self.counters.add("events_lost")

    def blame(self, session: int, peer: bytes, rule: str, detail: str = "") -> None:
        """A peer (wallet address) broke a rule of the protocol."""
        self.counters.add(f"fault/{rule}")
        self.write("blame", session=session, peer=peer, rule=rule, detail=detail[:500])

    def close(self) -> None:
        """Idempotent; later events are only counted."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
