"""Small numbers in memory: how often something happened since the node started."""

from __future__ import annotations

import threading
from collections import Counter

LIMIT = 1024  # names; a peer that invents rule names must not fill our memory


class Counters:
    """Named counters. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, amount: int = 1) -> None:
        """Count; names beyond LIMIT are counted together as "other"."""
        with self._lock:
            known = name in self._counts or len(self._counts) < LIMIT
            self._counts[name if known else "other"] += amount

    def __getitem__(self, name: str) -> int:
        with self._lock:
            return self._counts[name]

    def as_dict(self) -> dict[str, int]:
        """All of them, by name."""
        with self._lock:
            return dict(sorted(self._counts.items()))
