"""One frame in, one frame out: the server side of requests, bounded per peer and in total."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio

from omninode.net.counters import Counters
from omninode.net.errors import NetError, PeerRefused, ReplyTooLarge, StreamBroken
from omninode.net.limits import ByteBudget, Limits
from omninode.net.wire import FAILED, Wire
from protocols.errors import RemoteProtocolError

RequestHandler = Callable[[bytes, bytes], Awaitable[bytes]]
StreamHandler = Callable[[Wire], Awaitable[None]]
LINGER = 10.0


@dataclass(frozen=True, slots=True)
class Route:
    """How one protocol is served: handler(peer key, payload) -> reply.

    max_request: bytes of a payload at most, the same for all or by peer key.
    """

    protocol: str
    handler: RequestHandler
    max_request: int | Callable[[bytes], int]

    def limit_for(self, peer_key: bytes) -> int:
        """The largest payload that this peer may send."""
        return self.max_request if isinstance(self.max_request, int) else self.max_request(peer_key)


class PeerSlots:
    """At most ``limit`` at once per peer and protocol; the others wait in their streams, which yamux bounds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._limiters: OrderedDict[tuple[bytes, str], trio.CapacityLimiter] = OrderedDict()

    def of(self, peer_key: bytes, protocol: str) -> trio.CapacityLimiter:
        """The limiter of one peer's requests of one protocol."""
        limiter = self._limiters.get((peer_key, protocol))
        if limiter is None:
            idle = [k for k, each in self._limiters.items() if not each.borrowed_tokens]
            for key in idle[:-256]:
                del self._limiters[key]
            limiter = self._limiters[peer_key, protocol] = trio.CapacityLimiter(self._limit)
        return limiter


class Server:
    """Serves requests and streams of all protocols; nothing that a peer sends, and no handler, can end it.

    A handler that has begun is not cancelled when its requester goes away: what it journals stays consistent.
    """

    def __init__(self, limits: Limits, counters: Counters, log: Any) -> None:
        self._limits = limits
        self._counters = counters
        self._log = log
        self._slots = PeerSlots(limits.requests_per_peer)
        self.budget = ByteBudget(limits.request_bytes)

    async def serve(self, wire: Wire, handler: StreamHandler) -> None:
        """Run ``handler`` on an inbound stream when its peer's turn comes, and end the stream whatever happens."""
        try:
            async with self._slots.of(wire.peer_key, wire.protocol):
                if not wire.gone:  # whoever waited too long for his turn has left
                    await self._fenced(wire, handler)
            await wire.close(LINGER)
        finally:
            self._counters.moved(wire.peer_key, wire.protocol, sent=wire.sent, received=wire.received)
            await wire.abort()

    async def _fenced(self, wire: Wire, handler: StreamHandler) -> None:
        try:
            await handler(wire)
        except RemoteProtocolError as error:
            self._counters.fault(error.rule, wire.peer_key, error.detail)
            await self._say(wire, error.rule, error.detail)
        except ReplyTooLarge as error:
            self._counters.fault("request-size", wire.peer_key, f"{wire.protocol}: {error.size} bytes")
            await self._say(wire, "request-size", f"at most {error.limit} bytes")
        except PeerRefused as error:
            self._counters.event("refused")
            await self._say(wire, error.rule, error.detail)
        except trio.TooSlowError:
            self._counters.fault("too-slow", wire.peer_key, wire.protocol)
        except StreamBroken:
            self._counters.event("inbound-stream-broken")
        except Exception as error:
            self._counters.event("handler-error")
            self._log.error("request handler failed", protocol=wire.protocol, peer=wire.peer_key.hex(), exc_info=error)
            await self._say(wire, None)

    async def _say(self, wire: Wire, rule: str | None, detail: str = "") -> None:
        with trio.move_on_after(LINGER):
            try:
                await (wire.write_frame(b"", FAILED) if rule is None else wire.refuse(rule, detail))
            except NetError:
                return

    def answering(self, route: Route) -> StreamHandler:
        """The stream handler that reads one request, asks the route's handler and sends its reply."""

        async def answer(wire: Wire) -> None:
            with trio.fail_after(self._limits.read_timeout):
                payload = await wire.read_request(route.limit_for(wire.peer_key), self.budget)
            try:
                reply = await route.handler(wire.peer_key, payload)
            finally:
                self.budget.give(len(payload))
            with trio.fail_after(self._limits.write_timeout):
                await wire.write_frame(reply)

        return answer
