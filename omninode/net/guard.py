"""Fences between a stranger's doing and our tasks: the stock library ends the whole process in their place."""

from __future__ import annotations

import functools
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from libp2p.tools.anyio_service.api import ServiceAPI
from libp2p.tools.anyio_service.trio_manager import TrioManager

from omninode.net.limits import Limits

Report = Callable[[str, BaseException], None]


def guarded(async_fn: Callable[..., Awaitable[Any]], report: Report) -> Callable[..., Awaitable[None]]:
    """``async_fn`` with every exception reported instead of raised. Cancellation passes through."""

    @functools.wraps(async_fn)
    async def run(*args: Any) -> None:
        try:
            await async_fn(*args)
        except Exception as error:
            report(getattr(async_fn, "__qualname__", str(async_fn)), error)

    return run


class GuardedManager(TrioManager):
    """Runs one libp2p service. What peers set off (connections, streams, announcements) fails alone; the service's own
    loops still end it when they fail, and the supervisor starts it again."""

    def __init__(self, service: ServiceAPI, report: Report) -> None:
        super().__init__(service)
        self._report = report

    def run_task(
        self,
        async_fn: Callable[..., Awaitable[Any]],
        *args: Any,
        daemon: bool = False,
        name: str | None = None,
        _internal: bool = False,
    ) -> None:
        """As in the original, but a task that is neither the service itself nor one of its daemons is guarded."""
        if not daemon and not _internal:
            async_fn = guarded(async_fn, self._report)
        super().run_task(async_fn, *args, daemon=daemon, name=name, _internal=_internal)


class Knock:
    """One inbound socket, from the accept to the end of its connection."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.scope = trio.CancelScope()
        self.evicted = False


class Door:
    """Lets inbound sockets in: so many at once, so many per address, so many unfinished handshakes.

    Half-open sockets are thrown out oldest first when there are too many, so whoever holds hundreds of them open
    cannot keep out a peer that completes its handshake.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._half_open: OrderedDict[Knock, None] = OrderedDict()
        self._inside: Counter[str] = Counter()
        self.evictions = 0
        self.refusals = 0

    @property
    def half_open(self) -> int:
        """Sockets whose handshake is not finished."""
        return len(self._half_open)

    @property
    def inside(self) -> int:
        """Established inbound connections."""
        return self._inside.total()

    @contextmanager
    def knock(self, address: str) -> Iterator[Knock | None]:
        """Hold a place for one socket from ``address``; None: there is none, close it."""
        limits = self._limits
        if self.inside >= limits.max_inbound or self._inside[address] >= limits.per_address:
            self.refusals += 1
            yield None
            return
        mine = [k for k in self._half_open if k.address == address]
        if len(mine) >= limits.half_open_per_address:
            self._evict(mine[0])
        elif len(self._half_open) >= limits.half_open:
            self._evict(next(iter(self._half_open)))
        knock = Knock(address)
        self._half_open[knock] = None
        try:
            yield knock
        finally:
            if knock in self._half_open:
                del self._half_open[knock]
            elif not knock.evicted:
                self._inside[address] -= 1
                if not self._inside[address]:
                    del self._inside[address]

    def admit(self, knock: Knock) -> bool:
        """The handshake is done: count the socket as inside. False if it was thrown out meanwhile."""
        if knock.evicted:
            return False
        del self._half_open[knock]
        self._inside[knock.address] += 1
        return True

    def _evict(self, knock: Knock) -> None:
        del self._half_open[knock]
        knock.evicted = True
        knock.scope.cancel()
        self.evictions += 1
