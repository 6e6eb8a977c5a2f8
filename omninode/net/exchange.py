"""Peers find each other: a few connections are kept up, and over each of them signed address records are exchanged."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol

import msgpack
import trio

from omninode.net.book import MAX_RECORD, PeerBook
from omninode.net.errors import NetError
from omninode.net.limits import Limits, jitter
from omninode.net.records import read_record, sign_record
from protocols.errors import RemoteProtocolError

PROTOCOL = "/omninode/peers/1"
MAX_RECORDS = 24
MAX_MESSAGE = (MAX_RECORDS + 1) * (MAX_RECORD + 8)
_FUTURE = 600.0
_IMPATIENT = 1.0
_BACKOFF_MAX = 120.0


class Dialler(Protocol):
    """What the exchange needs of the network."""

    peer_key: bytes

    def connected(self) -> list[bytes]: ...
    async def request(self, peer_key: bytes, protocol: str, payload: bytes, *, deadline: float) -> bytes: ...


def pack_records(records: list[bytes]) -> bytes:
    """Encode records for the wire, as many as the message may hold."""
    packed: bytes = msgpack.packb(records[: MAX_RECORDS + 1])
    return packed


def unpack_records(data: bytes) -> list[bytes]:
    """Decode what ``pack_records`` made; the records themselves are not checked. ValueError if malformed."""
    try:
        records = msgpack.unpackb(data, max_array_len=MAX_RECORDS + 1, max_map_len=0, max_bin_len=MAX_RECORD)
    except Exception as error:
        raise ValueError("not a list of records") from error
    if not isinstance(records, list) or not all(isinstance(r, bytes) for r in records):
        raise ValueError("not a list of records")
    return records


class Exchange:
    """Keeps ``limits.target_peers`` connections up and the book filled. clock: unix seconds."""

    def __init__(
        self,
        net: Dialler,
        seed: bytes,
        book: PeerBook,
        limits: Limits,
        addresses: Callable[[], list[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._net = net
        self._seed = seed
        self._book = book
        self._limits = limits
        self._addresses = addresses
        self._clock = clock
        self._own: tuple[list[str], bytes] = ([], b"")
        self._backoff: dict[bytes, tuple[float, float]] = {}

    def record(self) -> bytes:
        """Our own record, signed anew when our addresses change."""
        addrs = self._addresses()
        if addrs != self._own[0]:
            self._own = (addrs, sign_record(self._seed, int(self._clock() * 1000), addrs))
        return self._own[1]

    def learn(self, records: list[bytes]) -> int:
        """Check records and put the good ones into the book. Returns how many were bad."""
        bad = 0
        for data in records:
            try:
                record = read_record(data)
            except ValueError:
                bad += 1
                continue
            if record.key != self._net.peer_key and record.seq / 1000 < self._clock() + _FUTURE:
                self._book.know(record.key, record.addrs, record.seq / 1000, data)
        return bad

    def sample(self, for_peer: bytes) -> list[bytes]:
        """Our record and some others: half of them the freshest, half at random."""
        records = [r for r in self._book.records() if for_peer not in r]
        fresh, rest = records[: MAX_RECORDS // 2], records[MAX_RECORDS // 2 :]
        return [self.record(), *fresh, *random.sample(rest, min(len(rest), MAX_RECORDS // 2))]

    async def answer(self, peer_key: bytes, payload: bytes) -> bytes:
        """Serve one exchange: learn what the peer sent, reply with what we know."""
        try:
            bad = self.learn(unpack_records(payload))
        except ValueError as error:
            raise RemoteProtocolError("peer-exchange-form", peer_key.hex(), str(error)) from error
        if bad:
            raise RemoteProtocolError("peer-record", peer_key.hex(), f"{bad} bad records")
        return pack_records(self.sample(peer_key))

    async def ask(self, peer_key: bytes) -> None:
        """Exchange records with one peer, dialling it if necessary. NetError if it does not work out."""
        payload = pack_records(self.sample(peer_key))
        reply = await self._net.request(peer_key, PROTOCOL, payload, deadline=2 * self._limits.dial)
        try:
            self.learn(unpack_records(reply))
        except ValueError as error:
            raise NetError("malformed peer exchange") from error

    async def run(self) -> None:
        """Every so often: dial somebody new while there are too few connections, else talk to a neighbour."""
        while True:
            peer_key = self._next()
            if peer_key is not None:
                await self._try(peer_key)
            await trio.sleep(jitter(self._pause()))

    def _next(self) -> bytes | None:
        connected = self._net.connected()
        now = trio.current_time()
        if len(connected) < self._limits.target_peers:
            known = [k for k in self._book.peers() if k not in connected and k != self._net.peer_key]
            ready = [k for k in known if self._backoff.get(k, (0.0, 0.0))[0] <= now]
            if ready:
                return random.choice(ready)
        return random.choice(connected) if connected else None

    async def _try(self, peer_key: bytes) -> None:
        try:
            await self.ask(peer_key)
        except NetError:
            last = self._backoff.get(peer_key, (0.0, _IMPATIENT))[1]
            self._backoff[peer_key] = (trio.current_time() + jitter(last), min(2 * last, _BACKOFF_MAX))
            if len(self._backoff) > self._book.limit:
                self._backoff.clear()
        else:
            self._backoff.pop(peer_key, None)

    def _pause(self) -> float:
        connected = self._net.connected()
        known = [k for k in self._book.peers() if k != self._net.peer_key]
        if not connected or len(connected) < min(self._limits.target_peers, len(known)):
            return _IMPATIENT
        if len(connected) < self._limits.target_peers:
            return min(5.0, self._limits.exchange)  # everybody we know is connected: somebody may have arrived
        return self._limits.exchange
