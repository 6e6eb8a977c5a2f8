"""What the baseline's contract selects by, recomputed: distances of the rounds' sums over all chunks, then m-Krum.

As ``Krum.sol`` has it: m times the round of lowest score within what remains, ties by number; a score is the sum of the
max(1, |T| - f - 2) smallest distances within the remaining T, f = floor(mu R). Unlike the rule ``m-krum`` of the market
(``protocols.selection.rules``) it never refuses: the paper runs R = 2, where |T| - f - 2 is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protocols.onchain.lanes import Lanes
from protocols.selection.rules import corrupted


def distance(first: Lanes, second: Lanes) -> int:
    """The squared distance of two rounds' sums (d,), lanes read as signed: exact, a difference may take 65 bits.

    Of sums, not means: every round has N data owners, so that it is N^2 times that of the means and orders the same.
    """
    pairs = zip(first.view(np.int64).tolist(), second.view(np.int64).tolist(), strict=True)
    return sum((a - b) ** 2 for a, b in pairs)


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
    """P', ascending; () without complete rounds.

    rounds: numbers of the complete rounds, ascending.  table: their distances.  created: R.
    """
    faulty = corrupted(created, mu_bps)
    rest = list(range(len(rounds)))
    kept: list[int] = []
    while rest and len(kept) < m:
        near = max(1, len(rest) - faulty - 2)
        scores = {r: sum(sorted(table[r][s] for s in rest if s != r)[:near]) for r in rest}
        best = min(rest, key=lambda r: (scores[r], r))
        rest.remove(best)
        kept.append(best)
    return tuple(sorted(rounds[i] for i in kept))
