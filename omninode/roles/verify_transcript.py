"""A journalled transcript, checked entry by entry against its own links, the chain and what this node said then.

The first entry that does not hold is named: it is missing or was changed after it was written (links and seals of
`omninode.store.links`), it does not decode, it tells of an event that the chain does not have or leaves one out, the
machine refuses it, or the machine, fed with it, would have said something else than it did (safety records, its own
transactions on the chain). A message without a signature was authenticated by its channel, which leaves no evidence:
one opening changed together with all later links, seals and the end shows as a lie that this node did not see then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from omninode.errors import StoreError
from omninode.roles.directory import peer_of
from omninode.roles.events_codec import unpack_events
from omninode.roles.machine import Machine
from omninode.roles.verify_entry import BadEntry, Input
from omninode.roles.verify_feed import chain_entry, decode, heading, step, try_again, update
from omninode.roles.verify_history import History, Kept
from omninode.roles.verify_links import Links
from omninode.store.transcript import Entry, Transcript
from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.events import ChainEvent
from protocols.wire.context import Context
from protocols.wire.messages import Announcement, Message, Opening, OutputShare

Payload = Callable[[int], tuple[bytes, bytes]]
"""Entry number -> payload and its SHA-256. Raises StoreError."""
NO_LIMIT = 1 << 256


@dataclass(frozen=True, slots=True)
class Source:
    """What a replay works on. make: fresh machines.  events: the session's, from the chain.  address: our wallet.

    done: whether the node had finished with the session.  genuine: whether an announcement's signature is good.
    """

    context: Context
    transcript: Transcript
    payload: Payload
    make: Callable[[], Machine]
    events: Sequence[ChainEvent]
    address: bytes
    done: bool
    genuine: Callable[[Context, Announcement], bool]


@dataclass(frozen=True, slots=True)
class Fault:
    """A peer's fault that the replay found. wrong: the entry with the wrong opening or share, None if not known."""

    blame: fx.Blame
    wrong: BadEntry | None


class Replay:
    """Feeds a transcript to fresh machines. ``run`` returns the last one. faults: peers', as the machine sees them."""

    def __init__(self, source: Source) -> None:
        self._source, self._entries = source, source.transcript.entries
        self._recorded = {seal.key: seal.value for seal in source.transcript.seals}
        self._history = History(source.events, source.address)
        self._kept = Kept()
        self._openings: dict[tuple[str, str], Input] = {}  # sender, label
        self.links = Links(source.transcript)
        self.faults: list[Fault] = []
        self.machine = source.make()

    def run(self) -> Machine:
        """The machine after the last entry. Raises BadEntry."""
        limits = self._limits()
        for place, entry in enumerate(self._entries):
            if entry.seq != place:
                raise BadEntry(place, "-", "missing-entry", f"entry {entry.seq} follows")
            item, digest = self._read(entry)
            self.links.check(item, digest)
            self._hold(item, self._feed(item, limits[place]))
            item.payload = b""  # large, and only its name is needed from here on
        self.links.check_end(self._source.transcript)
        self._history.check_end(len(self._entries), self.machine.view.phase, self._source.done)
        return self.machine

    def _read(self, entry: Entry) -> tuple[Input, bytes]:
        try:
            payload, digest = self._source.payload(entry.seq)
        except StoreError as error:
            raise BadEntry(entry.seq, entry.kind, "damaged", error.problem) from None
        return Input(entry, payload, *heading(entry.kind, payload)), digest

    def _limits(self) -> list[int]:
        """For every entry the lowest block to which a later reorganisation went back: what is above did not last."""
        lowest, limits = NO_LIMIT, []
        for entry in reversed(self._entries):
            limits.append(lowest)
            if entry.kind == "rollback":
                lowest = min(lowest, int.from_bytes(self._read(entry)[0].payload, "big"))
        return limits[::-1]

    # -- one entry ------------------------------------------------------------------------------------------------

    def _feed(self, item: Input, limit: int) -> list[fx.Effect]:
        machine, block = self.machine, None
        match item.entry.kind:
            case "rollback":
                self._roll_back(item)
                return []
            case "chain":
                block, events = chain_entry(item)
                if block <= limit:
                    self._history.check(item, block, events)
                effects = step(item, lambda: [effect for event in events for effect in machine.chain(event)])
                for event in events if block <= limit else ():
                    self._history.check_ours(item, event, machine.view)
            case "tick":
                block = int.from_bytes(item.payload, "big")
                effects = step(item, lambda: machine.tick(int.from_bytes(item.payload, "big")))
                if not effects:
                    raise item.bad("idle-tick", "nothing follows from it, so it was never written")
            case "update":
                effects = step(item, lambda: update(machine, item.payload))
            case "message":
                message = self._message(item)
                effects = step(item, lambda: machine.receive(message))
            case _:
                raise item.bad("unknown-kind")
        self._kept.note(item.entry.seq, block)
        return effects

    def _message(self, item: Input) -> Message:
        try:
            message = decode(self.machine, item.payload, self._source.context)
        except RemoteProtocolError as error:
            raise item.bad(error.rule, error.detail or "it does not decode") from error
        match message:
            case Announcement() if not self._source.genuine(self._source.context, message):
                raise item.bad("bad-signature", "announcement")
            case Announcement():
                pass
            case _ if peer_of(self.machine.view, message.sender) is None:
                raise item.bad("wrong-sender", "nobody of this session")
            case Opening(label=label):
                self._openings.setdefault((item.sender, label), item)
            case OutputShare():
                self._openings.setdefault((item.sender, ""), item)
        return message

    def _hold(self, item: Input, effects: Iterable[fx.Effect]) -> None:
        """What the machine says now against what this node recorded then."""
        for effect in effects:
            match effect:
                case fx.Remember(key=key, value=value) if key in self._recorded or item.entry.link is not None:
                    if self._recorded.get(key) != value:  # an earlier version may have recorded less
                        what = "another value" if key in self._recorded else "nothing"
                        raise item.bad("said-otherwise", f"the safety journal holds {what} for {key}")
                case fx.Transact(call=call, args=args):
                    self._history.ask(item, call, args)
                case fx.Blame(peer=peer, rule=rule, detail=detail):
                    wrong = self._openings.get((peer.hex(), detail))
                    self.faults.append(Fault(effect, wrong.bad(rule, "a lie that was none then") if wrong else None))

    # -- reorganisations ------------------------------------------------------------------------------------------

    def _roll_back(self, item: Input) -> None:
        """As the driver does it: a fresh machine without the blocks taken back. What is too early in it came again
        later, so the error of a message is the reorganisation's doing here; every entry held when it came.
        """
        limit = int.from_bytes(item.payload, "big")
        machine = self.machine = self._source.make()
        for seq in self._kept.roll_back(limit):
            again, _ = self._read(self._entries[seq])
            match again.entry.kind:
                case "chain":
                    for event in unpack_events(again.payload)[1]:
                        machine.chain(event)
                case "tick":
                    machine.tick(int.from_bytes(again.payload, "big"))
                case "update":
                    update(machine, again.payload)
                case _:
                    try_again(machine, again.payload, self._source.context)
