"""A journal's chain events against the chain's own, and what the chain holds of this node against what it asked for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from omninode.roles.verify_entry import BadEntry, Input
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Bitmap, Phase
from protocols.sessions.view import SessionView

ENDS = (Phase.FINISHED, Phase.ABORTED)
Asked = tuple[str, int]
"""Call, and for a bitmap its kind."""


class History:
    """events: all of the session, in order, from the chain as it is now.  address: this node's wallet."""

    def __init__(self, events: Sequence[ev.ChainEvent], address: bytes) -> None:
        self._blocks = [(block, list(group)) for block, group in groupby(events, key=lambda event: event.block)]
        self._next, self._address = 0, address
        self._asked: dict[Asked, list[tuple[Input, int | bytes]]] = {}

    def check(self, item: Input, block: int, events: list[ev.ChainEvent]) -> None:
        """The next block that has events of this session, with just these. Raises BadEntry."""
        at, expected = self._blocks[self._next] if self._next < len(self._blocks) else (None, [])
        if at is not None and at < block:
            raise item.bad("missing-event", f"the chain has {_names(expected)} in block {at}, before this")
        if at != block:
            raise item.bad("not-on-chain", f"the chain has nothing of this session in block {block}")
        for number, event in enumerate(events):
            if number >= len(expected) or event != expected[number]:
                raise item.bad("not-on-chain", f"{_names([event])} in block {block}, event {number} of this session")
        if len(events) < len(expected):
            raise item.bad("missing-event", f"the chain also has {_names(expected[len(events) :])} in block {block}")
        self._next += 1

    def check_end(self, entries: int, phase: Phase, done: bool) -> None:
        """No event is missing at the end; a node that has not done with the session yet may be some blocks behind.

        Raises BadEntry.
        """
        behind = phase == Phase.OUTPUT and not done
        if self._next < len(self._blocks) and phase not in ENDS and not behind:
            at, expected = self._blocks[self._next]
            raise BadEntry(entries, "-", "missing-event", f"the chain has {_names(expected)} in block {at}")

    # -- our own transactions -------------------------------------------------------------------------------------

    def ask(self, item: Input, call: str, args: tuple[object, ...]) -> None:
        """The machine, fed with this entry, wants this transaction."""
        match call, args:
            case "postBitmap", (int(kind), int(bits)):
                self._asked.setdefault((call, kind), []).append((item, bits))
            case "postOpenings", (int(present), bytes(values)):
                self._asked.setdefault((call, 0), []).append((item, present.to_bytes(32, "big") + values))
            case (("commitUpload" | "commitShares" | "commitReference"), (bytes(root),)):
                self._asked.setdefault((call, 0), []).append((item, root))

    def check_ours(self, item: Input, event: ev.ChainEvent, view: SessionView) -> None:
        """An event of ours on the chain is one that the machine asked for. view: with the event. Raises BadEntry.

        Where it is another, the entry at which the machine asked differently is named: it, or one before it, changed.
        """
        ours = self._of_ours(event, view)
        if ours is None:
            return
        asked, posted = ours
        wanted = self._asked.get(asked, [])
        receipts = asked == ("postBitmap", Bitmap.DELIVERED)  # bits that receipts proved are added by the contract
        if not any(value == posted or (receipts and _within(value, posted)) for _, value in wanted):
            named = wanted[-1][0] if wanted else item
            raise named.bad("said-otherwise", f"the chain has our {_names([event])} of block {event.block}, not this")

    def _of_ours(self, event: ev.ChainEvent, view: SessionView) -> tuple[Asked, int | bytes] | None:
        member, seat = view.member_of(self._address), view.prover_index(self._address)
        index = member.index if member is not None else None
        match event:
            case ev.BitmapPosted(kind=kind, prover=prover, bits=bits) if prover == seat:
                return ("postBitmap", int(kind)), bits
            case ev.OpeningsPosted(prover=prover, present=present, values=values) if prover == seat:
                return ("postOpenings", 0), present.to_bytes(32, "big") + values
            case ev.ShareRootCommitted(index=of, root=root) if of == index:
                return ("commitShares", 0), root
            case ev.UploadCommitted(index=of, root=root) if of == index and of != REFERENCE:
                return ("commitUpload", 0), root
            case ev.ReferenceCommitted(root=root) if view.p.owner == self._address:
                return ("commitReference", 0), root
        return None


def _within(bits: int | bytes, posted: int | bytes) -> bool:
    return isinstance(bits, int) and isinstance(posted, int) and bits & ~posted == 0


def _names(events: Sequence[ev.ChainEvent]) -> str:
    return ", ".join(type(event).__name__ for event in events)


class Kept:
    """Which entries count after the chain took blocks back: as `replay.without_rolled_back`, while it happens."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int | None]] = []

    def note(self, seq: int, block: int | None) -> None:
        """An entry that held. block: of chain events and ticks, None for what no reorganisation takes back."""
        self._entries.append((seq, block))

    def roll_back(self, limit: int) -> list[int]:
        """Forget what lies after block ``limit``. Returns the numbers of the entries that are left."""
        self._entries = [(seq, block) for seq, block in self._entries if block is None or block <= limit]
        return [seq for seq, _ in self._entries]
