"""The node's sessions of the on-chain baseline: follows their factory, starts drivers, feeds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import trio

from omninode.errors import RefusedError, SafetyError, StoreError, cause_of
from omninode.roles.onchain_driver import ONCHAIN, OnchainDriver, collect, stored
from protocols.onchain.events import Created, OnchainEvent, Registered
from protocols.onchain.params import OnchainTerms, State
from protocols.onchain.view import UNSELECTED, OnchainView

if TYPE_CHECKING:
    from omninode.chain.onchain import Onchain
    from omninode.roles.services import Services

RESUME_KEY = "onchain/resume-block"
DRIVER_TRIES = 3
KEEP_ENDED = 64
MOST_FOLLOWED = 400
"""Sessions of others that are followed: making one costs little, so the oldest are forgotten."""
OLD_BLOCKS = 20_000
"""A session of others that nobody started in so many blocks since its creation is forgotten."""
WAIT_S = 1.0


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
        begun = [(s ^ ONCHAIN, state or {}) for s, _, state in services.store.sessions() if s & ONCHAIN]
        self._done = {session for session, state in begun if state.get("done")}
        self._unfinished = {session for session, _ in begun} - self._done
        self._playing: set[int] = set()
        self._asked: set[tuple[int, int, bool, OnchainTerms]] = set()
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
                for head in self._trim(batch.block):
                    cursor.leave(head)
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
        if session in self._playing or session in self._done or view.terms is None:
            return
        ours = view.member_of(self._services.wallet.address) is not None  # then a refusal is no answer any more
        for number, role in enumerate(self._roles):
            if (session, number, ours, view.terms) not in self._asked and role.wants(view):
                self._asked.add((session, number, ours, view.terms))
                self._playing.add(session)
                self._nursery.start_soon(self._play, role, view.session)
                return

    async def _play(self, role: OnchainRole, session: int) -> None:
        """Join and drive; where that fails for good, still take what the contract owes us."""
        try:
            played = await self._drive(role, session)
            if played or (played is False and await self._take_money(session)):
                self._done.add(session)
                self._unfinished.discard(session)
        finally:
            self.drivers.pop(session, None)
            self._playing.discard(session)
        if session in self.views and session not in self._done:
            self._ask_roles(session)

    async def _drive(self, role: OnchainRole, session: int) -> bool | None:
        """True: it is over. None: we take no part. False: it failed, which ends neither others nor this node."""
        for attempt in range(DRIVER_TRIES):
            try:
                driver = await role.join(self.views[session])
                if driver is None:
                    return None
                self._unfinished.add(session)
                for block, events in self._history[session]:
                    driver.push_block(block, events)
                self.drivers[session] = driver
                await driver.run()
                return True
            except Exception as error:
                cause = cause_of(error)
                if isinstance(cause, StoreError) and not isinstance(cause, SafetyError):
                    raise  # nothing may be sent that is not written down
                self._services.log.error("session_failed", session=session, onchain=True, exc_info=error)
                self._services.events.write("session_failed", session=session, onchain=True, reason=str(cause))
                self.drivers.pop(session, None)
                if isinstance(cause, SafetyError):
                    break
                await trio.sleep(2.0**attempt)
        return False

    async def _take_money(self, session: int) -> bool:
        """Of a session that cannot be played: wait for its end, or end it where we can; then take what is ours."""
        services, own = self._services, self._services.wallet.address
        while (view := self.views.get(session)) is not None and view.terms is not None:
            if view.p.owner == own:
                role, call, ready = "model_owner", "exit", view.state == State.SETUP or view.ended
            elif view.member_of(own) is not None:
                role, call, ready = "data_owner", "claim", view.ended
            elif view.state > State.REGISTER:
                return True
            else:
                ready = False  # a registration may be under way
            if ready:
                await collect(services, self.onchain, role, session, call, lambda: self._is_paid(session, own))
                await trio.to_thread.run_sync(services.store.begin, stored(session), role, services.new_seed())
                member = view.member_of(own)
                uploaded = len(member.uploaded) if member else 0
                state = {"done": True, "onchain": True, "failed": True, "uploaded": uploaded}
                await trio.to_thread.run_sync(services.store.set_state, stored(session), role, state)
                return True
            await trio.sleep(WAIT_S)
        return False

    def _is_paid(self, session: int, own: bytes) -> bool:
        view = self.views.get(session)
        return view is not None and (
            own in view.claimed or (view.terms is not None and view.p.owner == own and view.state == State.FINISHED)
        )

    def _roll_back(self, block: int) -> None:
        for session in list(self.views):
            kept = [(at, [e for e in events if e.block <= block]) for at, events in self._history[session]]
            self._history[session] = [(min(at, block), events) for at, events in kept if events]
            view = self.views[session]  # the same object, which roles hold
            view.clear()
            for _, events in self._history[session]:
                for event in events:
                    view.apply(event)
            if view.terms is None and session not in self._playing:
                del self.views[session], self._history[session]
        for driver in self.drivers.values():
            driver.roll_back(block)

    async def _save_position(self, block: int) -> None:
        """Where a restarted node must begin: before the creation of the oldest session that is not over for us."""
        live = [v.created for s, v in self.views.items() if v.terms is not None and self._is_live(v)]
        resume, store = str(min(live, default=block)), self._services.store
        if store.meta_get(RESUME_KEY) != resume:
            await trio.to_thread.run_sync(store.meta_put, RESUME_KEY, resume)

    def _is_live(self, view: OnchainView) -> bool:
        return view.state < State.PAYMENT or self._is_ours(view)

    def _is_ours(self, view: OnchainView) -> bool:
        """Whether something is still to be done here, now or after a restart."""
        if view.session in self._playing:
            return True
        return view.session in self._unfinished and any(role.wants(view) for role in self._roles)

    def _trim(self, block: int) -> list[bytes]:
        """Forget what nobody here needs: the oldest ended sessions, and of others that began nothing; their heads."""
        if len(self.views) <= KEEP_ENDED:
            return []
        others = sorted(s for s, v in self.views.items() if not self._is_ours(v))
        ended = [s for s in others if self.views[s].ended]
        running = [s for s in others if not self.views[s].ended]
        old = [s for s in running if self.views[s].state == State.SETUP and block > self.views[s].created + OLD_BLOCKS]
        late = sorted(set(running) - set(old))
        gone = [*ended[: max(0, len(ended) - KEEP_ENDED)], *old, *late[: max(0, len(late) - MOST_FOLLOWED)]]
        heads = [self.views[session].head for session in gone]
        for session in gone:
            del self.views[session], self._history[session]
            self.onchain.forget(session)
        self._asked = {asked for asked in self._asked if asked[0] in self.views}
        return heads

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
                "accepted": bool(view.selected >> view.round_of(m.place) & 1) and not view.unselected,
                "paid": view.claimed.get(m.address, 0),
            }
            for m in view.members
        ],
        "ended": view.ended,
        **({"note": UNSELECTED} if view.unselected else {}),
    }  # fmt: skip
