"""What provers and contract do with one session's integer updates: steps 6 to 8, without masks, shares or proofs.

The rules, distances and scores are the protocol's own; NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omninode.learning import fixed_point
from omninode.learning.simulate_verified import RULES, gram_of
from protocols.gram.distances import distances
from protocols.selection import rules, scores

Update = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """total: (d,) integer sum of what is kept; None: no output.  units: what is judged, groups or single data owners.

    passed: indices of units that passed the bound.  kept: of those summed.  members: data owners in ``total``.
    squares: squared norms of the kept units' sums, in the order of ``kept``.
    """

    total: Update | None
    units: tuple[tuple[int, ...], ...]
    passed: tuple[int, ...]
    kept: tuple[int, ...]
    squares: tuple[int, ...]

    @property
    def members(self) -> tuple[int, ...]:
        """Data owners whose updates are in ``total``."""
        return tuple(k for r in self.kept for k in self.units[r])

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many updates each kept unit holds."""
        return tuple(len(self.units[r]) for r in self.kept)


def grouped(
    uploads: Mapping[int, Update], groups: Sequence[Sequence[int]], bound: int | None, rule: str, mu_bps: int
) -> Outcome:
    """Mode ``grouped``: sums of groups, their norms against |U| bound (None: unbounded), selection on their means.

    uploads: index of a data owner -> (d,) integers.  rule: "none", "outlier", "multi-krum" or "m-krum" (as many
    groups as it may take).  mu_bps: share of corrupt groups reckoned with, in 1/10000.
    """
    units = tuple(tuple(group) for group in groups)
    sums = [np.sum([uploads[k] for k in group], axis=0) for group in units]
    squares = [fixed_point.norm_squared(total) for total in sums]
    passed = [r for r, group in enumerate(units) if bound is None or squares[r] <= (len(group) * bound) ** 2]
    apart = distances(gram_of([sums[r] for r in passed]), [len(units[r]) for r in passed]) if passed else []
    chosen = rules.select(RULES[rule], apart, len(units), len(passed), mu_bps, len(units))
    kept = tuple(passed[i] for i in chosen or ())
    total = np.sum([sums[r] for r in kept], axis=0) if kept else None
    return Outcome(total, units, tuple(passed), kept, tuple(squares[r] for r in kept))


def verified(uploads: Mapping[int, Update], reference: Update, bound: int | None) -> Outcome:
    """Mode ``verified``, rule ``trust``: every update against the bound, then by the sign of its product with
    ``reference`` (d,).
    """
    members = sorted(uploads)
    squares = [fixed_point.norm_squared(uploads[k]) for k in members]
    passed = [i for i, square in enumerate(squares) if bound is None or square <= bound**2]
    kept = tuple(scores.trust({i: int(uploads[members[i]] @ reference) for i in passed}))
    total = np.sum([uploads[members[i]] for i in kept], axis=0) if kept else None
    return Outcome(total, tuple((k,) for k in members), tuple(passed), kept, tuple(squares[i] for i in kept))
