"""Where the owner's model stands: what is written to its database after each step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace


@dataclass(frozen=True)
class ModelState:
    """weights: digest in hex of the blob of all weights, which is not served to others.

    bound: of the next session, integer, with the preset's frac_bits, if it publishes bound_layers; () stands for all.
    other_bounds: the last ones of other parts, by their layers.  accuracy: on the owner's held-out data, None without
    any.  applied: sessions whose sum is in the weights, with the accuracy after each.  initial: digest in hex of the
    blob of W0, "" where it is not made yet.  architecture: see ``owner_architecture.fingerprint``.  served: layers that
    sessions ever published; None in what was saved before that was written down.  floored: parts, by their layers,
    whose first bound is the floor of ``bound.played_norm``, until a session says more.
    """

    preset: str
    weights: str
    bound: int
    owner_alone: float | None
    accuracy: float | None
    applied: tuple[tuple[int, float | None], ...] = ()
    bound_layers: tuple[str, ...] = ()
    initial: str = ""
    architecture: str = ""
    other_bounds: tuple[tuple[tuple[str, ...], int], ...] = ()
    served: tuple[str, ...] | None = None
    floored: tuple[tuple[str, ...], ...] = ()

    def encode(self) -> str:
        """JSON, for ``decode``."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> ModelState:
        """What ``encode`` wrote, or an earlier version of it."""
        known = {field.name for field in fields(cls)}
        raw = {name: value for name, value in json.loads(text).items() if name in known}
        raw["applied"] = tuple((session, accuracy) for session, accuracy in raw["applied"])
        raw["bound_layers"] = tuple(raw.get("bound_layers", ()))
        raw["other_bounds"] = tuple((tuple(layers), bound) for layers, bound in raw.get("other_bounds", ()))
        raw["served"] = None if raw.get("served") is None else tuple(raw["served"])
        raw["floored"] = tuple(tuple(layers) for layers in raw.get("floored", ()))
        return cls(**raw)

    def bound_of(self, listed: tuple[str, ...]) -> int | None:
        """The bound of the next session if it publishes these layers (() for all); None where none is known."""
        return {**dict(self.other_bounds), self.bound_layers: self.bound}.get(listed)

    def knowing(self, listed: tuple[str, ...], bound: int, floored: bool = False) -> ModelState:
        """With a first bound for these layers; that of the last session stays what it is."""
        guesses = (*self.floored, listed) if floored else self.floored
        return replace(self, other_bounds=(*self.other_bounds, (listed, bound)), floored=guesses)

    def following(self, listed: tuple[str, ...], bound: int) -> ModelState:
        """With what a session that published these layers says of the next bound."""
        known = {**dict(self.other_bounds), self.bound_layers: self.bound}
        others = tuple((layers, old) for layers, old in known.items() if layers != listed)
        guesses = tuple(layers for layers in self.floored if layers != listed)
        return replace(self, bound=bound, bound_layers=listed, other_bounds=others, floored=guesses)

    def serving(self, layers: Sequence[str], all_layers: Sequence[str]) -> ModelState:
        """With these layers among those that sessions published, in the order of the model."""
        return replace(self, served=tuple(x for x in all_layers if x in {*(self.served or ()), *layers}))
