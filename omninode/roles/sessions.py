"""All sessions of this node: starts a driver where a role wants one, feeds it the chain and its peers' messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import trio

from omninode.errors import SafetyError, StoreError, cause_of
from omninode.net.errors import PeerRefused
from omninode.roles.chainlog import ChainLog
from omninode.roles.delivery import SESSION_PROTOCOL
from omninode.roles.directory import takes_part
from omninode.roles.driver import SessionDriver
from omninode.roles.onchain_driver import ONCHAIN
from omninode.roles.transact import transact
from protocols.errors import RemoteProtocolError
from protocols.sessions.effects import Transact
from protocols.sessions.events import ChainEvent, CommitteeDrawn, Registered, SessionCreated
from protocols.sessions.params import Phase
from protocols.wire import codec
from protocols.wire.context import Context
from protocols.wire.messages import Announcement

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from omninode.roles.services import Services
    from protocols.sessions.view import SessionView

STRANGERS_MESSAGE = 64 << 10  # bytes; participants of a session may send what its numbers allow
DRIVER_TRIES = 3
KEPT_JOURNALS = 32
CLAIM_POLL_S = 2.0
RESUME_KEY = "chain/resume-block"


class Role(Protocol):
    """A role decides whether it takes part in a session, and builds the driver if so."""

    name: str

    def wants(self, view: SessionView) -> bool: ...
    async def join(self, view: SessionView) -> SessionDriver | None: ...
    async def run(self) -> None: ...


class Sessions:
    """The node's only owner of drivers. One driver per session: no wallet has two parts in one session."""

    def __init__(self, services: Services, roles: Sequence[Role]) -> None:
        self._services, self._roles = services, roles
        self.chain = ChainLog()
        self.drivers: dict[int, SessionDriver] = {}
        self.block = 0
        self._asked: set[tuple[int, str]] = set()
        self._joining: Counter[int] = Counter()  # roles that still look at the session
        self._unfinished = {s for s, _, state in services.store.sessions() if not (state and state.get("done"))}
        self._nursery: trio.Nursery

    async def run(self) -> None:
        """Follow the chain and serve messages until cancelled."""
        self._services.net.on_request(SESSION_PROTOCOL, self._on_message, max_request=self._most_bytes)
        self._services.directory.listen(self._on_announcement)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            async for batch in self._services.market.cursor(
                self._start_block(), confirmations=self._services.config.chain.confirmations
            ):
                if batch.rolled_back_to is not None:
                    self._roll_back(batch.rolled_back_to)
                self._on_block(batch.block, batch.events)
                await self._save_position(batch.block)

    def _most_bytes(self, peer_key: bytes) -> int:
        """How large a message of this peer may be: strangers have nothing large to say.

        Of a session whose driver is not ready yet the chain knows the numbers: the message is read and answered with
        "not-ready", where its size would be a fault and the message lost.
        """
        sizes = [driver.most_bytes(peer_key) for driver in self.drivers.values()]
        views = [self.chain.views[s] for s in {*self.drivers, *self._joining} if s in self.chain.views]
        sizes += [codec.limits_for(v.p).largest for v in views if v.params is not None and takes_part(v, peer_key)]
        return max(sizes, default=0) or STRANGERS_MESSAGE

    def _start_block(self) -> int:
        saved = self._services.store.meta_get(RESUME_KEY)
        return int(saved) if saved else self._services.market.start_block

    async def _save_position(self, block: int) -> None:
        resume = str(self.chain.resume_block(block, self._unfinished | set(self.drivers)))
        if self._services.store.meta_get(RESUME_KEY) != resume:
            await trio.to_thread.run_sync(self._services.store.meta_put, RESUME_KEY, resume)

    def _roll_back(self, block: int) -> None:
        self._services.log.warning("chain_reorganised", back_to=block)
        self.chain.roll_back(block)
        for driver in self.drivers.values():
            driver.roll_back(block)

    def _on_block(self, block: int, events: list[ChainEvent]) -> None:
        self.block = block
        grouped = self.chain.fold(block, events)
        for session, driver in self.drivers.items():
            driver.push_block(block, grouped.get(session, []))
        for session in grouped:
            self._ask_roles(session)
        for event in events:
            for peer_key in _named_in(event):
                self._services.net.book.pin(peer_key)
        self.chain.trim()

    def _ask_roles(self, session: int) -> None:
        view = self.chain.views[session]
        if session in self.drivers:
            return
        if self.chain.ended(session) and session not in self._unfinished:
            self.chain.forget(session)
            return
        wanted = [role for role in self._roles if role.wants(view)]
        for role in wanted:
            if (session, role.name) not in self._asked:
                self._asked.add((session, role.name))
                self._nursery.start_soon(self._join, role, session)
        if not wanted and self.chain.ended(session):  # begun once, but it never came to anything
            self._unfinished.discard(session)

    async def _join(self, role: Role, session: int) -> None:
        """A defect at the start of one session ends neither the others nor this node."""
        self._joining[session] += 1
        try:
            driver = await role.join(self.chain.views[session])
        except Exception as error:
            self._failed(self._services.log.bind(session=session, role=role.name), session, error)
            return
        finally:
            self._joining -= Counter([session])
        if driver is None or session in self.drivers:
            return
        for block, events in self.chain.history(session):
            driver.push_block(block, events)
        self.drivers[session] = driver
        self._nursery.start_soon(self._drive, driver)
        for message in self._services.directory.announcements(session):
            self._on_announcement(driver.context, message)

    async def _drive(self, driver: SessionDriver) -> None:
        """Run a driver to its end. A defect in one session must not end the others: it starts over from its journal."""
        for attempt in range(DRIVER_TRIES):
            try:
                await driver.run()
                break
            except Exception as error:
                if isinstance(self._failed(driver.log, driver.session, error), SafetyError):
                    break
                await trio.sleep(2.0**attempt)
        await trio.to_thread.run_sync(driver.close)
        if not driver.over:
            await self._claim_when_ended(driver)
        await trio.to_thread.run_sync(self._forget_old)
        self._unfinished.discard(driver.session)
        self.drivers.pop(driver.session, None)
        self.chain.forget(driver.session)

    def _failed(self, log: BoundLogger, session: int, error: Exception) -> BaseException:
        """Log what a session died of, and return it. A disk that is full or gone is raised on: nothing may be sent that
        is not journaled.
        """
        cause = cause_of(error)
        if isinstance(cause, StoreError) and not isinstance(cause, SafetyError):
            raise error
        log.error("session_failed", error=str(cause), kind=type(cause).__name__, exc_info=error)
        self._services.events.write("session_failed", session=session, reason=str(cause))
        return cause

    async def _claim_when_ended(self, driver: SessionDriver) -> None:
        """Of a session that we cannot go on with we still take what the contract owes us."""
        while not self.chain.ended(driver.session):
            await trio.sleep(CLAIM_POLL_S)
        claim = Transact("claim", (), key="claim")
        await transact(self._services, driver.log, driver.role, driver.session, claim, lambda: Phase.FINISHED)

    def _forget_old(self) -> None:
        """Keep the journals of the last sessions, for `session verify`; seeds and safety records stay for ever."""
        store = self._services.store
        done = [(s, role) for s, role, state in store.sessions() if s < ONCHAIN and state and state.get("done")]
        for session, role in done[:-KEPT_JOURNALS]:
            store.forget_inputs(session, role)

    async def _on_message(self, peer_key: bytes, data: bytes) -> bytes:
        chain_id, contract, session, _ = codec.peek(data)
        ours = self._services.context(session)
        if (chain_id, contract) != (ours.chain_id, ours.contract):
            raise RemoteProtocolError("wrong-contract", peer_key.hex(), "message for another market")
        driver = self.drivers.get(session)
        if driver is None:
            view = self.chain.views.get(session)
            over = view is not None and view.phase in (Phase.FINISHED, Phase.ABORTED)
            raise PeerRefused("session-over" if over else "not-ready", f"session {session}")
        return await driver.on_message(peer_key, data)

    def _on_announcement(self, context: Context, message: Announcement) -> None:
        driver = self.drivers.get(context.session)
        if driver is None or driver.role == "model_owner":  # keys of data owners mean nothing to the owner
            return
        if message.sender != self._services.wallet.address:
            driver.hear(message)

    def status(self) -> list[dict[str, Any]]:
        """One entry per live session that this node takes part in."""
        return [
            {"session": d.session, "role": d.role, "phase": d.machine.view.phase.name, **d.machine.status()}
            for d in self.drivers.values()
            if hasattr(d, "machine")
        ]


def _named_in(event: ChainEvent) -> list[bytes]:
    """Peer keys that the chain binds to a part in a session: their addresses are not to be crowded out of the book."""
    match event:
        case SessionCreated(params=params):
            return [params.owner_peer]
        case CommitteeDrawn(provers=provers):
            return [prover.peer_key for prover in provers]
        case Registered(peer_key=peer_key):
            return [peer_key]
    return []
