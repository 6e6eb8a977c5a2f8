"""Who sent how much, and who broke which rule. Bounded, whoever asks for attention."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from omninode.net.limits import TokenBucket


class Traffic:
    """Bytes in and out per protocol, for one peer or for all."""

    __slots__ = ("faults", "received", "sent")

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Plain numbers: {"sent": {protocol: bytes}, "received": {...}, "faults": {rule: count}}."""
        return {"sent": dict(self.sent), "received": dict(self.received), "faults": dict(self.faults)}


class Counters:
    """Totals, and the same for each of the last ``tracked`` peers. ``log``: a structlog logger.

    Every fault is counted; at most a few per second are logged, so that nobody fills our disk with his own faults.
    """

    def __init__(self, log: Any, tracked: int) -> None:
        self.total = Traffic()
        self.events: Counter[str] = Counter()
        self._log = log
        self._tracked = tracked
        self._peers: OrderedDict[bytes, Traffic] = OrderedDict()
        self._log_bucket = TokenBucket(5.0, 20)

    def peer(self, peer_key: bytes) -> Traffic:
        """The counters of one peer; the peer that was silent longest is forgotten for a new one."""
        traffic = self._peers.get(peer_key)
        if traffic is None:
            traffic = self._peers[peer_key] = Traffic()
            if len(self._peers) > self._tracked:
                self._peers.popitem(last=False)
        else:
            self._peers.move_to_end(peer_key)
        return traffic

    def moved(self, peer_key: bytes, protocol: str, *, sent: int = 0, received: int = 0) -> None:
        """Count bytes of application data that went over a stream or a topic."""
        for traffic in (self.total, self.peer(peer_key)):
            if sent:
                traffic.sent[protocol] += sent
            if received:
                traffic.received[protocol] += received

    def fault(self, rule: str, peer_key: bytes | None, detail: str = "") -> None:
        """A peer broke ``rule`` (None: before its key was known)."""
        self.total.faults[rule] += 1
        if peer_key is not None:
            self.peer(peer_key).faults[rule] += 1
        if self._log_bucket.take():
            peer = peer_key.hex() if peer_key else "?"
            self._log.warning("peer broke a rule", rule=rule, peer=peer, detail=detail[:200])

    def event(self, name: str) -> None:
        """Something of our own happened (restart, lost peer, dropped message, handler error)."""
        self.events[name] += 1

    def as_dict(self) -> dict[str, Any]:
        """{"total": ..., "peers": {key hex: ...}, "events": {name: count}}, as in ``Traffic.as_dict``."""
        return {
            "total": self.total.as_dict(),
            "peers": {key.hex(): traffic.as_dict() for key, traffic in self._peers.items()},
            "events": dict(self.events),
        }
