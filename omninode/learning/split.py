"""Ways to deal a data set among data owners who are not alike: labels or sizes differ from one to the next. NumPy only.

The owner's samples and the held-out test set are always drawn uniformly; no sample is dealt twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omninode.learning.data import DataError, Samples, Split

Rows = NDArray[np.int64]
FEWEST = 10
"""Samples of the poorest data owner under ``sizes``: one batch."""
_SPREAD = 1.0  # of the logarithm of the sizes: the largest of 64 has about twenty times the smallest


@dataclass(frozen=True, slots=True)
class Deal:
    """How to deal. kind: "iid", "dirichlet", "labels" or "sizes".  value: alpha, or labels per data owner, else 0.

    "dirichlet": class proportions of each data owner are Dir(alpha, .., alpha) (Hsu et al. 2019), all equally many.
    "labels": each has samples of so many classes only, equally many of each (McMahan et al. 2017).
    "sizes": proportions are alike, sizes log-normal with the given mean and ``FEWEST`` at least.
    """

    kind: str = "iid"
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("iid", "dirichlet", "labels", "sizes"):
            raise ValueError(f'a deal is "iid", "dirichlet", "labels" or "sizes", not {self.kind!r}')
        if self.kind == "dirichlet" and not 0 < self.value < math.inf:
            raise ValueError(f"Dirichlet's alpha must be positive, not {self.value}")
        if self.kind == "labels" and (self.value < 1 or self.value != int(self.value)):
            raise ValueError(f"labels per data owner must be a positive integer, not {self.value}")


def deal(samples: Samples, seed: int, how: Deal, owner: int, per_party: int, parties: int, test: int) -> Split:
    """``test`` samples held out, ``owner`` for the owner, and ``per_party`` (on average) for each of ``parties``.

    Raises DataError if there are too few samples, or too few of some classes.
    """
    wanted = test + owner + parties * per_party
    if wanted > len(samples):
        raise DataError(
            f"{len(samples)} samples are too few: {test} held out, {owner} for the owner and "
            f"{parties} x {per_party} for the data owners make {wanted}"
        )
    rng = np.random.default_rng([seed, 0x5B117])
    order = rng.permutation(len(samples)).astype(np.int64)
    rest = order[test + owner :]
    if how.kind in ("iid", "sizes"):
        sizes = np.full(parties, per_party) if how.kind == "iid" else _sizes(rng, parties, per_party)
        rows = np.split(rest[: parties * per_party], np.cumsum(sizes)[:-1])
    else:
        stock = [rest[samples.y[rest] == label] for label in range(int(samples.y.max()) + 1)]
        draw = _dirichlet if how.kind == "dirichlet" else _labels
        rows = draw(rng, stock, how.value, per_party, parties)
    shares = [samples.take(part) for part in rows]
    return Split(samples.take(order[test : test + owner]), shares, samples.take(order[:test]))


def _sizes(rng: np.random.Generator, parties: int, mean: int) -> NDArray[np.int64]:
    """Sizes that add up to parties * mean, each FEWEST at least."""
    if mean < FEWEST:
        raise DataError(f"{mean} samples on average, {FEWEST} are the fewest that anybody has")
    weights = np.exp(_SPREAD * rng.standard_normal(parties))
    spare = parties * (mean - FEWEST)
    sizes: NDArray[np.int64] = FEWEST + np.floor(weights / weights.sum() * spare).astype(np.int64)
    sizes[: parties * mean - int(sizes.sum())] += 1
    return sizes


def _dirichlet(rng: np.random.Generator, stock: list[Rows], alpha: float, per_party: int, parties: int) -> list[Rows]:
    """Each data owner draws its proportions, then its samples; a class that is used up leaves its share to others."""
    left, taken = np.array([len(rows) for rows in stock]), np.zeros(len(stock), dtype=np.int64)
    result = []
    for _ in range(parties):
        share = rng.dirichlet(np.full(len(stock), alpha)) + 1e-9
        counts = np.zeros(len(stock), dtype=np.int64)
        while (missing := per_party - int(counts.sum())) > 0:
            open_share = share * (left > counts)
            more = rng.multinomial(missing, open_share / open_share.sum())
            counts = np.minimum(counts + more, left)
        result.append(np.concatenate([rows[t : t + c] for rows, t, c in zip(stock, taken, counts, strict=True)]))
        left, taken = left - counts, taken + counts
    return result


def _labels(rng: np.random.Generator, stock: list[Rows], labels: float, per_party: int, parties: int) -> list[Rows]:
    """Shards of one class each; every data owner takes them from the classes with most shards left, ties at random."""
    classes = int(labels)
    size = per_party // classes
    left, taken = np.array([len(rows) // max(1, size) for rows in stock]), np.zeros(len(stock), dtype=np.int64)
    if size < 1 or classes > len(stock):
        raise DataError(f"{per_party} samples of {len(stock)} classes cannot be dealt as {classes} classes for each")
    result = []
    for _ in range(parties):
        chosen = (
            rng.choice(len(stock), classes, replace=False, p=left / left.sum()) if (left > 0).sum() >= classes else ()
        )
        if not len(chosen):
            raise DataError(f"too few samples: no {classes} classes have {size} samples left")
        result.append(np.concatenate([stock[c][taken[c] : taken[c] + size] for c in chosen]))
        left[chosen] -= 1
        taken[chosen] += size
    return result
