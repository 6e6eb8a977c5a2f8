"""Announcements on their way from gossip to the application: one bounded queue and one worker per topic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from omninode.net.counters import Counters
from protocols.errors import RemoteProtocolError

TopicHandler = Callable[[bytes, bytes], Awaitable[None]]


class Topics:
    """Handlers by topic. ``queue``: announcements that may wait for one handler; more are dropped and counted."""

    def __init__(self, queue: int, counters: Counters, log: Any) -> None:
        self._queue = queue
        self._counters = counters
        self._log = log
        self._handlers: dict[str, TopicHandler] = {}
        self._send: dict[str, trio.MemorySendChannel[tuple[bytes, bytes]]] = {}
        self._nursery: trio.Nursery | None = None

    def names(self) -> list[str]:
        """All topics with a handler."""
        return list(self._handlers)

    def add(self, topic: str, handler: TopicHandler) -> None:
        """Set the handler of a topic (the last one counts)."""
        self._handlers[topic] = handler
        if self._nursery is not None and topic not in self._send:
            self._start(topic)

    def deliver(self, topic: str, origin: bytes, data: bytes) -> None:
        """Queue one announcement for its handler."""
        self._counters.moved(origin, f"gossip:{topic}", received=len(data))
        channel = self._send.get(topic)
        if channel is None:
            return
        try:
            channel.send_nowait((origin, data))
        except trio.WouldBlock:
            self._counters.event("gossip-dropped")

    async def run(self) -> None:
        """Run the workers until cancelled."""
        try:
            async with trio.open_nursery() as self._nursery:
                for topic in self._handlers:
                    self._start(topic)
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self._send.clear()

    def _start(self, topic: str) -> None:
        assert self._nursery is not None
        self._send[topic], receive = trio.open_memory_channel[tuple[bytes, bytes]](self._queue)
        self._nursery.start_soon(self._work, topic, receive)

    async def _work(self, topic: str, receive: trio.MemoryReceiveChannel[tuple[bytes, bytes]]) -> None:
        async for origin, data in receive:
            try:
                await self._handlers[topic](origin, data)
            except RemoteProtocolError as error:
                self._counters.fault(error.rule, origin, error.detail)
            except Exception as error:
                self._counters.event("handler-error")
                self._log.error("announcement handler failed", topic=topic, peer=origin.hex(), exc_info=error)
