"""A data owner of mode ``grouped`` that misbehaves on order. No honest node loads this module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omninode.demo.orders import order_of
from omninode.roles.machine import Machine
from protocols.sessions import effects as fx
from protocols.sessions.params import Phase

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from protocols.sessions.events import ChainEvent
    from protocols.sessions.view import SessionView
    from protocols.wire.messages import Message

GARBAGE_FACTOR = 10  # how many times the bound the random vector is long


class BadDataOwner:
    """Mode ``grouped``. "garbage": a random vector ten times as long as the bound. "hold": stops after key sharing."""

    def __init__(self, inner: Machine, data_dir: Path) -> None:
        self._inner, self._data_dir = inner, data_dir
        self._update: NDArray[np.int64] | None = None

    @property
    def view(self) -> SessionView:
        return self._inner.view

    def chain(self, event: ChainEvent) -> list[fx.Effect]:
        return self._inner.chain(event) + self._release()

    def receive(self, message: Message) -> list[fx.Effect]:
        return self._inner.receive(message) + self._release()

    def tick(self, block: int) -> list[fx.Effect]:
        return self._inner.tick(block) + self._release()

    def status(self) -> dict[str, Any]:
        return self._inner.status()

    def update_ready(self, update: NDArray[np.int64]) -> list[fx.Effect]:
        """Keep the update until the upload phase: by then the demo has chosen its targets."""
        self._update = update
        return self._release()

    def _release(self) -> list[fx.Effect]:
        kind = order_of(self._data_dir, self.view.session).kind
        if self._update is None or self.view.phase < Phase.UPLOAD or kind == "hold":
            return []
        update, self._update = self._update, None
        if kind == "garbage":
            update = _garbage(len(update), self.view.p.bound, self.view.session)
        effects: list[fx.Effect] = self._inner.update_ready(update)  # type: ignore[attr-defined]
        return effects


def _garbage(length: int, bound: int, seed: int) -> NDArray[np.int64]:
    noise = np.random.default_rng(seed).standard_normal(length)
    scaled: NDArray[np.float64] = noise * (GARBAGE_FACTOR * bound / np.linalg.norm(noise))
    return np.rint(scaled).astype(np.int64)
