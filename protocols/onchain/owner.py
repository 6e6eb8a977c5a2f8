"""The model owner in one session of the baseline: model onto the chain, start, distances, selection, rest. No I/O."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.onchain import lanes
from protocols.onchain.duties import judging, overdue
from protocols.onchain.events import OnchainEvent
from protocols.onchain.params import State, Training
from protocols.onchain.view import OnchainView
from protocols.sessions.effects import Effect, Transact

CHUNKS_AT_ONCE = 64
"""Chunk contracts that the creation makes; ``addChunks`` makes the rest."""
SETUP_BLOCKS = 300
"""A session that is not started so long after its creation is given up: its owner takes the deposit back."""


class OnchainOwner:
    """Feed it every event of the session from its creation, and blocks; each transaction is asked for once.

    model: the public part W^p (d,).  whitelist: wallets that may register; () for everybody.  budget: wei that
    ``start`` brings along, what the deposit at the creation did not cover.
    """

    def __init__(
        self, session: int, model: NDArray[np.float64], training: Training, *, whitelist: tuple[bytes, ...] = (),
        budget: int = 0,
    ) -> None:  # fmt: skip
        self.view = OnchainView(session)
        self.training, self._budget, self._whitelist = training, budget, whitelist
        self._chunks = lanes.chunks(lanes.encode(model, training.places))
        self._said: set[str] = set()

    def chain(self, event: OnchainEvent) -> list[Effect]:
        """One event, in the chain's order."""
        self.view.apply(event)
        return self._once(self._step())

    def tick(self, block: int) -> list[Effect]:
        """A new block, after its events."""
        view = self.view
        if view.terms is not None and view.state == State.SETUP and block > view.created + SETUP_BLOCKS:
            return self._once([Transact("exit", (), key="exit")])
        return self._once([*overdue(view, block, 0), *judging(view, block, 0)])

    @property
    def over(self) -> bool:
        """Whether the rest of the deposit is back."""
        return self.view.state == State.FINISHED

    def status(self) -> dict[str, Any]:
        """For `session show`."""
        return {"posted": len(self.view.posted), "measured": len(self.view.measured), "refund": self.view.refund}

    def _step(self) -> list[Transact]:
        view = self.view
        if view.terms is None:
            return []
        if view.state == State.SETUP:
            return self._set_up()
        if view.state == State.OUTLIER_SUPPRESSION:
            return judging(view, view.since, 0)
        return [Transact("exit", (), key="exit")] if view.state == State.PAYMENT else []

    def _set_up(self) -> list[Transact]:
        missing = [c for c in range(len(self._chunks)) if c not in self.view.posted]
        if missing:
            first = [Transact("whitelist", (self._whitelist,), key="whitelist")] if self._whitelist else []
            if len(self._chunks) > CHUNKS_AT_ONCE:
                first.append(Transact("addChunks", (len(self._chunks) - CHUNKS_AT_ONCE,), key="chunks"))
            return [*first, *(Transact("postModel", (c, self._chunks[c]), key=f"model/{c}") for c in missing)]
        if self._whitelist and not self.view.listed:
            return []
        t = self.training
        told = {
            "samples": t.samples, "epochs": t.epochs, "batch": t.batch, "rounds": t.rounds, "groupSize": t.group_size,
        }  # fmt: skip
        return [Transact("start", (told,), value=self._budget, key="start")]

    def _once(self, wanted: list[Transact]) -> list[Effect]:
        fresh: list[Effect] = [effect for effect in wanted if effect.key not in self._said]
        self._said |= {effect.key for effect in wanted}
        return fresh
