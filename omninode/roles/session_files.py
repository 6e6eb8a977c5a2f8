"""What a data owner has on its disk, and how long it works, for one session: no longer than that is of use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import trio

from omninode.net.errors import only
from omninode.roles.onchain_driver import ONCHAIN
from omninode.roles.session_task import Refused
from omninode.store.holds import Holds

if TYPE_CHECKING:
    from omninode.roles.services import Services

COLLECT_S = 60.0
POLL_S = 0.5
T = TypeVar("T")


class SessionFiles:
    """Blobs fetched for sessions, of both kinds, by the number that the database has for the session.

    They go a while after the chain has closed the session (it may take that back), or at once where we take no part;
    after a restart those go whose session is not in the database as one that we are in.
    """

    def __init__(self, services: Services, role: str) -> None:
        self._services, self._role = services, role
        self._live: dict[int, Callable[[], bool]] = {}
        self._ended: set[int] = set()  # when we looked last
        self._made: Holds | None = None

    @property
    def _holds(self) -> Holds:
        self._made = self._made or Holds(self._services.blobs)
        return self._made

    def begin(self, session: int, over: Callable[[], bool]) -> None:
        """We look at a session; ``over`` says when the chain has closed it."""
        self._live[session] = over

    def check_budget(self, session: int) -> None:
        """Whether the policy allows one more session. Raises Refused.

        Those count in which our data is, or may still come to be: begun ones, without those of the baseline that were
        over before an upload, and those that we look at (after ``begin``).
        """
        most, used = self._services.config.data_owner.max_sessions, set(self._live)
        for other, role, state in self._services.store.sessions():
            if role == self._role:
                idle = other & ONCHAIN and state and state.get("done") and not state.get("uploaded")
                (used.discard if idle else used.add)(other)
        if len(used - {session}) >= most:
            raise Refused(f"data_owner.max_sessions = {most} sessions with this data are used up")

    async def take(self, session: int, digest: bytes, *, document: bool) -> None:
        """Before a blob is fetched for ``session``. A document may stay for a while after it."""
        holds = self._holds  # made here, not in a thread: there must be one
        await trio.to_thread.run_sync(lambda: holds.take(session, digest, document=document))

    async def drop(self, session: int) -> None:
        """We take no part."""
        self._live.pop(session, None)
        await trio.to_thread.run_sync(self._holds.release, session)

    async def collect(self) -> None:
        """Delete what no session needs; of one that has just ended only with the next call."""
        ended = {session for session, over in self._live.items() if over()}
        due, self._ended = ended & self._ended, ended
        begun = {
            session for session, role, state in await trio.to_thread.run_sync(self._services.store.sessions)
            if role == self._role and not (state and state.get("done"))
        }  # fmt: skip
        self._live = {session: over for session, over in self._live.items() if session not in due}
        gone = await trio.to_thread.run_sync(self._holds.collect, lambda: (begun - due) | set(self._live))
        if gone:
            self._services.log.info("session_files_deleted", sessions=gone)

    async def run(self) -> None:
        """Collect now and then. A disk that does not answer is asked again; nothing else here depends on it."""
        while True:
            try:
                await self.collect()
            except (OSError, ValueError) as error:
                self._services.log.warning("session_files_not_deleted", reason=str(error))
            await trio.sleep(COLLECT_S)


async def unless(late: Callable[[], bool], work: Callable[[], Awaitable[T]]) -> list[T]:
    """[result of ``work``]; [] where ``late`` came true before it was done, and ``work`` was cancelled."""
    results: list[T] = []
    try:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                while not late():
                    await trio.sleep(POLL_S)
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            results.append(await work())
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise only(group) from None
    return results
