"""The model owner's side of a session: once the batch is final it opens the sum of the accepted updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.sessions import events as ev
from protocols.sessions.effects import Blame, Effect, Note, Remember, Send, Transact
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_decode import settled
from protocols.sessions.prover_desk import bits
from protocols.sessions.view import SessionView
from protocols.wire.context import Context
from protocols.wire.messages import Announcement, Message, OutputRequest, OutputShare


@dataclass(frozen=True, slots=True)
class Output:
    """total: (d,) sum of the accepted updates, fixed point.  count: how many they are.

    norms: opened squared norm of each selected group's sum (-1: the provers do not agree).  sizes: |U_r| of the same.
    Mode verified: no norms, and sizes of 1.
    """

    total: npt.NDArray[np.int64]
    count: int
    norms: tuple[int, ...]
    sizes: tuple[int, ...]


class OwnerMachine:
    """The owner in one session (mode ``grouped``).

    ``result`` is there as soon as 2t + 1 provers agree at every coordinate.

    Deterministic: the owner needs no randomness of its own. seed is taken so that all machines are made alike.
    """

    def __init__(self, context: Context, identity: Identity, seed: bytes) -> None:
        self._context, self._identity = context, identity
        self._view = SessionView(context.session)
        self._shares: dict[int, Vector] = {}
        self._norms: dict[int, tuple[int, ...]] = {}
        self._blamed: set[int] = set()
        self._claimed = False
        self.result: Output | None = None

    @property
    def view(self) -> SessionView:
        """The session as the chain tells it."""
        return self._view

    def chain(self, event: ev.ChainEvent) -> list[Effect]:
        """Fold one chain event; events come in chain order, each once."""
        view = self._view
        view.apply(event)
        match event:
            case ev.BatchFinal(selected=selected) if selected:
                request = OutputRequest(self._identity.address)
                return [Send(prover.address, request) for prover in view.committee]
            case ev.PhaseChanged(phase=Phase.FINISHED | Phase.ABORTED) if not self._claimed:
                self._claimed = True
                return [Transact("claim", (), key="claim")]
        return []

    def receive(self, message: Message) -> list[Effect]:
        """One message of an authenticated sender. Raises RemoteProtocolError, and then nothing changed."""
        if isinstance(message, Announcement):
            return []  # gossip reaches everybody; the owner needs no keys
        if not isinstance(message, OutputShare):
            raise RemoteProtocolError("unexpected-type", message.sender.hex(), type(message).__name__)
        point, values = self._check(message)
        if point in self._shares:
            return []
        self._shares[point] = values
        self._norms[point] = message.norms
        return self._decode()

    def tick(self, block: int) -> list[Effect]:
        """Money back although every prover is gone: poke when a phase is long over. Changes nothing."""
        view = self._view
        overdue = view.deadline > 0 and view.phase < Phase.FINISHED and block > view.deadline + view.p.committee
        if overdue and (block - view.deadline) % 4 == 0:
            return [Transact("poke", (), key=f"poke-{view.phase.name}-{block}")]
        return []

    def status(self) -> dict[str, Any]:
        """Where we stand, for people."""
        return {
            "phase": self._view.phase.name.lower(),
            "registered": len(self._view.members),
            "shares": len(self._shares),
            "count": self.result.count if self.result else 0,
            "done": self.result is not None,
            "faulty": sorted(self._view.committee[point - 1].address.hex() for point in self._blamed),
        }

    def _check(self, message: OutputShare) -> tuple[int, Vector]:
        view = self._view
        index = view.prover_index(message.sender)
        if index is None:
            raise RemoteProtocolError("wrong-sender", message.sender.hex(), "no prover of this session")
        if view.batch is None:
            raise RemoteProtocolError("unasked", message.sender.hex(), "no batch yet")
        try:
            values = self._read(message.values)
        except ValueError as error:
            raise RemoteProtocolError("bad-values", message.sender.hex(), str(error)) from None
        if len(message.norms) != self._norm_count():
            raise RemoteProtocolError("bad-values", message.sender.hex(), f"{len(message.norms)} norms")
        return index + 1, values

    def _read(self, data: bytes) -> Vector:
        """A share of the sum. ValueError unless it has as many canonical elements as it should."""
        values = gl.from_bytes(data)
        if len(values) != self._view.p.dimension:
            raise ValueError(f"{len(values)} values")
        return values

    def _norm_count(self) -> int:
        """Norms that come with a share: one per selected group."""
        return self._view.batch.selected.bit_count() if self._view.batch else 0

    def _opened(self) -> tuple[npt.NDArray[np.int64], set[int]] | None:
        """The sum and the points of who lied about it, as soon as 2t + 1 agree: t + 1 of them are honest."""
        threshold = self._view.p.threshold
        decoded = settled(self._shares, threshold, 2 * threshold + 1)
        return None if decoded is None else (gl.to_signed(decoded.values), set(decoded.error_points))

    def _decode(self) -> list[Effect]:
        """The sum, once it is there; later shares only show who lies."""
        opened = self._opened()
        if opened is None:
            return []
        total, liars = opened
        fresh = liars - self._blamed
        self._blamed |= fresh
        effects: list[Effect] = [
            Blame(self._view.committee[point - 1].address, "wrong-output-share") for point in sorted(fresh)
        ]
        if self.result is None:
            self.result = self._output(total, liars)
            effects += [self._remembered(), Note("output", (("count", self.result.count),))]
            effects.append(Transact("acknowledge", (), key="acknowledge"))
        return effects

    def _remembered(self) -> Remember:
        """What this batch was opened to, for whoever asks later; another batch (a reorganised chain) is another key."""
        assert self.result is not None and self._view.batch is not None
        total, count = self.result.total.astype("<i8").tobytes(), self.result.count.to_bytes(4, "big")
        return Remember(f"output/{self._view.batch.batch_hash.hex()}", self._context.bind("output", total, count))

    def _output(self, total: npt.NDArray[np.int64], liars: set[int]) -> Output:
        view = self._view
        selected = bits(view.batch.selected) if view.batch else []
        sizes = tuple(len(view.within(Bitmap.VALID, r)) for r in selected)
        honest = [norms for point, norms in sorted(self._norms.items()) if point not in liars]
        norms = tuple(self._agreed([row[i] for row in honest]) for i in range(self._norm_count()))
        return Output(total, sum(sizes), norms, sizes)

    def _agreed(self, values: list[int]) -> int:
        """The value that more than t provers give: one of them is honest."""
        common = max(set(values), key=values.count)
        return common if values.count(common) > self._view.p.threshold else -1
