"""What the baseline's contract selects by, recomputed: distances of the rounds' sums over all chunks, then m-Krum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protocols.onchain.lanes import Lanes
from protocols.selection.rules import M_KRUM, select


def distance(first: Lanes, second: Lanes) -> int:
    """The squared distance of two rounds' sums (d,), lanes read as signed numbers mod 2^64: exact, any size.

    Of sums, not means: every round has N data owners, so that it is N^2 times that of the means and orders the same.
    """
    return sum(value * value for value in (first - second).view(np.int64).tolist())


def distances(sums: Sequence[Lanes]) -> list[list[int]]:
    """All of them: symmetric, zero diagonal."""
    table = [[0] * len(sums) for _ in sums]
    for r in range(len(sums)):
        for s in range(r):
            table[r][s] = table[s][r] = distance(sums[r], sums[s])
    return table


def kept_rounds(
    rounds: Sequence[int], table: Sequence[Sequence[int]], created: int, mu_bps: int, m: int
) -> tuple[int, ...]:
    """Rounds that m-Krum keeps, ascending; () where it keeps none.

    rounds: numbers of the complete rounds, ascending.  table: their distances.  created: R.
    """
    chosen = select(M_KRUM, table, created, len(rounds), mu_bps, m)
    return tuple(rounds[i] for i in chosen or ())
