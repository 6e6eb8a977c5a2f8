"""The peer book: which key was last seen at which addresses. Survives restarts, bounded, trusts nothing it reads."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omninode.net.keys import KEY_BYTES, split_address

VERSION = 1
MAX_ADDRESSES = 8
MAX_RECORD = 2048


@dataclass(slots=True)
class Entry:
    """What is known of one peer. seen: unix seconds of the latest word of it. record: its signed address record."""

    addrs: list[str] = field(default_factory=list)
    seen: float = 0.0
    banned: bool = False
    record: bytes = b""


class PeerBook:
    """Addresses of peers in one JSON file, written whole (temporary file, fsync, rename) by ``save``.

    path: the file; a missing or damaged one is an empty book. limit: peers kept; the longest unseen goes first,
    pinned peers late and banned ones last, so that a flood of invented peers costs no friend and lifts no ban.
    """

    def __init__(self, path: Path | str, limit: int = 1024) -> None:
        self.path = Path(path)
        self.limit = limit
        self.dirty = False
        self._peers: dict[bytes, Entry] = {}
        self._pinned: OrderedDict[bytes, None] = OrderedDict()
        self._load()

    def know(self, peer_key: bytes, addrs: Sequence[str], seen: float, record: bytes = b"") -> bool:
        """Note that ``peer_key`` was at ``addrs`` (TCP multiaddrs, /p2p/ optional) at ``seen`` (unix seconds).

        Older news than what is known, addresses of another key and malformed ones are ignored.
        Returns whether the book changed.
        """
        usable = _usable(peer_key, addrs)
        entry = self._peers.get(peer_key)
        if not usable or (entry is not None and seen < entry.seen):
            return False
        if entry is None:
            entry = self._peers[peer_key] = Entry()
        entry.addrs, entry.seen = usable, float(seen)
        entry.record = record if len(record) <= MAX_RECORD else b""
        self.dirty = True
        self._trim()
        return peer_key in self._peers

    def addrs(self, peer_key: bytes) -> list[str]:
        """Where to dial the peer, best first; empty if it is unknown or banned."""
        entry = self._peers.get(peer_key)
        return [] if entry is None or entry.banned else list(entry.addrs)

    def worked(self, peer_key: bytes, addr: str) -> None:
        """Put an address that answered in front of the peer's others."""
        entry = self._peers.get(peer_key)
        if entry is not None and addr in entry.addrs and entry.addrs[0] != addr:
            entry.addrs.remove(addr)
            entry.addrs.insert(0, addr)
            self.dirty = True

    def pin(self, peer_key: bytes) -> None:
        """Keep this peer while others are dropped: the chain names it. At most half the book; the first pinned go."""
        self._pinned[peer_key] = None
        self._pinned.move_to_end(peer_key)
        while len(self._pinned) > self.limit // 2:
            self._pinned.popitem(last=False)

    def ban(self, peer_key: bytes) -> None:
        """Never dial this peer again, nor let it in."""
        if len(peer_key) == KEY_BYTES:
            self._peers.setdefault(peer_key, Entry()).banned = True
            self.dirty = True
            self._trim()

    def unban(self, peer_key: bytes) -> None:
        """Lift a ban."""
        entry = self._peers.get(peer_key)
        if entry is not None and entry.banned:
            entry.banned = False
            self.dirty = True

    def banned(self, peer_key: bytes) -> bool:
        """Whether the peer is banned."""
        entry = self._peers.get(peer_key)
        return entry is not None and entry.banned

    def peers(self) -> list[bytes]:
        """Keys of all peers that can be dialled, most recently seen first."""
        known = [(e.seen, key) for key, e in self._peers.items() if e.addrs and not e.banned]
        return [key for _, key in sorted(known, reverse=True)]

    def records(self) -> list[bytes]:
        """Signed address records to hand on, most recently seen first."""
        return [self._peers[key].record for key in self.peers() if self._peers[key].record]

    def snapshot(self) -> bytes | None:
        """The whole book as it would be written, or None if nothing changed since the last snapshot."""
        if not self.dirty:
            return None
        self.dirty = False
        peers = {
            key.hex(): {
                "addrs": e.addrs,
                "seen": e.seen,
                "banned": e.banned,
                "record": base64.b64encode(e.record).decode(),
            }
            for key, e in self._peers.items()
        }
        return json.dumps({"version": VERSION, "peers": peers}, indent=1).encode()

    def write(self, snapshot: bytes) -> None:
        """Replace the file (any thread). OSError if the disk refuses; the old file is then untouched."""
        try:
            _write_whole(self.path, snapshot)
        except OSError:
            self.dirty = True
            raise

    def save(self) -> None:
        """Write the book if it changed. OSError if the disk refuses."""
        snapshot = self.snapshot()
        if snapshot is not None:
            self.write(snapshot)

    def _trim(self) -> None:
        while len(self._peers) > self.limit:
            del self._peers[min(self._peers, key=self._worth)]

    def _worth(self, key: bytes) -> tuple[bool, bool, float]:
        entry = self._peers[key]
        return entry.banned, key in self._pinned, entry.seen

    def _load(self) -> None:
        try:
            document = json.loads(self.path.read_bytes())
            peers = document["peers"] if document["version"] == VERSION else {}
            items = list(peers.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        for key, fields in items:
            entry = _read_entry(key, fields)
            if entry is not None:
                self._peers[bytes.fromhex(key)] = entry
        self._trim()


def _usable(peer_key: bytes, addrs: Sequence[str]) -> list[str]:
    found: list[str] = []
    if not isinstance(peer_key, bytes) or len(peer_key) != KEY_BYTES:
        return found
    for text in list(addrs)[: 4 * MAX_ADDRESSES]:
        try:
            base, key = split_address(text)
        except ValueError:
            continue
        if key in (None, peer_key) and base not in found:
            found.append(base)
    return found[:MAX_ADDRESSES]


def _read_entry(key: Any, fields: Any) -> Entry | None:
    try:
        raw = bytes.fromhex(key)
        record = base64.b64decode(fields["record"], validate=True)
        seen, banned = float(fields["seen"]), fields["banned"] is True
        addrs = _usable(raw, fields["addrs"] if isinstance(fields["addrs"], list) else [])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if len(raw) != KEY_BYTES or not (addrs or banned) or seen != seen:
        return None
    return Entry(addrs, seen, banned, record if len(record) <= MAX_RECORD else b"")


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
