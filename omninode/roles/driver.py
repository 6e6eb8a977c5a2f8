"""Drives one protocol machine through one session: journal first, then act.

Every input (chain events, accepted messages, ticks that caused something, the trained update) goes through ``_feed``:
the machine runs in a worker thread, the input is journaled, and only then do its effects leave this node. After a
crash the journal is replayed into a fresh machine, which gives the same effects again, byte for byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import trio

from omninode.errors import StoreError
from omninode.net.errors import PeerRefused
from omninode.roles.delivery import NO_FAULTS, deliver
from omninode.roles.directory import peer_of, takes_part
from omninode.roles.events_codec import pack_events, unpack_events
from omninode.roles.machine import Block, Item, Machine, Rollback
from omninode.roles.replay import Heard, without_rolled_back
from omninode.roles.transact import transact
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.events import ChainEvent
from protocols.sessions.params import Phase
from protocols.wire import codec
from protocols.wire.context import Context
from protocols.wire.messages import Announcement, Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.roles.services import Services

DECODE_INLINE = 64 << 10  # bytes; larger messages are decoded in a thread
ANNOUNCE_AGAIN_S = 6.0
LINGER_BLOCKS = 5  # blocks after the end in which a claim or an attestation may still be on its way


class SessionDriver:
    """One role of this node in one session. ``on_train`` computes the update; ``after`` runs after every input.

    ``before`` runs before the machine sees chain events: at the start with all in the journal, then with each block's.
    It may take long, and nothing is held meanwhile: messages are answered, before the machine is rebuilt with
    "not-ready", which senders are patient with.
    ``close`` frees what the machine keeps outside of its memory, once nothing uses it any more.
    """

    def __init__(
        self,
        role: str,
        context: Context,
        services: Services,
        make_machine: Callable[[bytes], Machine],
        *,
        on_train: Callable[[], Awaitable[NDArray[np.int64] | None]] | None = None,
        after: Callable[[SessionDriver], None] | None = None,
        before: Callable[[Sequence[ChainEvent]], Awaitable[None]] | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.role, self.context, self.session = role, context, context.session
        self.log = services.log.bind(session=context.session, role=role)
        self.services, self._make, self._on_train, self._after = services, make_machine, on_train, after
        self._before, self.close = before, close
        self.machine: Machine
        self.nursery: trio.Nursery
        self._lock = trio.Lock()
        self._over = trio.Event()
        self._ready = trio.Event()
        self._restart = trio.Event()
        self._poison: StoreError | None = None
        self._inbox: deque[Item] = deque()
        self._news = trio.Event()
        self._last_block = 0
        self._unconfirmed: deque[bytes] | None = None  # journaled blocks of an earlier run, not yet seen again
        self._deferred: list[bytes] = []  # messages that a reorganisation made early
        self._heard = Heard()
        self._ended_at = 0
        self._busy = 0  # transactions under way
        self._working = 0  # pieces of the role's own work under way
        self._has_update = False

    # -- inputs ------------------------------------------------------------------------------------------------

    def push_block(self, block: int, events: list[ChainEvent]) -> None:
        """Queue a block (also an empty one: it is a tick). Blocks already journaled are skipped."""
        self._push(Block(block, events))

    def roll_back(self, block: int) -> None:
        """The chain dropped everything after ``block``. Queued like a block: what lies before it is still handled."""
        self._push(Rollback(block))

    def hear(self, message: Announcement) -> None:
        """Queue a checked announcement of this session."""
        self._push(message)

    def _push(self, item: Item) -> None:
        self._inbox.append(item)
        self._news.set()

    def most_bytes(self, peer_key: bytes) -> int:
        """The largest message that this peer may send in this session, 0 for a stranger."""
        return self.limits().largest if self._ready.is_set() and takes_part(self.machine.view, peer_key) else 0

    async def on_message(self, peer_key: bytes, data: bytes) -> bytes:
        """A message from a peer. Returns the reply's bytes (empty: acknowledged). Raises RemoteProtocolError.

        Who speaks is checked before anything else is read of the message. Nobody waits here for a machine that is not
        there yet: the few requests that a peer may have under way are those of all its sessions.
        """
        if not self._ready.is_set():
            raise PeerRefused("not-ready", "this node is not ready for the session yet")
        sender = codec.peek_sender(data)
        bound = peer_of(self.machine.view, sender)
        if bound is None:  # perhaps registered in a block that we have not read yet
            raise PeerRefused("not-ready", "sender is not known in this session")
        if bound != peer_key:
            raise RemoteProtocolError("wrong-sender", peer_key.hex(), sender.hex())
        message = await self._decode(data)
        if isinstance(message, Announcement):
            raise RemoteProtocolError("unexpected-type", message.sender.hex(), "announcements travel by gossip")
        try:
            reply = await self._feed("message", data, partial(self.machine.receive, message))
        except RemoteProtocolError as error:
            if error.rule in NO_FAULTS:
                raise PeerRefused(error.rule, error.detail) from error
            raise
        return codec.encode(reply.message, self.context) if reply else b""

    async def _decode(self, data: bytes) -> Message:
        if len(data) <= DECODE_INLINE:
            return codec.decode(data, self.context, self.limits())
        return await trio.to_thread.run_sync(codec.decode, data, self.context, self.limits())

    async def _announced(self, message: Announcement) -> None:
        """A fault in an announcement is logged here: gossip has no one to answer to."""
        try:
            data = codec.encode(message, self.context)
            await self._feed("message", data, partial(self.machine.receive, message))
        except RemoteProtocolError as error:
            if error.rule not in NO_FAULTS:
                self.blame(fx.Blame(message.sender, error.rule, error.detail))

    # -- life ---------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the session is finished or aborted and everything of ours is collected."""
        return self._over.is_set()

    def start_work(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` as part of this session: the session is not over before it is done."""
        self._working += 1
        self.nursery.start_soon(self._work, work)

    async def _work(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            self._working -= 1

    def leave(self) -> None:
        """This session does not need us (a prover that was not drawn): stop after what is under way."""
        self._over.set()

    async def run(self) -> None:
        """Drive until the session is over. Restarts itself from the journal when the chain is reorganised.

        Raises StoreError when nothing can be written down, SafetyError when going on could reveal a secret.
        """
        while not self.over:
            self._restart = trio.Event()
            self._busy = self._working = 0
            try:
                async with trio.open_nursery() as nursery:
                    self.nursery = nursery
                    await self._replay()
                    nursery.start_soon(self._consume)
                    nursery.start_soon(self._stop_when, self._restart, nursery)
                    nursery.start_soon(self._stop_when, self._over, nursery)
            finally:
                self._ready = trio.Event()  # nobody speaks to a machine that is being replaced
            if self._poison is not None:
                raise self._poison
        state = {"done": True, **self.machine.status()}
        await trio.to_thread.run_sync(self.services.store.set_state, self.session, self.role, state)

    @staticmethod
    async def _stop_when(event: trio.Event, nursery: trio.Nursery) -> None:
        await event.wait()
        nursery.cancel_scope.cancel()

    async def _replay(self) -> None:
        """Rebuild the machine from its journal, then let all its effects out once more."""
        store = self.services.store
        fresh = self.services.new_seed()
        seed = await trio.to_thread.run_sync(store.begin, self.session, self.role, fresh)
        entries = without_rolled_back(await trio.to_thread.run_sync(store.inputs, self.session, self.role))
        if self._unconfirmed is None:  # first run of this process: the chain will be read again from the creation
            self._unconfirmed = deque(payload for kind, payload in entries if kind == "chain")
        self._last_block = 0
        self._has_update = False
        self._deferred, self._heard = [], Heard()
        if self._before is not None:
            await self._before([e for kind, payload in entries if kind == "chain" for e in unpack_events(payload)[1]])
        effects = await trio.to_thread.run_sync(self._replay_all, seed, entries)
        self._ready.set()
        self._dispatch(effects)
        if entries:
            self.log.info("session_resumed", inputs=len(entries), phase=self.machine.view.phase.name)

    def _replay_all(self, seed: bytes, entries: list[tuple[str, bytes]]) -> list[fx.Effect]:
        self.machine = self._make(seed)
        effects: list[fx.Effect] = []
        for kind, payload in entries:
            if kind == "chain":
                self._last_block, events = unpack_events(payload)
                for event in events:
                    effects += self.machine.chain(event)
            elif kind == "tick":
                effects += self.machine.tick(int.from_bytes(payload, "big"))
            elif kind == "update":
                self._has_update = True
                effects += self._update_ready(np.frombuffer(payload, dtype="<i8").astype(np.int64))
            else:
                effects += self._replay_message(payload)
        return effects

    def _replay_message(self, payload: bytes) -> list[fx.Effect]:
        """After a reorganisation a message may come before what it depends on: it is kept until that is there."""
        self._heard.note(payload)
        try:
            return self.machine.receive(codec.decode(payload, self.context, self.limits()))
        except RemoteProtocolError as error:
            self.log.info("journaled_message_deferred", rule=error.rule, sender=error.peer)
            self._deferred.append(payload)
            return []

    async def _consume(self) -> None:
        """Take the queue item by item; an item leaves it only when it is done, so that no restart loses one."""
        while True:
            if not self._inbox:
                self._news = trio.Event()
                await self._news.wait()
            item = self._inbox[0]
            match item:
                case Block(number=number, events=events):
                    await self._on_block(number, events)
                case Rollback(block=block):
                    await self._drop_after(block)
                case _:
                    await self._announced(item)
            if self._restart.is_set() and isinstance(item, Block):
                await trio.sleep_forever()  # the journal disagreed: the item is looked at again after the restart
            self._inbox.popleft()
            if self._restart.is_set():
                await trio.sleep_forever()

    async def _on_block(self, block: int, events: list[ChainEvent]) -> None:
        for at in sorted({event.block for event in events}):
            of_block = [event for event in events if event.block == at]
            good = self._confirm(at, pack_events(at, of_block))
            if good is not None:
                await self._drop_after(good)
                return
            if at > self._last_block:
                await self._feed_chain(at, of_block)
        if not self._behind:
            await self._feed("tick", block.to_bytes(8, "big"), partial(self.machine.tick, block))
        self._check_over(block)

    @property
    def _behind(self) -> bool:
        """Whether a newer block waits already: this one's tick is stale, and on a slow machine each would put off the
        events behind it. Of an ended session, which costs nothing, every block counts (``_check_over``).
        """
        ended = self.machine.view.phase in (Phase.FINISHED, Phase.ABORTED)
        return not ended and any(isinstance(item, Block) for item in islice(self._inbox, 1, None))

    def _confirm(self, at: int, packed: bytes) -> int | None:
        """Hold a block against what an earlier run journaled. The last good block if they differ, else None."""
        if not self._unconfirmed:
            return None
        journaled, _ = unpack_events(self._unconfirmed[0])
        if journaled == at and self._unconfirmed[0] == packed:
            self._unconfirmed.popleft()
            return None
        self._unconfirmed.clear()
        return min(journaled, at) - 1

    async def _drop_after(self, block: int) -> None:
        """Journal that the chain took back everything after ``block``, and start over without it."""
        if self._last_block <= block:
            return
        async with self._lock:
            store = self.services.store
            payload = block.to_bytes(8, "big")
            await trio.to_thread.run_sync(store.append, self.session, self.role, "rollback", payload)
            self._ready = trio.Event()
            self._restart.set()
        self.log.warning("session_rolled_back", to_block=block)

    async def _feed_chain(self, block: int, events: list[ChainEvent]) -> None:
        def apply() -> list[fx.Effect]:
            return [effect for event in events for effect in self.machine.chain(event)]

        if self._before is not None:
            await self._before(events)
        await self._feed("chain", pack_events(block, events), apply)
        self._last_block = block
        deferred, self._deferred = self._deferred, []
        for data in deferred:
            try:
                message = await self._decode(data)
                await self._feed("message", data, partial(self.machine.receive, message), again=True)
            except RemoteProtocolError:
                self._deferred.append(data)

    def _check_over(self, block: int) -> None:
        """Over: the chain says so and our last transactions have landed (or had their chance)."""
        if self.machine.view.phase not in (Phase.FINISHED, Phase.ABORTED):
            return
        self._ended_at = self._ended_at or block
        settled = self._busy == 0 and not getattr(self.machine, "pending", False)
        landed = settled or block > self._ended_at + LINGER_BLOCKS
        if landed and self._working == 0 and block > self._ended_at:
            self._over.set()

    # -- the one way through --------------------------------------------------------------------------------------

    async def _feed(
        self, kind: str, payload: bytes, step: Callable[[], list[fx.Effect]], *, again: bool = False
    ) -> fx.Reply | None:
        """Run the machine, journal the input, act. A RemoteProtocolError leaves machine and journal untouched.

        The same message once more is not journaled again (but with ``again``: its place in the order has changed).
        """
        async with self._lock:
            if self._restart.is_set() or not self._ready.is_set():
                raise PeerRefused("not-ready", "the chain was reorganised")
            fresh = kind != "message" or again or self._heard.is_new(payload)
            try:
                effects = await trio.to_thread.run_sync(step, limiter=self.services.compute)
                if fresh and (kind != "tick" or effects):
                    store = self.services.store
                    await trio.to_thread.run_sync(store.append, self.session, self.role, kind, payload)
                if kind == "message":
                    self._heard.note(payload)
                self._dispatch(effects)
            except StoreError as error:  # machine and journal may disagree now: nothing more is said in this session
                self._poison = error
                self._restart.set()
                raise
        if self._after is not None:
            self._after(self)
        return next((effect for effect in effects if isinstance(effect, fx.Reply)), None)

    def _update_ready(self, update: NDArray[np.int64]) -> list[fx.Effect]:
        effects: list[fx.Effect] = self.machine.update_ready(update)  # type: ignore[attr-defined]
        return effects

    async def _train(self) -> None:
        if self._on_train is None:
            raise LocalProtocolError(f"role {self.role} cannot train")
        update = await self._on_train()
        if update is None:  # the role has said why
            return
        await self._feed("update", update.astype("<i8").tobytes(), partial(self._update_ready, update))

    def _dispatch(self, effects: list[fx.Effect]) -> None:
        """Act on effects, in order. Remember comes before what depends on it, and is synchronous for that reason."""
        for effect in effects:
            match effect:
                case fx.Remember(key=key, value=value):
                    self.services.store.record_once(self.session, f"{self.role}/{key}", value)
                case fx.Send(to=to, message=message):
                    self.nursery.start_soon(deliver, self, to, message)
                case fx.Publish(message=message):
                    self.nursery.start_soon(self._publish, message)
                case fx.Transact():
                    self.nursery.start_soon(self._transact, effect)
                case fx.Train():
                    if not self._has_update:
                        self.nursery.start_soon(self._train)
                case fx.Blame():
                    self.blame(effect)
                case fx.Note(name=name, fields=fields):
                    self.services.events.write(name, session=self.session, role=self.role, **dict(fields))
                    self.log.info(name, **dict(fields))

    def blame(self, effect: fx.Blame) -> None:
        """Log and count a peer's fault."""
        self.services.events.blame(self.session, effect.peer, effect.rule, effect.detail)
        self.log.warning("peer_fault", peer=effect.peer.hex(), rule=effect.rule, detail=effect.detail)

    # -- acting -----------------------------------------------------------------------------------------------------

    def limits(self) -> codec.Limits:
        """How large the messages of this session may be."""
        params = self.machine.view.params
        return codec.limits_for(params) if params is not None else codec.Limits.generous()

    async def _publish(self, message: Message) -> None:
        if not isinstance(message, Announcement):
            raise LocalProtocolError("only announcements are gossiped")
        while self.machine.view.phase <= Phase.BUNDLES:  # gossip may lose it: say it again until it is of no use
            await self.services.directory.announce(message, self.session)
            await trio.sleep(ANNOUNCE_AGAIN_S)

    async def _transact(self, effect: fx.Transact) -> None:
        self._busy += 1
        try:
            await transact(self.services, self.log, self.role, self.session, effect, lambda: self.machine.view.phase)
        finally:
            self._busy -= 1
