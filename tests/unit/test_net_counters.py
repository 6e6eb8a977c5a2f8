"""Counters and topics: bounded memory, bounded logs, one bad handler hurts nobody."""

from __future__ import annotations

from typing import Any

import trio

from omninode.net.counters import Counters
from omninode.net.topics import Topics
from protocols.errors import RemoteProtocolError


class Log:
    """Remembers what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, text: str, **fields: Any) -> None:
        self.lines.append((text, fields))

    error = warning


async def test_every_fault_counts_but_few_are_logged() -> None:
    log = Log()
    counters = Counters(log, tracked=10)
    for _ in range(1000):
        counters.fault("some-rule", b"\1" * 32, "detail" * 1000)
    assert counters.as_dict()["total"]["faults"] == {"some-rule": 1000}
    assert counters.as_dict()["peers"][("01" * 32)]["faults"] == {"some-rule": 1000}
    assert 0 < len(log.lines) < 50
    assert log.lines[0][1]["peer"] == "01" * 32
    assert len(log.lines[0][1]["detail"]) <= 200


async def test_only_so_many_peers_are_remembered() -> None:
    counters = Counters(Log(), tracked=10)
    for n in range(100):
        counters.moved(bytes([n]) * 32, "/p", sent=1, received=2)
    state = counters.as_dict()
    assert state["total"] == {"sent": {"/p": 100}, "received": {"/p": 200}, "faults": {}}
    assert list(state["peers"]) == [(bytes([n]) * 32).hex() for n in range(90, 100)]


async def test_handlers_get_announcements_in_order_and_may_fail() -> None:
    log, heard, done = Log(), [], trio.Event()
    counters = Counters(log, tracked=10)
    topics = Topics(100, counters, log)

    async def handler(origin: bytes, data: bytes) -> None:
        heard.append(data)
        if data == b"bad":
            raise RemoteProtocolError("bad-announcement")
        if data == b"bug":
            raise ZeroDivisionError
        if data == b"end":
            done.set()

    topics.add("early", handler)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(topics.run)
        await trio.testing.wait_all_tasks_blocked()
        topics.add("late", handler)
        for data in (b"1", b"bad", b"bug", b"2"):
            topics.deliver("early", b"\1" * 32, data)
        topics.deliver("unknown", b"\1" * 32, b"nobody")
        await trio.testing.wait_all_tasks_blocked()
        topics.deliver("late", b"\1" * 32, b"end")
        await done.wait()
        nursery.cancel_scope.cancel()
    assert heard == [b"1", b"bad", b"bug", b"2", b"end"]
    assert counters.total.faults == {"bad-announcement": 1}
    assert counters.events == {"handler-error": 1}


async def test_a_slow_handler_loses_the_excess_and_says_so() -> None:
    counters = Counters(Log(), tracked=10)
    topics = Topics(3, counters, Log())

    async def slow(origin: bytes, data: bytes) -> None:
        await trio.sleep_forever()

    topics.add("topic", slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(topics.run)
        await trio.testing.wait_all_tasks_blocked()
        topics.deliver("topic", b"\1" * 32, b"x")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(10):
            topics.deliver("topic", b"\1" * 32, b"x")
        nursery.cancel_scope.cancel()
    assert counters.events == {"gossip-dropped": 7}
