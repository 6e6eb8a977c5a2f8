"""Drives one machine through one session of the on-chain baseline.

The chain itself is the journal: a machine is made again from its seed, the session's events and the trained model, and
says the same again. Seed and model are written down before anything is sent; transactions go out once per key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import trio

from omninode.chain.errors import ChainError, TransactionFailed
from omninode.roles.machine import Block, Rollback
from protocols.onchain.events import Created, OnchainEvent, Started
from protocols.onchain.params import State
from protocols.onchain.view import OnchainView
from protocols.sessions import effects as fx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.chain.onchain import Onchain
    from omninode.chain.transaction import Receipt
    from omninode.roles.services import Services

ONCHAIN = 1 << 48
"""Added to a session's number in the node's database, where sessions of the market have the small numbers."""
AT_ONCE = 8  # transactions of one session under way
TRIES = 40
PAUSE_S = 1.0
DEADLINE_S = 60.0
LONGEST_PAUSE_S = 60.0
BEHIND = frozenset({"WrongState", "UnknownChunk", "ChunksMissing", "NotAMember", "NotAllowed", "TooEarly"})
"""Refusals that may only mean that another transaction of ours is not mined yet, or that the node lags."""


def stored(session: int) -> int:
    """A session's number in the database."""
    return ONCHAIN | session


async def collect(
    services: Services, onchain: Onchain, role: str, session: int, call: str, done: Callable[[], bool]
) -> None:
    """Send ``claim`` or ``exit`` until it is mined, nothing is due, or ``done`` says so: money is not given up.

    A transaction that reverted is followed by another one, never by the same again.
    """
    log, number, pause = services.log.bind(session=session, role=role, onchain=True), 0, PAUSE_S
    while not done():
        key = f"{role}/{call}" + (f"/{number}" if number else "")
        try:
            receipt = await onchain.transact(call, session, (), 0, key, deadline_s=DEADLINE_S)
        except TransactionFailed as error:
            log.info("transaction_refused", call=call, reason=str(error))
            if error.error == "NothingDue":
                return
            number += error.sent
        except ChainError as error:
            log.warning("transaction_delayed", call=call, error=str(error))
        else:
            told(services, session, role, call, receipt)
            return
        await trio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def told(services: Services, session: int, role: str, call: str, receipt: Receipt) -> None:
    """A mined transaction, in the node's events."""
    services.events.write(
        "transaction", session=session, role=role, call=call, gas=receipt.gas_used, block=receipt.block, ok=receipt.ok,
        onchain=True,
    )  # fmt: skip


class OnchainMachine(Protocol):
    """What both machines of protocols.onchain offer."""

    @property
    def view(self) -> OnchainView: ...
    @property
    def over(self) -> bool: ...
    def chain(self, event: OnchainEvent) -> list[fx.Effect]: ...
    def tick(self, block: int) -> list[fx.Effect]: ...
    def status(self) -> dict[str, Any]: ...


class OnchainDriver:
    """``on_train`` gives the model (d,) to upload; ``after`` runs once payment has begun, before all is over."""

    def __init__(
        self,
        role: str,
        session: int,
        services: Services,
        onchain: Onchain,
        make: Callable[[bytes], Awaitable[OnchainMachine]],
        *,
        on_train: Callable[[], Awaitable[NDArray[np.float64] | None]] | None = None,
        after: Callable[[OnchainView], Awaitable[None]] | None = None,
    ) -> None:
        self.role, self.session = role, session
        self.log = services.log.bind(session=session, role=role, onchain=True)
        self._services, self._onchain, self._make = services, onchain, make
        self._on_train, self._after = on_train, after
        self._history: list[Block] = []
        self._inbox: deque[Block | Rollback] = deque()
        self._news = trio.Event()
        self._limiter = trio.CapacityLimiter(AT_ONCE)
        self._model: NDArray[np.float64] | None = None
        self._busy = self._claimed = self._replaced = False
        self._identity: dict[type[OnchainEvent], object] = {}
        self.machine: OnchainMachine

    def push_block(self, block: int, events: list[OnchainEvent]) -> None:
        """Queue a block (also an empty one: it is a tick)."""
        self._push(Block(block, events))  # type: ignore[arg-type]

    def roll_back(self, block: int) -> None:
        """The chain dropped everything after ``block``."""
        self._push(Rollback(block))

    def _push(self, item: Block | Rollback) -> None:
        self._inbox.append(item)
        self._news.set()

    async def run(self) -> None:
        """Until the session is over for us. Raises StoreError, and SafetyError where going on could reveal a model."""
        store = self._services.store
        while True:
            seed = await trio.to_thread.run_sync(
                store.begin, stored(self.session), self.role, self._services.new_seed()
            )
            for _, kind, payload in await trio.to_thread.run_sync(store.inputs, stored(self.session), self.role):
                if kind == "update":
                    self._model = np.frombuffer(payload, dtype="<f8").astype(np.float64)
            self.machine = await self._make(seed)
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                over = await self._consume()
                nursery.cancel_scope.cancel()
            if over:
                break
        state = {"done": True, "onchain": True, "replaced": self._replaced, **self.machine.status()}
        await trio.to_thread.run_sync(store.set_state, stored(self.session), self.role, state)
        await trio.to_thread.run_sync(store.forget_inputs, stored(self.session), self.role)

    async def _consume(self) -> bool:
        """Feed the machine. True: the session is over; False: a reorganisation, the machine has to be made again."""
        self._busy = False
        if self._model is not None:
            self._dispatch(self.machine.model_ready(self._model))  # type: ignore[attr-defined]
        for block in list(self._history):
            self._take(block)
        while True:
            while not self._inbox:
                if self._over():
                    return True
                self._news = trio.Event()
                with trio.move_on_after(PAUSE_S):
                    await self._news.wait()
            item = self._inbox.popleft()
            if isinstance(item, Rollback):
                kept = [Block(b.number, [e for e in b.events if e.block <= item.block]) for b in self._history]
                self._history = [b for b in kept if b.events]
                return False
            if item.events:
                self._history.append(item)
            self._take(item)

    def _take(self, block: Block) -> None:
        if self._replaced:
            return
        for event in block.events:
            if self._is_another(event):  # type: ignore[arg-type]
                return
            self._dispatch(self.machine.chain(event))  # type: ignore[arg-type]
        self._dispatch(self.machine.tick(block.number))
        if self._after is not None and not self._busy and self.machine.view.ended:
            self._busy = True
            self._nursery.start_soon(self._finish, self._after)

    def _is_another(self, event: OnchainEvent) -> bool:
        """Whether a reorganisation put other terms in the place of those that were looked at: nothing of it is ours."""
        match event:
            case Created(head=head, terms=terms):
                said: object = (head, terms)
            case Started(training=training):
                said = training
            case _:
                return False
        self._replaced = self._identity.setdefault(type(event), said) != said
        if self._replaced:
            self.log.warning("session_replaced")
            self._services.events.write("session_replaced", session=self.session, role=self.role, onchain=True)
        return self._replaced

    def _over(self) -> bool:
        if self._replaced:
            return True
        settled = self.machine.over or (self.machine.view.ended and self._claimed)
        return settled and (self._after is None or not self._busy)

    async def _finish(self, after: Callable[[OnchainView], Awaitable[None]]) -> None:
        await after(self.machine.view)
        self._after, self._busy = None, False

    # -- acting -----------------------------------------------------------------------------------------------------

    def _dispatch(self, effects: list[fx.Effect]) -> None:
        for effect in effects:
            match effect:
                case fx.Remember(key=key, value=value):
                    self._services.store.record_once(stored(self.session), f"{self.role}/{key}", value)
                case fx.Transact():
                    self._nursery.start_soon(self._transact, effect)
                case fx.Train():
                    if self._model is None:
                        self._nursery.start_soon(self._train)
                case fx.Note(name=name, fields=fields):
                    self._services.events.write(name, session=self.session, onchain=True, **dict(fields))
                    self.log.info(name, **dict(fields))

    async def _train(self) -> None:
        assert self._on_train is not None
        model = await self._on_train()
        if model is None:  # the role has said why: our round will be empty
            return
        store, payload = self._services.store, model.astype("<f8").tobytes()
        await trio.to_thread.run_sync(store.append, stored(self.session), self.role, "update", payload)
        self._model = model
        self._dispatch(self.machine.model_ready(model))  # type: ignore[attr-defined]

    async def _transact(self, effect: fx.Transact) -> None:
        if effect.call not in ("claim", "exit"):
            async with self._limiter:
                await self._send(effect)
            return
        services, session = self._services, self.session
        await collect(services, self._onchain, self.role, session, effect.call, lambda: self.machine.over)
        self._claimed = effect.call == "claim"
        self._news.set()

    async def _send(self, effect: fx.Transact) -> bool:
        """Until it is mined, refused for good, or the state that it belongs to is over.

        Without limit during Setup, which has no deadline: the wallet may be filled up again.
        """
        key = f"{self.role}/{effect.key or effect.call}"
        tries = 0
        while tries < TRIES or self.machine.view.state == State.SETUP:
            tries, state = tries + 1, self.machine.view.state
            try:
                receipt = await self._onchain.transact(
                    effect.call, self.session, effect.args, effect.value, key, deadline_s=DEADLINE_S
                )
            except TransactionFailed as error:
                if error.sent or error.error not in BEHIND or state != self.machine.view.state:
                    self.log.info("transaction_refused", call=effect.call, reason=str(error))
                    return False
            except ChainError as error:
                self.log.warning("transaction_delayed", call=effect.call, error=str(error))
                if state != self.machine.view.state:
                    return False
            else:
                told(self._services, self.session, self.role, effect.call, receipt)
                return bool(receipt.ok)
            await trio.sleep(PAUSE_S)
        return False
