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
from protocols.gram.distances import distances as exact_distances
from protocols.selection import tuning

Weights = NDArray[np.float32]
Sum = NDArray[np.float64] | NDArray[np.int64]
OWNER = -1
"""The party number under which ``seed_of`` is asked for the owner's own epochs after a session."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one session does: groups of party indices, who of them drops out, who sends random vectors of 10 B."""

    groups: tuple[tuple[int, ...], ...]
    dropped: frozenset[int] = frozenset()
    hostile: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Session:
    """How one session went: accuracy after it, B, indices of the groups kept, and the norms before the clip."""

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

    @property
    def gain(self) -> float:
        """Accuracy won over the owner alone."""
        return self.final - self.owner_alone


@dataclass(frozen=True, slots=True)
class Options:
    """How to compute. integers: through ``fixed_point`` as the protocol does, else plain float64.

    clip: at B, and step 6's norm check; without it nothing is bounded.  mu: share of corrupt groups that rule
    ``outlier`` reckons with.  factors: of ``bound.first_bound`` and ``bound.next_bound``.  published: bound and server
    learning rate of the next session by ``tuning.next_terms`` from the distances of group means; wants integers.
    """

    integers: bool = False
    clip: bool = True
    mu: float = 0.25
    factors: tuple[float, float] = (bounds.FIRST_FACTOR, bounds.NEXT_FACTOR)
    published: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """Integer bound and server learning rate of a session."""

    bound: int
    rate: int = tuning.UNIT


def draw(parties: int, group_size: int, sessions: int, seed: int) -> list[Plan]:
    """Groups drawn afresh for every session; the last takes the remainder (sizes N to 2 N - 1)."""
    rng = np.random.default_rng([seed, 0xD2A3])
    starts = [r * group_size for r in range(max(1, parties // group_size))]
    ends = [*starts[1:], parties]
    plans = []
    for _ in range(sessions):
        order = [int(k) for k in rng.permutation(parties)]
        plans.append(Plan(tuple(tuple(order[a:b]) for a, b in zip(starts, ends, strict=True))))
    return plans


def select_outlier(distances: Sequence[Sequence[float]], groups: int, mu: float, refused: int) -> list[int]:
    """Rule ``outlier`` (design: ROUNDS, step 7) on distances of group means; indices kept, none if too few groups."""
    count = len(distances)
    f = max(0, math.floor(mu * groups) - refused)
    if count < f + 3:
        return []
    score = [sum(sorted(d for s, d in enumerate(row) if s != r)[: count - f - 2]) for r, row in enumerate(distances)]
    middle = sorted(score)[(count - 1) // 2]
    odd = sorted((r for r in range(count) if 4 * score[r] > 9 * middle), key=lambda r: (-score[r], r))[:f]
    return [r for r in range(count) if r not in odd]


def pooled_accuracy(preset: Preset, split: Split, seed: int) -> float:
    """Accuracy of one model trained on everybody's data together: the yardstick nobody can reach."""
    model = train(preset.model, initial(preset.model, seed), split.pooled(), preset.pooled, seed)
    return accuracy(preset.model, model, split.test)


def simulate(
    preset: Preset,
    split: Split,
    seed: int,
    plans: Sequence[Plan],
    options: Options | None = None,
    seed_of: Callable[[int, int], int] | None = None,
) -> Run:
    """Play ``plans`` on ``split`` and return what happened.

    seed: of the random weights and the owner's pre-training.  seed_of(session, party): training seeds, sessions and
    parties from 0, so that a run of the real protocol can be replayed.
    """
    how, spec = options or Options(), preset.model
    seeds = seed_of or (lambda session, party: (seed * 1000 + session) * 1000 + party + 1)
    start = initial(spec, seed)
    model = train(spec, start, split.owner, preset.pretrain, seed)
    terms = Terms(bounds.first_bound(float(np.linalg.norm(model - start)), preset.frac_bits, how.factors[0]))
    run = Run(accuracy(spec, model, split.test))
    rng = np.random.default_rng([seed, 0xBAD])
    for index, plan in enumerate(plans):
        updates = _train_all(preset, split, model, plan, lambda k, s=index: seeds(s, k))  # type: ignore[misc]
        norms = tuple(float(np.linalg.norm(update)) for update in updates.values())
        before = terms.bound / 2**preset.frac_bits
        for k in plan.hostile & updates.keys():
            noise = rng.standard_normal(spec.parameters)
            updates[k] = noise * (10 * before / np.linalg.norm(noise))
        model, terms, kept = _server_step(preset, model, terms, plan, updates, how)
        adapting = replace(preset.train, epochs=preset.adapt_epochs)
        model = train(spec, model, split.owner, adapting, seeds(index, OWNER))
        run.sessions.append(Session(accuracy(spec, model, split.test), before, tuple(kept), norms))
    return run


def _train_all(
    preset: Preset, split: Split, model: Weights, plan: Plan, seed_of: Callable[[int], int]
) -> dict[int, NDArray[np.float64]]:
    """Updates of everybody who does not drop out."""
    live = [k for group in plan.groups for k in group if k not in plan.dropped]
    trained = {k: train(preset.model, model, split.parties[k], preset.train, seed_of(k)) for k in live}
    return {k: (after - model).astype(np.float64) for k, after in trained.items()}


def _server_step(
    preset: Preset, model: Weights, terms: Terms, plan: Plan, updates: dict[int, NDArray[np.float64]], how: Options
) -> tuple[Weights, Terms, list[int]]:
    """Steps 4 (survivors), 6 (norm of the sum), 7 (outlier) and 8 (mean of what is kept); new weights, next terms."""
    limit = terms.bound
    alive: dict[int, list[int]] = {}
    for r, group in enumerate(plan.groups):
        survivors = [k for k in group if k in updates]
        if len(survivors) >= max(2, len(group) // 2 + 1):
            alive[r] = survivors
    sums = {
        r: np.sum([_encode(updates[k], limit if k not in plan.hostile else None, preset, how) for k in group], axis=0)
        for r, group in alive.items()
    }
    squares = {r: _square(total) for r, total in sums.items()}
    allowed = {r: (len(group) * limit) ** 2 * (1 + 1e-9) for r, group in alive.items()}
    passed = [r for r in alive if not how.clip or squares[r] <= allowed[r]]
    means = [sums[r] / len(alive[r]) for r in passed]
    distances = [[float(np.sum((a - b) ** 2)) for b in means] for a in means]
    chosen = select_outlier(distances, len(plan.groups), how.mu, len(alive) - len(passed))
    kept, sizes = [passed[i] for i in chosen], [len(alive[passed[i]]) for i in chosen]
    if not kept:
        return model, terms, []
    mean = fixed_point.decode_sum(np.sum([sums[r] for r in kept], axis=0), preset.frac_bits, sum(sizes))
    stepped = (model + terms.rate / tuning.UNIT * mean).astype(np.float32)
    if how.published:
        return stepped, _published(preset, terms, {r: alive[r] for r in passed}, sums, sum(sizes)), kept
    return stepped, Terms(bounds.next_bound([squares[r] for r in kept], sizes, preset.frac_bits, how.factors[1])), kept


def _published(preset: Preset, terms: Terms, passed: dict[int, list[int]], sums: dict[int, Sum], count: int) -> Terms:
    """By the rule that everybody can check. count: of the accepted; all that passed stand for the valid ones."""
    vectors = np.array([sums[r] for r in passed], dtype=np.int64)
    sizes = [len(group) for group in passed.values()]
    apart = exact_distances([[int(x) for x in row] for row in vectors @ vectors.T], sizes)
    outcome = tuning.Outcome(
        sum(sizes), count, fixed_point.MAX_MAGNITUDE - 1, distances=tuple(map(tuple, apart)), sizes=tuple(sizes)
    )
    return Terms(*tuning.next_terms(terms.bound, terms.rate, preset.frac_bits, outcome))


def _encode(update: NDArray[np.float64], limit: int | None, preset: Preset, how: Options) -> Sum:
    """In units of 2**-frac_bits: the protocol's integers, or the same without any rounding; a liar ignores B."""
    most = limit if how.clip and limit is not None else fixed_point.MAX_MAGNITUDE - 1
    if how.integers:
        return fixed_point.encode(update, most, preset.frac_bits)
    scaled: NDArray[np.float64] = update * float(2**preset.frac_bits)
    return scaled * min(1.0, most / max(float(np.linalg.norm(scaled)), 1e-300))


def _square(total: Sum) -> int:
    if total.dtype.kind == "i":
        return fixed_point.norm_squared(total.astype(np.int64))
    return round(float(total @ total))


if __name__ == "__main__":
    from omninode.learning.simulate_table import main

    main()
