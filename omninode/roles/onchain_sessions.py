"""The node's sessions of the on-chain baseline: follows their factory, starts drivers, feeds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import trio

from omninode.errors import RefusedError, SafetyError, StoreError, cause_of
from omninode.roles.onchain_driver import ONCHAIN, OnchainDriver
from protocols.onchain.events import Created, OnchainEvent, Registered
from protocols.onchain.params import State
from protocols.onchain.view import OnchainView

if TYPE_CHECKING:
    from omninode.chain.onchain import Onchain
    from omninode.roles.services import Services

RESUME_KEY = "onchain/resume-block"
DRIVER_TRIES = 3
KEEP_ENDED = 64


class OnchainRole(Protocol):
    """Decides whether it takes part in a session, and builds the driver if so."""

    def wants(self, view: OnchainView) -> bool: ...
    async def join(self, view: OnchainView) -> OnchainDriver | None: ...


class OnchainSessions:
    """Beside ``Sessions``, which is about the market; nothing of it is used here."""

    def __init__(self, services: Services, onchain: Onchain, roles: Sequence[OnchainRole]) -> None:
        self._services, self.onchain, self._roles = services, onchain, roles
        self.views: dict[int, OnchainView] = {}
        self.drivers: dict[int, OnchainDriver] = {}
        self._history: dict[int, list[tuple[int, list[OnchainEvent]]]] = defaultdict(list)
        self._done = {
            s ^ ONCHAIN for s, _, state in services.store.sessions() if s & ONCHAIN and state and state.get("done")
        }
        self._asked: set[tuple[int, int]] = set()
        self._nursery: trio.Nursery

    async def run(self) -> None:
        """Follow the chain until cancelled."""
        services = self._services
        saved = await trio.to_thread.run_sync(services.store.meta_get, RESUME_KEY)
        start = int(saved) if saved else self.onchain.start_block
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            cursor = self.onchain.cursor(start, confirmations=services.config.chain.confirmations)
            async for batch in cursor:
                if batch.rolled_back_to is not None:
                    self._roll_back(batch.rolled_back_to)
                self._on_block(batch.block, batch.events)
                for session in self._trim():
                    cursor.leave(self.onchain.heads[session])
                await self._save_position(batch.block)

    def _on_block(self, block: int, events: list[OnchainEvent]) -> None:
        grouped: dict[int, list[OnchainEvent]] = defaultdict(list)
        for event in events:
            if event.session not in self.views and not isinstance(event, Created):
                continue  # of a session created before what we remember
            self.views.setdefault(event.session, OnchainView(event.session)).apply(event)
            grouped[event.session].append(event)
            if isinstance(event, Created):
                self._services.net.book.pin(event.terms.owner_peer)
            elif isinstance(event, Registered):
                self._services.net.book.pin(event.peer_key)
        for session, new in grouped.items():
            self._history[session].append((block, new))
        for session, driver in self.drivers.items():
            driver.push_block(block, grouped.get(session, []))
        for session in grouped:
            self._ask_roles(session)

    def _ask_roles(self, session: int) -> None:
        view = self.views[session]
        if session in self.drivers or session in self._done or view.terms is None:
            return
        for number, role in enumerate(self._roles):
            if (session, number) not in self._asked and role.wants(view):
                self._asked.add((session, number))
                self._nursery.start_soon(self._play, role, view.session)

    async def _play(self, role: OnchainRole, session: int) -> None:
        """Join and drive. A defect in one session ends neither the others nor this node."""
        for attempt in range(DRIVER_TRIES):
            try:
                driver = await role.join(self.views[session])
                if driver is None:
                    return
                for block, events in self._history[session]:
                    driver.push_block(block, events)
                self.drivers[session] = driver
                await driver.run()
                break
            except Exception as error:
                cause = cause_of(error)
                if isinstance(cause, StoreError) and not isinstance(cause, SafetyError):
                    raise  # nothing may be sent that is not written down
                self._services.log.error("session_failed", session=session, onchain=True, exc_info=error)
                self._services.events.write("session_failed", session=session, onchain=True, reason=str(cause))
                if isinstance(cause, SafetyError):
                    break
                await trio.sleep(2.0**attempt)
        self.drivers.pop(session, None)
        self._done.add(session)

    def _roll_back(self, block: int) -> None:
        for session in list(self.views):
            kept = [(at, [e for e in events if e.block <= block]) for at, events in self._history[session]]
            self._history[session] = [(min(at, block), events) for at, events in kept if events]
            view = self.views[session] = OnchainView(session)
            for _, events in self._history[session]:
                for event in events:
                    view.apply(event)
            if view.terms is None:
                del self.views[session]
        for driver in self.drivers.values():
            driver.roll_back(block)

    async def _save_position(self, block: int) -> None:
        """Where a restarted node must begin: before the creation of the oldest session that is not over."""
        live = [v.created for s, v in self.views.items() if s in self.drivers or v.state < State.PAYMENT]
        resume, store = str(min(live, default=block)), self._services.store
        if store.meta_get(RESUME_KEY) != resume:
            await trio.to_thread.run_sync(store.meta_put, RESUME_KEY, resume)

    def _trim(self) -> list[int]:
        """Forget the oldest ended sessions, all but the last few; which ones."""
        ended = [s for s, v in self.views.items() if v.state == State.FINISHED and s not in self.drivers]
        gone = sorted(ended)[: max(0, len(ended) - KEEP_ENDED)]
        for session in gone:
            del self.views[session], self._history[session]
        return gone

    async def create(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """A new session as its model owner. Raises RefusedError or UsageError with what to change."""
        for role in self._roles:
            if hasattr(role, "create"):
                created: dict[str, Any] = await role.create(overrides)
                return created
        raise RefusedError("this node is no model owner", "add model_owner to node.roles and restart it")

    # -- for the control socket -----------------------------------------------------------------------------------

    def status(self) -> list[dict[str, Any]]:
        """One entry per live session that this node takes part in."""
        return [
            {"session": s, "onchain": True, "role": d.role, "phase": d.machine.view.state.name, **d.machine.status()}
            for s, d in self.drivers.items()
            if hasattr(d, "machine")
        ]

    def list(self) -> list[dict[str, Any]]:
        """One line of `session list` for each."""
        return [summary(view) for view in self.views.values() if view.terms is not None]

    def show(self, session: int) -> dict[str, Any] | None:
        """Everything this node knows about one session, None if that is nothing."""
        view = self.views.get(session)
        if view is None or view.terms is None:
            return None
        driver = self.drivers.get(session)
        ours = driver.machine.status() if driver is not None and hasattr(driver, "machine") else None
        states = ((s, state) for s, _, state in self._services.store.sessions())
        ours = ours or next((state for s, state in states if s == ONCHAIN | session), None)
        return {**summary(view), **detail(view), "ours": ours}


def summary(view: OnchainView) -> dict[str, Any]:
    """One line of `session list`."""
    return {
        "session": view.session, "onchain": True, "mode": "on-chain", "phase": view.state.name,
        "deadline": view.deadline, "owner": "0x" + view.p.owner.hex(), "registered": len(view.members),
        "places": view.training.places if view.training else 0, "reward": view.p.reward, "aborted": "",
    }  # fmt: skip


def detail(view: OnchainView) -> dict[str, Any]:
    """Rounds and what became of everybody, as the chain has them."""
    return {
        "head": "0x" + view.head.hex(), "rule": "m-krum", "chunks": view.p.chunks,
        "complete": view.rounds(view.complete), "selected": view.rounds(view.selected),
        "members": [
            {
                "index": m.place, "address": "0x" + m.address.hex(), "round": view.round_of(m.place),
                "uploaded": f"{len(m.uploaded)}/{view.p.chunks}",
                "accepted": bool(view.selected >> view.round_of(m.place) & 1),
                "paid": view.claimed.get(m.address, 0),
            }
            for m in view.members
        ],
        "ended": view.ended,
    }  # fmt: skip
