"""Grouped sessions in one process, without network, masks or shares: what the protocol must cost nothing against.

Imports torch: run it in a process of its own (``python -m omninode.learning.simulate``), never inside a node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from omninode.learning import bound as bounds
from omninode.learning import fixed_point
from omninode.learning.data import Split
from omninode.learning.models import initial
from omninode.learning.presets import Preset
from omninode.learning.training import accuracy, train

Update = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one session does: groups of party indices, who of them drops out, who sends random vectors of 10 B."""

    groups: tuple[tuple[int, ...], ...]
    dropped: frozenset[int] = frozenset()
    hostile: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Session:
    """How one session went: accuracy after it, B, group indices accepted, and the honest norms before the clip."""

    accuracy: float
    bound: float
    accepted: tuple[int, ...]
    norms: tuple[float, ...]


@dataclass(slots=True)
class Run:
    """A whole run: the owner alone, then every session."""

    owner_alone: float
    sessions: list[Session] = field(default_factory=list)

    @property
    def final(self) -> float:
        """Accuracy after the last session."""
        return self.sessions[-1].accuracy if self.sessions else self.owner_alone


def draw(parties: int, group_size: int, sessions: int, seed: int) -> list[Plan]:
    """Groups drawn afresh for every session; the last takes the remainder (sizes N to 2 N - 1)."""
    rng = np.random.default_rng([seed, 0xD2A3])
    plans = []
    for _ in range(sessions):
        order = [int(k) for k in rng.permutation(parties)]
        starts = [r * group_size for r in range(max(1, parties // group_size))]
        ends = [*starts[1:], parties]
        plans.append(Plan(tuple(tuple(order[a:b]) for a, b in zip(starts, ends, strict=True))))
    return plans


def select_outlier(distances: Sequence[Sequence[float]], groups: int, mu: float, refused: int) -> list[int]:
    """Rule ``outlier`` of design ROUNDS step 7 on distances of group means; indices kept, empty if too few groups."""
    count = len(distances)
    f = max(0, math.floor(mu * groups) - refused)
    if count < f + 3:
        return []
    score = [sum(sorted(d for s, d in enumerate(row) if s != r)[: count - f - 2]) for r, row in enumerate(distances)]
    middle = sorted(score)[(count - 1) // 2]
    odd = sorted((r for r in range(count) if 4 * score[r] > 9 * middle), key=lambda r: (-score[r], r))[:f]
    return [r for r in range(count) if r not in odd]


def simulate(
    preset: Preset,
    split: Split,
    seed: int,
    plans: Sequence[Plan],
    *,
    integers: bool = False,
    clip: bool = True,
    mu: float = 0.25,
    weights: NDArray[np.float32] | None = None,
    seed_of: Callable[[int, int], int] | None = None,
    factors: tuple[float, float] = (bounds.FIRST_FACTOR, bounds.NEXT_FACTOR),
) -> Run:
    """Play ``plans`` on ``split`` and return what happened.

    integers: through ``fixed_point`` as the protocol does, else plain float64.  clip: at B, else nothing is bounded.
    weights: the random weights (d,) before pre-training, else drawn from ``seed``.  seed_of(session, party): the
    parties' training seeds, so that a run of the real protocol can be replayed.  factors: of ``bound``.
    """
    spec, start = preset.model, initial(preset.model, seed) if weights is None else weights
    model = train(spec, start, split.owner, preset.pretrain, seed)
    limit = bounds.first_bound(float(np.linalg.norm(model - start)), preset.frac_bits, factors[0])
    run = Run(accuracy(spec, model, split.test))
    seeds = seed_of or (lambda session, party: (seed * 1000 + session) * 1000 + party)
    rng = np.random.default_rng([seed, 0xBAD])
    for index, plan in enumerate(plans):
        live = [k for group in plan.groups for k in group if k not in plan.dropped]
        updates: dict[int, Update] = {}
        for k in live:
            trained = train(spec, model, split.parties[k], preset.train, seeds(index, k))
            updates[k] = trained.astype(np.float64) - model.astype(np.float64)
        norms = tuple(float(np.linalg.norm(updates[k])) for k in live)
        for k in plan.hostile & updates.keys():
            noise = rng.standard_normal(spec.parameters)
            updates[k] = noise * (10 * limit / 2**preset.frac_bits / np.linalg.norm(noise))
        groups = [[k for k in group if k in updates] for group in plan.groups]
        sums = _sums(updates, groups, plan.hostile, limit, preset.frac_bits, integers, clip)
        kept = _judge(sums, groups, limit if clip else None, mu)
        session_bound = limit / 2**preset.frac_bits
        if kept:
            total = np.sum([sums[r] for r in kept], axis=0)
            count = sum(len(groups[r]) for r in kept)
            model = (model + fixed_point.decode_sum(total, preset.frac_bits, count)).astype(np.float32)
            squares = [_square(sums[r]) for r in kept]
            limit = bounds.next_bound(squares, [len(groups[r]) for r in kept], preset.frac_bits, factors[1])
        model = train(spec, model, split.owner, replace(preset.train, epochs=preset.adapt_epochs), seed * 1000 + index)
        run.sessions.append(Session(accuracy(spec, model, split.test), session_bound, tuple(kept), norms))
    return run


def _sums(
    updates: dict[int, Update],
    groups: list[list[int]],
    hostile: frozenset[int],
    limit: int,
    frac_bits: int,
    integers: bool,
    clip: bool,
) -> list[NDArray[np.float64] | NDArray[np.int64]]:
    """A_r in units of 2**-frac_bits: exact integers, or the same in float without any rounding."""
    sums: list[NDArray[np.float64] | NDArray[np.int64]] = []
    for group in groups:
        parts = []
        for k in group:
            honest_bound = limit if clip and k not in hostile else fixed_point.MAX_MAGNITUDE - 1
            if integers:
                parts.append(fixed_point.encode(updates[k], honest_bound, frac_bits))
            else:
                scaled = updates[k] * 2**frac_bits
                parts.append(scaled * min(1.0, honest_bound / float(np.linalg.norm(scaled))))
        sums.append(np.sum(parts, axis=0) if parts else np.zeros(0))
    return sums


def _square(vector: NDArray[np.float64] | NDArray[np.int64]) -> int:
    if vector.dtype.kind == "i":
        return fixed_point.norm_squared(vector.astype(np.int64))
    return round(float(vector @ vector))


def _judge(
    sums: list[NDArray[np.float64] | NDArray[np.int64]], groups: list[list[int]], limit: int | None, mu: float
) -> list[int]:
    """Steps 4 (survivors), 6 (norm of the sum) and 7 (outlier) of design ROUNDS; T counts the group as drawn."""
    alive = [r for r, group in enumerate(groups) if len(group) >= 2]
    passed = [r for r in alive if limit is None or _square(sums[r]) <= (len(groups[r]) * limit) ** 2 * (1 + 1e-9)]
    means = [sums[r] / len(groups[r]) for r in passed]
    distances = [[float(np.sum((a - b) ** 2)) for b in means] for a in means]
    kept = select_outlier(distances, len(groups), mu, len(alive) - len(passed))
    return [passed[i] for i in kept]
