"""Nodes in processes of their own: finding each other, dying, coming back, falling silent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from tests.net_kit import ANY_PORT, seed

CHILD = Path(__file__).with_name("net_child.py")
ROOT = CHILD.parent.parent.parent


class Child:
    """One node; ``events`` collects what it said."""

    def __init__(self, path: Path, name: str, deadline: float = 20.0) -> None:
        self.name = name
        self.path = path
        self.deadline = deadline
        self.events: list[dict[str, Any]] = []
        self.process: trio.Process | None = None
        self.key = ""
        self.addrs: list[str] = []

    async def start(self, nursery: trio.Nursery, bootstrap: list[str], listen: str = ANY_PORT) -> None:
        """Start the process and wait until it listens."""
        command = [sys.executable, str(CHILD), str(self.path / self.name), seed(self.name).hex(), listen]
        self.process = await trio.lowlevel.open_process(
            [*command, str(self.deadline), *bootstrap],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.events.clear()
        nursery.start_soon(self._listen, self.process)
        up = await self.wait(lambda e: e["event"] == "up")
        self.key, self.addrs = up["key"], up["addrs"]

    async def _listen(self, process: trio.Process) -> None:
        assert process.stdout is not None
        rest = b""
        async for data in process.stdout:
            *lines, rest = (rest + data).split(b"\n")
            self.events += [json.loads(line) for line in lines if line.startswith(b'{"event"')]

    async def tell(self, command: str) -> None:
        """Give a command."""
        assert self.process is not None and self.process.stdin is not None
        await self.process.stdin.send_all(command.encode() + b"\n")

    async def wait(self, matches: Callable[[dict[str, Any]], bool], limit: float = 60.0) -> dict[str, Any]:
        """The first event that matches, past or to come."""
        with trio.fail_after(limit):
            while True:
                for event in self.events:
                    if matches(event):
                        return event
                await trio.sleep(0.05)
        raise AssertionError

    async def ask(self, command: str) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        name = command.split()[0]
        self.events[:] = [e for e in self.events if e["event"] != name]
        await self.tell(command)
        return await self.wait(lambda e: e["event"] == name)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to this process."""
        assert self.process is not None
        self.process.send_signal(number)


@asynccontextmanager
async def children(path: Path, count: int, deadline: float = 20.0) -> AsyncIterator[tuple[list[Child], trio.Nursery]]:
    """``count`` nodes that know the address of the first only."""
    nodes = [Child(path, f"node{n}", deadline) for n in range(count)]
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(150):
                await nodes[0].start(nursery, [])
                async with trio.open_nursery() as starting:
                    for node in nodes[1:]:
                        starting.start_soon(node.start, nursery, nodes[0].addrs)
                yield nodes, nursery
            nursery.cancel_scope.cancel()
    finally:
        for node in nodes:
            if node.process is not None and node.process.returncode is None:
                node.process.kill()


async def meet(nodes: list[Child], at_least: int) -> None:
    """Wait until every node has that many connections."""
    for node in nodes:
        with trio.fail_after(60):
            while len((await node.ask("stats"))["connected"]) < at_least:
                await trio.sleep(0.3)


async def reach(node: Child, key: str) -> None:
    """Wait until the node gets an answer from the peer."""
    with trio.fail_after(60):
        while not (await node.ask(f"echo {key}"))["ok"]:
            await trio.sleep(0.5)


async def spread(nodes: list[Child], text: str) -> None:
    """Every node announces, until every other has heard it (announcements are repeated, as in the daemon)."""
    missing = {(n.name, m.key) for n in nodes for m in nodes if n is not m}
    with trio.fail_after(60):
        while missing:
            for node in nodes:
                if any(key == node.key for _, key in missing):
                    await node.tell(f"publish {text}")
            await trio.sleep(1.0)
            for node in nodes:
                heard = {e["origin"] for e in node.events if e["event"] == "heard" and e["text"] == text}
                missing -= {(node.name, key) for key in heard}


async def test_five_find_each_other_and_a_killed_one_returns(tmp_path: Path) -> None:
    async with children(tmp_path, 5) as (nodes, nursery):
        await meet(nodes, 4)
        await spread(nodes, "first")
        victim = nodes[2]
        port = victim.addrs[0].split("/")[4]
        victim.kill()
        for other in (nodes[0], nodes[1]):
            await other.wait(lambda e: e["event"] == "lost" and e["peer"] == victim.key)
        assert not (await nodes[0].ask(f"echo {victim.key}"))["ok"]
        await victim.start(nursery, [], f"/ip4/127.0.0.1/tcp/{port}")  # without bootstrap: its book remembers
        await reach(nodes[0], victim.key)
        await reach(victim, nodes[4].key)  # killed before its book was saved, it learns the address from others again
        await spread(nodes, "second")
        for node in nodes:
            assert (await node.ask("stats"))["stats"]["total"]["faults"] == {}


async def test_a_stopped_process_is_noticed_and_comes_back(tmp_path: Path) -> None:
    """SIGSTOP closes no socket: only the heartbeat tells."""
    async with children(tmp_path, 2, deadline=3.0) as ((one, two), _):
        assert (await one.ask(f"echo {two.key}"))["ok"]
        two.kill(signal.SIGSTOP)
        await one.wait(lambda e: e["event"] == "lost" and e["peer"] == two.key)
        assert (await one.ask("stats"))["stats"]["events"]["heartbeat-lost"] >= 1
        two.kill(signal.SIGCONT)
        assert (await one.ask(f"echo {two.key}"))["ok"]
        assert (await two.ask(f"echo {one.key}"))["ok"]


async def test_leaving_says_goodbye(tmp_path: Path) -> None:
    async with children(tmp_path, 2) as ((one, two), _):
        assert (await one.ask(f"echo {two.key}"))["ok"]
        await two.tell("quit")
        await one.wait(lambda e: e["event"] == "lost" and e["peer"] == two.key, limit=15)
        assert two.process is not None
        with trio.fail_after(15):
            assert await two.process.wait() == 0
