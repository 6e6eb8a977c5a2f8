"""Pieces of accepted data owners that this prover lacks, rebuilt with the help of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.sessions.effects import Blame, Effect, Note, Reply
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_decode import settled
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.setup import Points, SeedSetup
from protocols.sessions.shelf import MemoryShelf, Shelf, get_vector, put_vector
from protocols.sharing.rebuild import helper_message
from protocols.wire.messages import RebuildRequest, RebuildShare

ANSWERS = 8
"""Times that one prover may ask for its share of one data owner: replies get lost, nodes start again."""
KEPT = 1 << 28
"""Bytes of answers on the shelf, at least one. What is dropped is computed again when it is asked for."""


class Trust(Protocol):
    """Who has judged the pieces that came."""

    def trusted(self, index: int) -> bool:
        """Whether our piece of this data owner is here and good."""


class Help(Protocol):
    """Masked shares over the field of the session.  shape: of a vector of it, the elements first."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def make(self, share: Vector, seeds: Mapping[Points, bytes], desk: Desk, at: int, label: bytes) -> bytes:
        """Our share plus a sharing that vanishes at the point ``at``."""

    def read(self, values: bytes) -> Vector:
        """Help as it came. ValueError for what are no field elements."""

    def least(self, t: int) -> int:
        """Helpers without whom there is no share."""

    def rebuilt(
        self, found: Mapping[int, Vector], newest: int, desk: Desk, index: int, share: Vector | None
    ) -> tuple[Vector, tuple[int, ...] | None] | None:
        """The share, and whose help is off, or None in its place if more help must tell; None while there is no share.

        newest: whose help has come since the last call.  share: what that gave, if it gave one.
        """


class GoldilocksHelp:
    """Certificate ``attested``, and mode grouped."""

    shape = (-1,)

    def make(self, share: Vector, seeds: Mapping[Points, bytes], desk: Desk, at: int, label: bytes) -> bytes:
        """8 bytes per coordinate."""
        return gl.to_bytes(helper_message(share, seeds, desk.point, at, desk.n, desk.t, label))

    def read(self, values: bytes) -> Vector:
        """The inverse."""
        return gl.from_bytes(values)

    def least(self, t: int) -> int:
        """t of them may lie."""
        return 2 * t + 1

    def rebuilt(
        self, found: Mapping[int, Vector], newest: int, desk: Desk, index: int, share: Vector | None
    ) -> tuple[Vector, tuple[int, ...] | None] | None:
        """What 2t + 1 agree on, block by block of coordinates."""
        decoded = settled(found, desk.t, 2 * desk.t + 1, desk.point)
        return None if decoded is None else (decoded.values, decoded.error_points)


@dataclass
class Rebuild:
    """Also the one place that knows our share of a data owner of U, received or rebuilt.

    Help and what is rebuilt of it lie on the shelf.
    """

    desk: Desk
    uploads: UploadDesk[Any]
    consistency: Trust
    setup: SeedSetup
    shelf: Shelf = field(default_factory=MemoryShelf)
    help: Help = field(default_factory=GoldilocksHelp)
    _asked: set[int] = field(default_factory=set)
    _helpers: dict[int, set[int]] = field(default_factory=dict)  # whose help is on the shelf
    _rebuilt: set[int] = field(default_factory=set)
    _liars: set[int] = field(default_factory=set)  # points whose help was off, once
    _answered: Counter[tuple[int, int]] = field(default_factory=Counter)  # (point, index)
    _given: dict[tuple[int, int], bytes] = field(default_factory=dict)  # label of the answers kept, the oldest first

    def share(self, index: int) -> Vector | None:
        """Our share, all coordinates, of this data owner; None while we have none that is good. Read-only."""
        if index in self._rebuilt:
            return self._get(f"rebuilt-{index}")
        return self.uploads.held[index].share if self.consistency.trusted(index) else None

    def has(self, index: int) -> bool:
        """Whether there is such a share: nothing is loaded."""
        return index in self._rebuilt or self.consistency.trusted(index)

    def progress(self) -> list[Effect]:
        """U is fixed: ask for what is missing: we never got the piece, or it is off the others' polynomial."""
        desk = self.desk
        if not desk.settling:
            return []
        missing = [k for k in desk.members(Bitmap.VALID) if not self.has(k) and k not in self._asked]
        self._asked |= set(missing)
        return [e for k in missing for e in desk.broadcast(RebuildRequest(desk.identity.address, k))]

    def request(self, message: RebuildRequest) -> list[Effect]:
        """Help another prover to its share: ours plus a sharing that vanishes at its point."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.BATCH, message)
        if not desk.view.in_set(Bitmap.VALID, message.index):
            raise desk.refuse("not-in-set", message, f"data owner {message.index} is not in U")
        share = self.share(message.index) if self.setup.complete else None
        if share is None:
            raise desk.refuse("not-ready", message, "no share or no seeds here")
        if self._answered[point, message.index] >= ANSWERS:
            raise desk.refuse("too-many", message, f"asked for data owner {message.index} {ANSWERS} times")
        self._answered[point, message.index] += 1
        return [Reply(RebuildShare(desk.identity.address, message.index, self._help(point, message.index, share)))]

    def _help(self, point: int, index: int, share: Vector) -> bytes:
        """What is soon asked for again is not computed again: it takes seconds where models are large."""
        desk = self.desk
        label = desk.label("rebuild", desk.view.uploader(index))
        if self._given.get((point, index)) == label:
            return bytes(self.shelf.get(_answer(point, index)))
        made = self.help.make(share, self.setup.seeds(), desk, point, label)
        self._given.pop((point, index), None)
        while self._given and (len(self._given) + 1) * len(made) > KEPT:
            oldest = next(iter(self._given))
            del self._given[oldest]
            self.shelf.drop(_answer(*oldest))
        self.shelf.put(_answer(point, index), made)
        self._given[point, index] = label
        return made

    def receive(self, message: RebuildShare) -> list[Effect]:
        """Help that we asked for; enough of it gives the share and shows who lied."""
        desk, point = self.desk, self.desk.prover(message)
        if message.index not in self._asked:
            raise desk.refuse("unasked", message, f"data owner {message.index}")
        try:
            values = self.help.read(message.values)
        except ValueError as error:
            raise desk.refuse("bad-values", message, str(error)) from None
        if len(values) != self.uploads.pieces.length:
            raise desk.refuse("bad-values", message, f"{len(values)} values")
        return self._keep(message.index, point, values) if self._wanted(message.index, point) else []

    def _wanted(self, index: int, point: int) -> bool:
        """Its first word counts, none after a lie; and none about a share that is here, unless it shows who lied."""
        known = self.has(index) and index not in self._helpers
        return not known and point not in self._helpers.get(index, ()) and point not in self._liars

    def _keep(self, index: int, point: int, values: Vector) -> list[Effect]:
        """Help goes on the shelf; enough of it is decoded."""
        desk, effects = self.desk, list[Effect]()
        put_vector(self.shelf, f"help-{index}-{point}", values)
        helpers = self._helpers.setdefault(index, set())
        helpers.add(point)
        if len(helpers) < self.help.least(desk.t):
            return []
        found = {x: self._get(f"help-{index}-{x}") for x in sorted(helpers)}  # views: nothing is copied
        decoded = self.help.rebuilt(found, point, desk, index, self._known(index))
        if decoded is None:
            return []
        share, liars = decoded
        if index not in self._rebuilt:
            put_vector(self.shelf, f"rebuilt-{index}", share)
            self._rebuilt.add(index)
            effects.append(Note("share_rebuilt", (("data_owner", index),)))
        return effects if liars is None else effects + self._judged(index, liars)

    def _known(self, index: int) -> Vector | None:
        return self._get(f"rebuilt-{index}") if index in self._rebuilt else None

    def _judged(self, index: int, liars: tuple[int, ...]) -> list[Effect]:
        """Whose help was off is known; nothing more of it is needed."""
        for x in self._helpers.pop(index):
            self.shelf.drop(f"help-{index}-{x}")
        self._liars.update(liars)
        return [Blame(self.desk.address(x), "wrong-rebuild-share") for x in liars]

    def _get(self, name: str) -> Vector:
        return get_vector(self.shelf, name).reshape(self.help.shape)


def _answer(point: int, index: int) -> str:
    return f"answer-{index}-{point}"
