"""The published rule: bound and server learning rate of the next session, from what is public of the last one.

Integers only, so that everybody computes the same. Which statistic is taken depends on what the chain shows:
norms |g_k|^2 of single updates (certificate ``zk`` with a rule on distances), distances of group means (mode grouped),
or scores phi_k = <g_k, ref> with |ref| = B. Each is a lower median: with fewer than half bad ones it lies between two
honest values. Where nothing is public, the terms stay. Constants by simulation: docs/tuning.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, lcm

UNIT = 1 << 16
"""A server learning rate of 1, and a score of B^2."""
LEAST_RATE, MOST_RATE = UNIT // 4, 2 * UNIT
RATE_STEP = 4
"""The rate goes a quarter of the way to where the counts want it."""
ROOM_NUM, ROOM_DEN = 3, 2
"""B over the typical honest norm. As in the owner's own rule, where norms and not group means would be 1 to 1.6."""
GROWTH_NUM, GROWTH_DEN = 5, 4
"""The most by which B grows from one session to the next: enough to recover, slow to pump."""
SHRINK = 2
"""B falls to no less than its half."""
SCORE_BASE = UNIT * 3 // 4
"""What scores of 0 leave of B: updates that agree no more with the reference are short, late ones."""
LEAST_BOUND = 16
"""With less the rounding says more than the update (certificate ``zk`` takes the same number from here)."""
COARSE_BITS = 10
"""B stays above 2^-10, whatever the updates do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is public of a session that has a batch. At most one of norms, distances and scores is used, in that order.

    valid, accepted: how many updates, without the owner's reference.  largest: the largest bound that the session's
    numbers allow.  norms: |g_k|^2 of all valid ones.  distances: L^2 |A_r/n_r - A_s/n_s|^2 of the groups that passed,
    (R', R'), L = lcm of the sizes; sizes: n_r.  scores: phi_k, 0 for who has none.
    Raises ValueError for what no session can have.
    """

    valid: int
    accepted: int
    largest: int
    norms: tuple[int, ...] = ()
    distances: tuple[tuple[int, ...], ...] = ()
    sizes: tuple[int, ...] = ()
    scores: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.accepted <= self.valid or self.largest < 1:
            raise ValueError(f"{self.accepted} of {self.valid} updates under {self.largest} are no outcome")
        count = len(self.sizes)
        if len(self.distances) != count or any(len(row) != count for row in self.distances):
            raise ValueError(f"distances do not go with {count} groups")
        if count and (min(self.sizes) < 1 or min(map(min, self.distances)) < 0):
            raise ValueError("a size below 1 or a distance below 0")

    @property
    def kind(self) -> str:
        """Which statistic is there: norms, distances, scores, or nothing."""
        if self.norms:
            return "norms"
        if len(self.sizes) > 1:
            return "distances"
        return "scores" if self.scores else "nothing"


def next_terms(bound: int, server_lr: int, frac_bits: int, outcome: Outcome) -> tuple[int, int]:
    """(bound, server_lr) of the session that follows one with these terms and this outcome.

    bound: floor(B 2^frac_bits), both in and out.  server_lr: in 1/65536.  Nothing accepted: both unchanged.
    Raises ValueError unless bound and server_lr are positive and frac_bits is not negative.
    """
    if bound < 1 or server_lr < 1 or frac_bits < 0:
        raise ValueError(f"a bound of {bound} / 2^{frac_bits} and a rate of {server_lr} are no terms")
    if not outcome.accepted:
        return bound, server_lr
    return next_bound(bound, frac_bits, outcome), next_rate(server_lr, outcome.accepted, outcome.valid)


def next_bound(bound: int, frac_bits: int, outcome: Outcome) -> int:
    """From half to 5/4 of ``bound``, but for a floor and the largest that the session's numbers allow."""
    match outcome.kind:
        case "norms":
            wanted = _room(lower_median([min(isqrt(max(norm, 0)), bound) for norm in outcome.norms]))
        case "distances":
            wanted = _room(spread(outcome.distances, outcome.sizes))
        case "scores":
            wanted = bound * (SCORE_BASE + score_share(outcome.scores, bound)) // UNIT
        case _:
            return bound
    floor = max(LEAST_BOUND, 1 << max(0, frac_bits - COARSE_BITS))
    within = min(max(wanted, bound // SHRINK), bound * GROWTH_NUM // GROWTH_DEN)
    return min(max(within, floor), max(outcome.largest, 1))


def next_rate(server_lr: int, accepted: int, valid: int) -> int:
    """A quarter of the way to 1, or to 2 accepted / valid where fewer than half of the valid ones were accepted.

    One in two refused is what rules on distances do to honest ones, and the reference to late, noisy updates.
    """
    wanted = UNIT * min(valid, 2 * accepted) // valid
    step = abs(wanted - server_lr) // RATE_STEP
    moved = server_lr + step if wanted > server_lr else server_lr - step
    return min(max(moved, LEAST_RATE), MOST_RATE)


def spread(distances: Sequence[Sequence[int]], sizes: Sequence[int]) -> int:
    """sigma, in units of the updates: the root mean square distance of single updates from their common mean.

    Of groups of independent updates E |A_r/n_r - A_s/n_s|^2 = sigma^2 (1/n_r + 1/n_s); so each pair estimates sigma^2.
    The lower median over s for every r, then over r. Arguments as in ``Outcome``, two groups or more.
    """
    common = lcm(*sizes)
    rows = []
    for r, (row, n) in enumerate(zip(distances, sizes, strict=True)):
        pairs = ((d, m) for s, (d, m) in enumerate(zip(row, sizes, strict=True)) if s != r)
        rows.append(lower_median([d * n * m // ((n + m) * common**2) for d, m in pairs]))
    return isqrt(lower_median(rows))


def score_share(scores: Sequence[int], bound: int) -> int:
    """Lower median of max(phi_k, 0) / B^2, in 1/65536: at most 1, where updates are as long as B and all agree."""
    return lower_median([min(max(score, 0) * UNIT // bound**2, UNIT) for score in scores])


def lower_median(values: Sequence[int]) -> int:
    """The ((n + 1) // 2)-th smallest of n >= 1 values."""
    return sorted(values)[(len(values) - 1) // 2]


def _room(norm: int) -> int:
    return norm * ROOM_NUM // ROOM_DEN
