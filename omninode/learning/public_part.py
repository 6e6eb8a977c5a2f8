"""Which layers of a model are published, and their weights within the flat vector of all (OmniLytics 2021: W^p, W^s).

NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from omninode.learning.model_spec import Model, layer_of, layers_of

_Real = TypeVar("_Real", np.float32, np.float64)


@dataclass(frozen=True, slots=True)
class PublicPart:
    """layers: names in the model's order, one at least.  spans: (start, end) of their tensors in the flat vector."""

    layers: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    total: int

    @property
    def dimension(self) -> int:
        """How many parameters are published."""
        return sum(end - start for start, end in self.spans)

    @property
    def whole(self) -> bool:
        """Whether nothing is private."""
        return self.dimension == self.total

    @property
    def listed(self) -> tuple[str, ...]:
        """``SessionDocument.public_layers``: the layers, or () for all."""
        return () if self.whole else self.layers

    @property
    def share(self) -> float:
        """Published parameters over all."""
        return self.dimension / self.total

    @property
    def sentence(self) -> str:
        """For people: which layers, how many parameters, which share."""
        if self.whole:
            return f"publishes the whole model: {self.total:,} parameters"
        counts = f"{self.dimension:,} of {self.total:,} parameters ({100 * self.share:.1f} %)"
        return f"publishes {', '.join(self.layers)}: {counts}"

    def take(self, flat: NDArray[_Real]) -> NDArray[_Real]:
        """The public part (dimension,) of all weights (total,), a copy. Raises ValueError on another shape."""
        _check(flat, self.total)
        return np.concatenate([flat[start:end] for start, end in self.spans])

    def put(self, flat: NDArray[_Real], part: NDArray[_Real]) -> NDArray[_Real]:
        """All weights (total,), a copy, with the public part replaced. Raises ValueError on other shapes."""
        _check(flat, self.total)
        _check(part, self.dimension)
        result, at = flat.copy(), 0
        for start, end in self.spans:
            result[start:end] = part[at : at + end - start]
            at += end - start
        return result


def choose(model: Model, wanted: Sequence[str] | int | None = None) -> PublicPart:
    """The public part with these layers, or with so many in ``model.publishing_order``, or (None) with all.

    Raises ValueError, listing the model's layers, for a layer that does not exist, a part that is empty, or a count
    beyond the layers there are.
    """
    layers = layers_of(model.tensors)
    there = "the model has the layers " + ", ".join(layers)
    if isinstance(wanted, int):
        if not 0 < wanted <= len(layers):
            raise ValueError(f"{wanted} public layers: {there}, so choose 1 to {len(layers)}")
        wanted = model.publishing_order[:wanted]
    names = set(layers if wanted is None else wanted)
    if not names:
        raise ValueError(f"the public part is empty: nothing could be improved; {there}")
    if unknown := sorted(names - set(layers)):
        raise ValueError(f"there is no layer {unknown[0]!r:.60}: {there}")
    spans, at = [], 0
    for name, shape in model.tensors:
        end = at + math.prod(shape)
        if layer_of(name) in names:
            spans.append((at, end))
        at = end
    return PublicPart(tuple(layer for layer in layers if layer in names), tuple(spans), at)


def _check(vector: NDArray[_Real], length: int) -> None:
    if vector.shape != (length,):
        raise ValueError(f"weights of shape {vector.shape}, expected ({length},)")
