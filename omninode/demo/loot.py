"""What attackers share behind everybody's back: updates of colluders, uploads to be replayed. By name, in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgpack

from protocols.wire.messages import Upload

LOOT = "loot"
"""Folder of a run, beside nodes/, that all attackers see."""

REWIND = "rewind"
"""Mark for the model owner: all attacked sessions start from the same model."""


class Loot(Protocol):
    """A place that all colluders see."""

    def put(self, name: str, data: bytes) -> None: ...
    def get(self, name: str) -> bytes | None: ...


class Pocket:
    """In memory, for tests."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def put(self, name: str, data: bytes) -> None:
        self._kept[name] = data

    def get(self, name: str) -> bytes | None:
        """None: not there yet."""
        return self._kept.get(name)


class Folder:
    """Files under ``path``; readers see whole files only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, data: bytes) -> None:
        draft = self._path / (name + ".new")
        draft.write_bytes(data)
        draft.rename(self._path / name)

    def get(self, name: str) -> bytes | None:
        """None: not there yet."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None


def pack_uploads(uploads: Sequence[Upload]) -> bytes:
    """The messages of one uploader, in committee order."""
    rows = [(u.sender, u.root, list(u.proof), u.enc_key, u.sealed, u.public) for u in uploads]
    return bytes(msgpack.packb(rows))


def unpack_uploads(data: bytes) -> list[Upload]:
    """Inverse of ``pack_uploads``."""
    rows = msgpack.unpackb(data)
    return [
        Upload(sender, root, tuple(proof), key, sealed, public) for sender, root, proof, key, sealed, public in rows
    ]
