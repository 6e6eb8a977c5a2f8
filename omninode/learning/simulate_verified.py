"""Sessions of mode ``verified`` in one process, without network, shares or proofs, and attacks on them.

The proof is replaced by what it proves: an integer norm above the bound is refused. Everything else is the real thing:
fixed point, bounds, reference, rules, scores. Imports torch: run it in a process of its own, never inside a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from omninode.learning import bound as bounds
from omninode.learning import fixed_point, poison
from omninode.learning.data import Samples, Split
from omninode.learning.models import initial
from omninode.learning.presets import Preset
from omninode.learning.reference import ROOT_SAMPLES, hold_out, reference_update
from omninode.learning.simulate import OWNER, Weights
from omninode.learning.simulate_batch import train_many
from omninode.learning.training import accuracy, train
from protocols.gram.distances import distances
from protocols.selection import rules, scores, tuning

RULES = {"none": rules.NONE, "outlier": rules.OUTLIER, "multi-krum": rules.MULTI_KRUM, "m-krum": rules.M_KRUM}
ROOT = -2
"""The party number that stands in training seeds for the owner's training on its root set."""
Update = NDArray[np.int64]
Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Setup:
    """How to run. rule: a name of RULES or "trust".  proof: refuse what is longer than B, and honest owners clip to it.

    attack, form: of ``poison``; "" for none.  attackers: party indices, who collude.  mu_bps: of the distance rules.
    root: samples held out.  epochs: of the reference, None for as many as data owners train.  factors: of
    ``bound.first_bound`` and ``bound.next_bound_verified``.  published: the next terms by ``tuning.next_terms``, from
    "norms" or "scores" as if they were public, or from "nothing"; "": the owner's own rule.
    """

    rule: str = "trust"
    proof: bool = True
    attack: str = ""
    form: poison.Setting | None = None
    attackers: frozenset[int] = frozenset()
    mu_bps: int = 2500
    root: int = ROOT_SAMPLES
    epochs: int | None = None
    factors: tuple[float, float] = (bounds.FIRST_FACTOR, bounds.VERIFIED_FACTOR)
    published: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """One session: accuracy after it, integer B, who passed the proof, who was summed.

    products: phi_k of every valid one.  copies: c_k of every accepted one, as if distances were open.
    """

    accuracy: float
    bound: int
    valid: tuple[int, ...]
    accepted: tuple[int, ...]
    products: dict[int, int]
    copies: dict[int, int]


@dataclass(slots=True)
class VerifiedRun:
    """A whole run: the owner alone, then every session."""

    owner_alone: float
    sessions: list[Judged] = field(default_factory=list)

    @property
    def final(self) -> float:
        """Accuracy after the last session."""
        return self.sessions[-1].accuracy if self.sessions else self.owner_alone


def simulate_verified(
    preset: Preset, split: Split, seed: int, sessions: int, setup: Setup | None = None
) -> VerifiedRun:
    """Play ``sessions`` on ``split``, all parties in each.

    split: the owner's part holds its training samples and, last, the root set.  seed: of all training and attacks.
    """
    return Game(preset, split, seed, setup or Setup()).run(sessions)


class Game:
    """The model and its bound between sessions. What attackers upload is in ``uploads``."""

    def __init__(self, preset: Preset, split: Split, seed: int, setup: Setup) -> None:
        self.preset, self.split, self.seed, self.setup = preset, split, seed, setup
        self.own, self.root = hold_out(split.owner, setup.root)
        start = initial(preset.model, seed)
        self.model: Weights = train(preset.model, start, self.own, preset.pretrain, seed)
        self.bound = bounds.first_bound(float(np.linalg.norm(self.model - start)), preset.frac_bits, setup.factors[0])
        self.rate = tuning.UNIT
        self.reference = self.train(self.root, 0, ROOT, setup.epochs)

    def run(self, sessions: int) -> VerifiedRun:
        """So many sessions, one after the other."""
        run = VerifiedRun(self.accuracy())
        for session in range(sessions):
            run.sessions.append(self.play(session))
        return run

    def accuracy(self) -> float:
        """Of the current model on the test set."""
        return accuracy(self.preset.model, self.model, self.split.test)

    def play(self, session: int) -> Judged:
        """One session, from local training to the next bound."""
        updates = self.uploads(session, dict(enumerate(self.train_all(session))))
        limit = self.bound
        valid = [k for k, x in updates.items() if not self.setup.proof or fixed_point.norm_squared(x) <= limit**2]
        ref = reference_update(self.reference, limit, self.preset.frac_bits)
        products = {k: int(updates[k] @ ref) for k in valid} if self.setup.proof else {}
        accepted = select(self.setup, updates, valid, products)
        if accepted:
            self._apply(session, [updates[k] for k in accepted], self._outcome(updates, valid, accepted, products))
        related = scores.copies(gram_of([updates[k] for k in accepted]), range(len(accepted))) if products else {}
        copies = {accepted[i]: size for i, size in related.items()}
        return Judged(self.accuracy(), limit, tuple(valid), tuple(accepted), products, copies)

    def _outcome(
        self, updates: dict[int, Update], valid: list[int], accepted: list[int], products: dict[int, int]
    ) -> tuning.Outcome:
        """What the chain would show."""
        norms = [fixed_point.norm_squared(updates[k]) for k in valid] if self.setup.published == "norms" else ()
        phi = [products[k] for k in valid] if self.setup.published == "scores" else ()
        most = fixed_point.MAX_MAGNITUDE - 1
        return tuning.Outcome(len(valid), len(accepted), most, norms=tuple(norms), scores=tuple(phi))

    def _apply(self, session: int, accepted: list[Update], outcome: tuning.Outcome) -> None:
        """Mean of the accepted, the owner's own epochs, then reference and terms of the next session."""
        preset, count = self.preset, len(accepted)
        mean = fixed_point.decode_sum(np.sum(np.array(accepted, dtype=np.float64), axis=0), preset.frac_bits, count)
        self.model = (self.model + self.rate / tuning.UNIT * mean).astype(np.float32)
        self.model = (self.model + self.train(self.own, session, OWNER, preset.adapt_epochs)).astype(np.float32)
        self.reference = self.train(self.root, session + 1, ROOT, self.setup.epochs)
        if self.setup.published:
            self.bound, self.rate = tuning.next_terms(self.bound, self.rate, preset.frac_bits, outcome)
        elif self.setup.proof:
            norms = float(np.linalg.norm(mean)), count, float(np.linalg.norm(self.reference))
            self.bound = bounds.next_bound_verified(*norms, self.bound, preset.frac_bits, self.setup.factors[1])

    def uploads(self, session: int, real: dict[int, Real]) -> dict[int, Update]:
        """The integers that each party uploads. real: the updates of all parties, honestly trained."""
        limit = self.bound if self.setup.proof else fixed_point.MAX_MAGNITUDE - 1
        sent: dict[int, Update] = {}
        for k, update in real.items():
            with suppress(fixed_point.FixedPointError):  # a ruined model: who cannot encode stays away
                sent[k] = fixed_point.encode(update, limit, self.preset.frac_bits)
        for k in self.setup.attackers if self.setup.attack else ():
            sent[k] = self._attack(session, k, real)
        return sent

    def _attack(self, session: int, k: int, real: dict[int, Real]) -> Update:
        attack, preset = poison.ATTACKS[self.setup.attack], self.preset
        flipped = group = None
        if attack.needs == "flipped":
            flipped = self.train(poison.flip_labels(self.split.parties[k], preset.model.classes), session, k)
        elif attack.needs == "group":
            group = np.array([real[j] for j in sorted(self.setup.attackers)])
        known = poison.Knowledge(real[k], self.bound, preset.frac_bits, group, flipped, self._seed(session, 1000 + k))
        return attack.update(known, self.setup.form)

    def train_all(self, session: int, parts: Sequence[Samples] | None = None, first: int = 0) -> list[Real]:
        """Updates of all parties, or of ``parts`` with the training seeds of parties ``first`` and following."""
        some = parts or self.split.parties
        if self.preset.model.name != "mlp" or len({len(part) for part in some}) > 1:
            return [self.train(part, session, first + k) for k, part in enumerate(some)]
        seeds = [self._seed(session, first + k) for k in range(len(some))]
        updates = train_many(self.preset.model, self.model, some, self.preset.train, seeds)
        return [update if np.isfinite(update).all() else np.zeros_like(update) for update in updates]

    def _seed(self, session: int, party: int) -> int:
        return (self.seed * 1000 + session) * 2000 + party + 3

    def train(self, samples: Samples, session: int, party: int, epochs: int | None = None) -> Real:
        """Update from the current model; of zeros where a ruined model makes training diverge."""
        preset = self.preset
        how = replace(preset.train, epochs=epochs or preset.train.epochs)
        try:
            after = train(preset.model, self.model, samples, how, self._seed(session, party))
            return (after - self.model).astype(np.float64)
        except FloatingPointError:
            return np.zeros(preset.model.parameters)


def select(setup: Setup, updates: dict[int, Update], valid: Sequence[int], products: dict[int, int]) -> list[int]:
    """The valid ones that are summed under ``setup.rule``; none if there is no output."""
    if setup.rule == "trust":
        return scores.trust(products)
    gram = gram_of([updates[k] for k in valid]) if setup.rule != "none" else [[0] * len(valid)] * len(valid)
    apart = distances(gram, [1] * len(valid))
    m = max(1, len(updates) - 2 * rules.corrupted(len(updates), setup.mu_bps) - 3)
    kept = rules.select(RULES[setup.rule], apart, len(updates), len(valid), setup.mu_bps, m)
    return [valid[i] for i in kept or ()]


def gram_of(vectors: Sequence[Update]) -> list[list[int]]:
    """All inner products, exact where norms stay below 2**31 (Cauchy and Schwarz: no partial sum wraps)."""
    stacked = np.array(vectors)
    return [[int(value) for value in row] for row in stacked @ stacked.T]
