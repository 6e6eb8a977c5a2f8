"""Every limit of the network in one place, with the reason for its default."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import trio

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one node. Sizes in bytes, times in seconds, rates per second.

    The defaults carry 20 daemons on one address with two cores: a starved peer answers late, so nothing below 20 s
    counts as dead, while everything that a stranger can make us hold in memory is bounded.
    """

    max_connections: int = 128
    max_inbound: int = 96  # the rest of max_connections stays free for our own dialling
    per_address: int = 64  # established inbound connections from one IP address
    half_open: int = 96  # sockets that have not finished their handshake, all addresses together
    half_open_per_address: int = 24
    per_peer: int = 2  # connections with one key (both sides may dial at once)
    handshake: float = 20.0
    dial: float = 20.0
    streams_per_connection: int = 128
    window: int = 4 * MIB  # receive window of one stream (yamux grows to it)
    connection_buffer: int = 32 * MIB  # bytes received and not yet read, one connection
    total_buffer: int = 192 * MIB  # the same, all connections

    requests_per_peer: int = 8  # handlers at once for one peer and protocol; more wait in their streams
    request_bytes: int = 256 * MIB  # bodies being received or handled, all peers
    read_timeout: float = 120.0  # a request frame must have arrived
    write_timeout: float = 120.0  # a reply must have been taken

    heartbeat: float = 5.0
    heartbeat_deadline: float = 20.0

    gossip_size: int = 64 * KIB
    gossip_frame: int = 256 * KIB
    publish_rate: float = 20.0
    publish_burst: int = 20
    forward_rate: float = 100.0  # messages that one peer may hand us, its own or others'
    forward_burst: int = 400
    gossip_degree: int = 4
    gossip_degree_low: int = 3
    gossip_degree_high: int = 8
    gossip_heartbeat: float = 1.0
    gossip_queue: int = 256

    target_peers: int = 5  # connections kept up without being asked
    exchange: float = 30.0  # how often addresses are exchanged once there are enough peers
    tracked_peers: int = 1024  # peers with counters of their own


class TokenBucket:
    """``rate`` tokens a second, at most ``burst`` saved up. ``clock`` returns seconds (trio's by default)."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = trio.current_time) -> None:
        self.rate = rate
        self.burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._at: float | None = None

    def _refill(self) -> None:
        now = self._clock()
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now

    def take(self) -> bool:
        """Take one token; False if there is none."""
        self._refill()
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        return True

    async def wait(self) -> None:
        """Take one token, sleeping until there is one."""
        while not self.take():
            await trio.sleep(max(0.001, (1.0 - self._tokens) / self.rate))


class ByteBudget:
    """So many bytes may be held at once; whoever asks for more is refused."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes; False if that would exceed the total."""
        if self.used + size > self.total:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Return ``size`` bytes that were reserved."""
        self.used -= size


def shielded(seconds: float) -> trio.CancelScope:
    """A scope for tidying up while being cancelled: outer cancellation waits, but no longer than ``seconds``."""
    return trio.CancelScope(deadline=trio.current_time() + seconds, shield=True)


def jitter(seconds: float) -> float:
    """``seconds`` give or take a quarter, so that nodes started together do not stay in step."""
    return seconds * random.uniform(0.75, 1.25)
