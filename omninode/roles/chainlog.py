"""All live sessions as the chain tells them, and their history for a driver that starts late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from weakref import WeakValueDictionary

from protocols.sessions.events import ChainEvent
from protocols.sessions.params import Phase
from protocols.sessions.view import SessionView

KEEP_ENDED = 256  # ended sessions whose views stay for `session list`


class ChainLog:
    """Folds events of all sessions. ``history`` is dropped when a session ends; its view stays for a while.

    Roles hold views: a session has one for as long as anybody does, also if the chain takes it back and has it again.
    """

    def __init__(self) -> None:
        self.views: dict[int, SessionView] = {}
        self._held: WeakValueDictionary[int, SessionView] = WeakValueDictionary()
        self._history: dict[int, list[tuple[int, list[ChainEvent]]]] = {}
        self._created: dict[int, int] = {}

    def fold(self, block: int, events: list[ChainEvent]) -> dict[int, list[ChainEvent]]:
        """Take one batch (up to and including ``block``). Returns the new events by session."""
        grouped: dict[int, list[ChainEvent]] = defaultdict(list)
        for event in events:
            if event.session == 0:
                continue
            grouped[event.session].append(event)
            if event.session not in self.views:
                view = self._held.get(event.session) or SessionView(event.session)
                self.views[event.session] = self._held[event.session] = view
            self.views[event.session].apply(event)
            self._created.setdefault(event.session, event.block)
        for session, new in grouped.items():
            self._history.setdefault(session, []).append((block, new))
        return dict(grouped)

    def history(self, session: int) -> list[tuple[int, list[ChainEvent]]]:
        """Everything seen of a live session so far, in order."""
        return list(self._history.get(session, []))

    def resume_block(self, block: int, unfinished: Collection[int] = ()) -> int:
        """Where a restarted node must begin to read: the creation of the oldest live session, else here.

        unfinished: sessions that we still have work with, ended on chain or not.
        """
        live = [self._created[s] for s in self.views if not self.ended(s) or s in unfinished]
        return min(live, default=block)

    def ended(self, session: int) -> bool:
        """Whether the chain has closed the session."""
        return self.views[session].phase in (Phase.FINISHED, Phase.ABORTED)

    def roll_back(self, block: int) -> None:
        """Forget everything after ``block``: views are folded again from what is left."""
        for session, batches in list(self._history.items()):
            kept = [(at, [e for e in events if e.block <= block]) for at, events in batches]
            kept = [(min(at, block), events) for at, events in kept if events]
            self._history[session] = kept
            view = self.views[session]
            view.clear()
            for _, events in kept:
                for event in events:
                    view.apply(event)
            if not kept:
                del self._history[session], self.views[session], self._created[session]

    def forget(self, session: int) -> None:
        """No driver needs the history of this ended session any more."""
        self._history.pop(session, None)

    def trim(self) -> None:
        """Keep the views of the last ended sessions only; after everybody has looked at the new events."""
        ended = [s for s, v in self.views.items() if v.phase in (Phase.FINISHED, Phase.ABORTED)]
        for session in sorted(ended)[: max(0, len(ended) - KEEP_ENDED)]:
            del self.views[session]
            self._history.pop(session, None)
            self._created.pop(session, None)
