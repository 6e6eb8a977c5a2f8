"""Where the owner's model stands: what is written to its database after each step."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from omninode.learning.model_spec import layers_of
from omninode.learning.public_part import choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.learning.model_spec import Model
    from omninode.learning.public_part import PublicPart


@dataclass(frozen=True)
class ModelState:
    """weights: digest in hex of the blob of all weights, which is not served to others.

    bound: of the next session, integer, with the preset's frac_bits, if it publishes bound_layers; () stands for all.
    accuracy: on the owner's held-out data, None without any. applied: sessions whose sum is in the weights, with the
    accuracy after each.  initial: digest in hex of the blob of W0, "" where it is not made yet.  norms: of the
    pre-training update, by layer; empty in what was saved before there were public layers.  architecture: see
    ``owner_architecture.fingerprint``.
    """

    preset: str
    weights: str
    bound: int
    owner_alone: float | None
    accuracy: float | None
    applied: tuple[tuple[int, float | None], ...] = ()
    bound_layers: tuple[str, ...] = ()
    initial: str = ""
    norms: tuple[tuple[str, float], ...] = ()
    architecture: str = ""

    def encode(self) -> str:
        """JSON, for ``decode``."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> ModelState:
        """What ``encode`` wrote, or an earlier version of it."""
        raw = json.loads(text)
        raw["applied"] = tuple((session, accuracy) for session, accuracy in raw["applied"])
        raw["norms"] = tuple((layer, norm) for layer, norm in raw.get("norms", ()))
        raw["bound_layers"] = tuple(raw.get("bound_layers", ()))
        return cls(**raw)

    def bound_for(self, model: Model, part: PublicPart) -> int:
        """The bound of the next session if it publishes ``part``.

        Where the last one published other layers, the bound is changed as the norm of the pre-training update changes
        between the two parts: no norm of the new one was ever opened.
        """
        if part.listed == self.bound_layers:
            return self.bound
        before = choose(model, self.bound_layers or None)
        return max(1, math.floor(self.bound * self._norm(model, part) / self._norm(model, before)))

    def _norm(self, model: Model, part: PublicPart) -> float:
        """Of the pre-training update within ``part``; where that is unknown, of as many equal coordinates."""
        known = dict(self.norms)
        if not known.keys() >= set(part.layers):
            return math.sqrt(part.dimension)
        return max(math.hypot(*(known[layer] for layer in part.layers)), 1e-9)


def norms_of(model: Model, update: NDArray[np.float32]) -> tuple[tuple[str, float], ...]:
    """``ModelState.norms`` of an update (d,) of all weights."""
    parts = {layer: choose(model, (layer,)).take(update) for layer in layers_of(model.tensors)}
    return tuple((layer, float(np.linalg.norm(part.astype(np.float64)))) for layer, part in parts.items())
