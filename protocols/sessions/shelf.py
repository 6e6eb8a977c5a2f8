"""Where a prover puts share vectors down: a node passes one on disk, so that memory does not grow with data owners."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from protocols.fields.goldilocks import Vector


class Shelf(Protocol):
    """A cache by name. A machine that is replayed puts the same bytes again."""

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data``; what stood there before is gone, views of it stay valid."""

    def get(self, name: str) -> memoryview:
        """The bytes under ``name``, read-only. KeyError if there are none."""

    def drop(self, name: str) -> None:
        """Forget ``name``, if it is there; views of it stay valid."""


class MemoryShelf:
    """A shelf in memory, for tests and small sessions."""

    def __init__(self) -> None:
        self._items: dict[str, bytes] = {}

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``."""
        self._items[name] = bytes(data)

    def get(self, name: str) -> memoryview:
        """The bytes under ``name``. KeyError if there are none."""
        return memoryview(self._items[name])

    def drop(self, name: str) -> None:
        """Forget ``name``."""
        self._items.pop(name, None)


def put_vector(shelf: Shelf, name: str, vector: Vector) -> None:
    """Put canonical field elements down, 8 bytes each, little-endian."""
    shelf.put(name, vector.astype("<u8", copy=False).tobytes())


def get_vector(shelf: Shelf, name: str) -> Vector:
    """A read-only view of what ``put_vector`` put down: nothing is copied. KeyError if there is nothing."""
    return np.frombuffer(shelf.get(name), dtype="<u8").view(np.uint64)
