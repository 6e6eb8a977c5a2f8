"""Follows the chain: every new block once, with its events, also across restarts and reorganisations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import trio

from omninode.chain.errors import ChainError, ChainReplaced
from omninode.chain.interface import Log
from omninode.chain.wire import Block

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from omninode.chain.client import ChainClient

E = TypeVar("E")
POLL_S = 0.4
LONGEST_PAUSE_S = 5.0
CHUNK = 2_000  # blocks per eth_getLogs while catching up
MEMORY = 128  # blocks whose hashes are remembered: the deepest reorg that can be undone


@dataclass(frozen=True, slots=True)
class Batch(Generic[E]):
    """What is new, up to and including ``block``. rolled_back_to: blocks after this one never happened, None: no reorg.

    A reorg comes as a batch of its own (no events, block == rolled_back_to); the new branch follows.
    """

    block: int
    events: list[E]
    rolled_back_to: int | None = None


class CursorStore(Protocol):
    """Remembers (number, hash) of the last blocks, oldest first. Called from worker threads."""

    def load(self) -> list[tuple[int, bytes]]:
        """What was saved last, [] at first."""

    def save(self, blocks: Sequence[tuple[int, bytes]]) -> None:
        """Replace it. Losing the last few saves in a crash is harmless."""


class EventCursor(Generic[E]):
    """An endless asynchronous iterator of batches. One consumer; the RPC being down only delays it.

    A batch counts as handled when the next one is asked for: after a crash the last may come again.
    """

    def __init__(
        self,
        client: ChainClient,
        addresses: Sequence[bytes],
        start_block: int,
        decode: Callable[[Log], Awaitable[E | None]],
        *,
        confirmations: int = 0,
        store: CursorStore | None = None,
        poll_s: float = POLL_S,
        chunk: int = CHUNK,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        """start_block: first block of interest. decode: a log to an event, None to skip it.

        confirmations: blocks that must lie on top of a block before it is told. chunk: blocks per request at most.
        """
        self._client, self._addresses, self._start, self._decode = client, list(addresses), start_block, decode
        self._confirmations, self._store, self._poll_s, self._chunk = confirmations, store, poll_s, chunk
        self._log = log or client.log
        self._trail: list[tuple[int, bytes]] = []  # blocks told, oldest first; not every number is in it
        self._head = b""
        self._opened = False

    @property
    def position(self) -> int:
        """The last block told."""
        return self._trail[-1][0] if self._trail else self._start - 1

    def __aiter__(self) -> EventCursor[E]:
        return self

    async def __anext__(self) -> Batch[E]:
        """The next batch, whenever there is one. ChainReplaced: no remembered block is on the chain any more."""
        if self._store is not None:
            if self._opened:
                await trio.to_thread.run_sync(self._store.save, tuple(self._trail))
            else:
                self._trail = list(await trio.to_thread.run_sync(self._store.load))
        self._opened = True
        pause = self._poll_s
        while True:
            try:
                batch = await self._next()
                pause = self._poll_s
            except ChainReplaced:
                raise
            except ChainError as error:
                self._log.warning("events_delayed", error=str(error), again_in_s=pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                batch = None
            if batch is not None:
                return batch
            await trio.sleep(pause)

    async def _next(self) -> Batch[E] | None:
        """One look at the chain."""
        head = await self._client.block("latest")
        if head is None or head.hash == self._head:
            return None
        if (back := await self._common(head)) is not None:
            self._log.warning("chain_reorganised", back_to=back, head=head.number)
            self._trail = [entry for entry in self._trail if entry[0] <= back]
            return Batch(back, [], rolled_back_to=back)
        last = head.number - self._confirmations
        if last <= self.position:
            self._head = head.hash
            return None
        batch = await self._read(head, min(last, self.position + self._chunk))
        if batch is not None and batch.block == last:
            self._head = head.hash
        return batch

    async def _common(self, head: Block) -> int | None:
        """The last told block that is still on the chain, None where that is simply the last told one."""
        if not self._trail:
            return None
        number, told = self._trail[-1]
        if (head.number == number + 1 and head.parent == told) or (head.number, head.hash) == (number, told):
            return None
        if head.number < number and dict(self._trail).get(head.number) == head.hash:
            return None  # a node behind a load balancer that lags
        for number, told in reversed(self._trail):
            block = await self._client.block(number) if number <= head.number else None
            if block is not None and block.hash == told:
                return None if number == self.position else number
        if len(self._trail) < MEMORY:  # all that we ever told is gone: begin anew
            return min(self._start, self._trail[0][0]) - 1
        raise ChainReplaced(
            f"none of the last {MEMORY} blocks up to {self.position} is on the chain any more; if this is a new chain, "
            "use a new data directory"
        )

    async def _read(self, head: Block, last: int) -> Batch[E] | None:
        """Events up to block ``last``; None where the chain moved while they were read."""
        block = head if last == head.number else await self._client.block(last)
        if block is None:
            return None
        if last == self.position + 1:
            logs = await self._client.logs_of(self._addresses, block.hash)
        else:
            logs = await self._client.logs(self._addresses, self.position + 1, last)
            again = await self._client.block(last)
            if again is None or again.hash != block.hash:
                return None
        events = [event for log in logs if (event := await self._decode(log)) is not None]
        self._trail = [*self._trail, (last, block.hash)][-MEMORY:]
        return Batch(last, events)
