"""What a journal says when it is read again: which entries still count, and which messages are in it already."""

from __future__ import annotations

import hashlib

from omninode.roles.events_codec import unpack_events
from protocols.errors import RemoteProtocolError
from protocols.wire import codec

MAX_JOURNALED = 2000  # different messages of one sender in one session


class Heard:
    """Digests of the journaled messages of one session, by sender: none is written twice, and none writes for ever."""

    def __init__(self) -> None:
        self._digests: dict[bytes, set[bytes]] = {}

    def is_new(self, data: bytes) -> bool:
        """Whether these bytes are not journaled yet. RemoteProtocolError where one sender fills our journal."""
        sender = codec.peek_sender(data)
        heard = self._digests.get(sender, ())
        if hashlib.sha256(data).digest() in heard:
            return False
        if len(heard) >= MAX_JOURNALED:
            raise RemoteProtocolError("too-many", sender.hex(), f"more than {MAX_JOURNALED} messages in one session")
        return True

    def note(self, data: bytes) -> None:
        """These bytes are in the journal."""
        self._digests.setdefault(codec.peek_sender(data), set()).add(hashlib.sha256(data).digest())


def without_rolled_back(entries: list[tuple[int, str, bytes]]) -> list[tuple[str, bytes]]:
    """Journal entries in order, without chain blocks and ticks that a later rollback took back."""
    kept: list[tuple[str, bytes]] = []
    for _, kind, payload in entries:
        if kind == "rollback":
            limit = int.from_bytes(payload, "big")
            kept = [(k, p) for k, p in kept if k not in ("chain", "tick") or _block_of(k, p) <= limit]
        else:
            kept.append((kind, payload))
    return kept


def _block_of(kind: str, payload: bytes) -> int:
    return unpack_events(payload)[0] if kind == "chain" else int.from_bytes(payload, "big")
