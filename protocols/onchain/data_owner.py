"""A data owner in one session of the baseline: place, key, masked model, pay. No I/O; deterministic given its seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.onchain import lanes, masks
from protocols.onchain.duties import FIRST_TURN, judging, overdue
from protocols.onchain.events import OnchainEvent
from protocols.onchain.params import State
from protocols.onchain.view import Member, OnchainView
from protocols.sessions.effects import Effect, Note, Remember, Train, Transact
from protocols.wire.context import Context, tagged_hash


class OnchainDataOwner:
    """context.contract: the head. Feed it every event of the session from its creation, blocks, and the trained model.

    Each effect comes once in the machine's life, those of a transaction with a key that names what it is about; a
    machine made again from the same seed, model and events says the same again. ``Remember`` comes before an upload:
    whoever has uploaded one masked model never uploads another in the same session.
    """

    def __init__(self, context: Context, address: bytes, peer_key: bytes, seed: bytes) -> None:
        self.view = OnchainView(context.session)
        self._context, self._address, self._peer_key = context, address, peer_key
        self._key = masks.MaskKey.derive(seed, context, address)
        self._model: NDArray[np.float64] | None = None
        self._said: set[str] = set()
        self.refused = ""

    def chain(self, event: OnchainEvent) -> list[Effect]:
        """One event, in the chain's order."""
        self.view.apply(event)
        return self._step()

    def model_ready(self, model: NDArray[np.float64]) -> list[Effect]:
        """The trained public part (d,), whole: not the difference. ValueError for another length."""
        if self.view.terms is not None and model.shape != (self.view.p.dimension,):
            raise ValueError(f"a model of shape {model.shape}, the session's has {self.view.p.dimension} parameters")
        self._model = model
        return self._step()

    def tick(self, block: int) -> list[Effect]:
        """A new block, after its events."""
        me = self.view.member_of(self._address)
        if me is None:
            return []
        turn = FIRST_TURN + me.place
        return self._once([*overdue(self.view, block, turn), *judging(self.view, block, turn)])

    @property
    def over(self) -> bool:
        """Whether nothing is left to do here: paid, or the session ended without us."""
        if self.view.member_of(self._address) is None:
            return self.view.state > State.REGISTER
        return self.view.ended and self._address in self.view.claimed

    def status(self) -> dict[str, Any]:
        """For `session show`."""
        me = self.view.member_of(self._address)
        return {
            "place": me.place if me else None,
            "round": self.view.round_of(me.place) if me else None,
            "uploaded": len(me.uploaded) if me else 0,
            "claimed": self.view.claimed.get(self._address, 0),
            "refused": self.refused,
        }

    # -- steps --------------------------------------------------------------------------------------------------

    def _step(self) -> list[Effect]:
        view, me = self.view, self.view.member_of(self._address)
        effects: list[Effect] = []
        if view.state == State.REGISTER and me is None:
            assert view.training is not None
            if len(view.members) < view.training.places:
                effects.append(Transact("register", (self._peer_key,), key="register"))
        if me is not None:
            if view.state == State.REGISTER and not me.key:
                effects.append(Transact("postKey", (self._key.public,), key="key"))
            if not view.ended and "Train" not in self._said:
                self._said.add("Train")
                effects.append(Train())
            if view.state == State.MODEL_AGGREGATE and self._model is not None:
                effects += self._upload(me)
            if view.ended:
                effects.append(Transact("claim", (), key="claim"))
        return self._once(effects)

    def _upload(self, me: Member) -> list[Effect]:
        """The masked model, if our round is live: with every other key of it, as the chain has them now for good."""
        number = self.view.round_of(me.place)
        if not self.view.live >> number & 1 or "upload" in self._said:
            return []
        self._said.add("upload")
        assert self._model is not None and self.view.training is not None
        if me.key != self._key.public:  # of another machine with this wallet: what we add would never cancel
            return [self._refuse("the key on the chain is not this node's")]
        peers = {m.address: m.key for m in self.view.peers_of(me)}
        try:
            plain = lanes.encode(self._model, self.view.training.places)
            masked = masks.mask(self._context, self._key, self._address, peers, plain)
        except ValueError as error:  # a model that cannot be summed, or somebody's unusable key: the round stays empty
            return [self._refuse(str(error))]
        digest = tagged_hash("omninode/onchain-upload", plain.astype("<u8").tobytes(), masked.astype("<u8").tobytes())
        uploads = [Transact("upload", (c, words), key=f"upload/{c}") for c, words in enumerate(lanes.chunks(masked))]
        return [Remember("upload", digest), *uploads]

    def _refuse(self, reason: str) -> Note:
        self.refused = reason
        return Note("update_refused", (("reason", reason),))

    def _once(self, effects: list[Effect] | list[Transact]) -> list[Effect]:
        """Without the transactions that were asked for already."""
        fresh: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Transact):
                if effect.key in self._said:
                    continue
                self._said.add(effect.key)
            fresh.append(effect)
        return fresh
