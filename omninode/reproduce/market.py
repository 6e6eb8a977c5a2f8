"""Sessions of a split model in one process (torch): local training, uploads, what the server makes of them.

Masks, shares and proofs are left out, since they change no number; fixed point, bounds, rules and reference are the
real ones. A test holds the sum against the protocol's own machines.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omninode.learning import bound as bounds
from omninode.learning import fixed_point, poison
from omninode.learning.data import Samples, Split
from omninode.learning.models import initial
from omninode.learning.reference import hold_out, reference_update
from omninode.learning.simulate import OWNER
from omninode.learning.simulate_verified import ROOT
from omninode.learning.training import accuracy, train
from omninode.reproduce import server
from omninode.reproduce.setting import NOISE, Setting
from omninode.reproduce.setting import ROOT as ROOT_SAMPLES

Weights = NDArray[np.float32]
Real = NDArray[np.float64]


def play(setting: Setting, split: Split, seed: int) -> dict[str, Any]:
    """A whole run, as JSON values: for every session a number in "accuracy" and so on.

    "alone": accuracy of the owner before the first session.  "alone_after": what it would have at the end if it had
    only gone on with its own data, for as many epochs: PL 0 of the same seed.
    split: with rule "trust" the owner's last ROOT samples are its root set.
    """
    own = hold_out(split.owner, ROOT_SAMPLES)[0] if setting.rule == "trust" else split.owner
    before, *curve = alone(setting, own, split.test, seed)
    result: dict[str, Any] = {"alone": before, "alone_after": curve[-1] if curve else before}
    if setting.part is None:
        return result | {"public": 0, "share": 0.0, "accuracy": curve}
    market = Market(setting, split, seed)
    rounds = [market.session(number) for number in range(setting.sessions)]
    result |= {"public": setting.part.dimension, "share": setting.part.share}
    return result | {key: [each[key] for each in rounds] for key in (rounds[0] if rounds else ())}


def alone(setting: Setting, own: Samples, test: Samples, seed: int) -> list[float]:
    """The owner by itself, which is PL 0: accuracy after pre-training, and after its own epochs of every session."""
    spec = setting.preset.model
    model = train(spec, initial(spec, seed), own, setting.preset.pretrain, seed)
    curve = [accuracy(spec, model, test)]
    for session in range(setting.sessions):
        if setting.adapt_epochs:
            model = train(spec, model, own, setting.adapting, _seed(seed, session, OWNER))
        curve.append(accuracy(spec, model, test))
    return curve


class Market:
    """The model owner's state between sessions, and data owners' private layers where a reading keeps them."""

    def __init__(self, setting: Setting, split: Split, seed: int) -> None:
        assert setting.part is not None
        self.setting, self.split, self.seed = setting, split, seed
        self.preset, self.part = setting.preset, setting.part
        self.own, self.root = split.owner, None
        if setting.rule == "trust":
            self.own, self.root = hold_out(split.owner, ROOT_SAMPLES)
        self.start = initial(self.preset.model, seed)
        self.model: Weights = train(self.preset.model, self.start, self.own, self.preset.pretrain, seed)
        moved = float(np.linalg.norm(self.part.take(self.model) - self.part.take(self.start)))
        self.bound = bounds.first_bound(moved, self.preset.frac_bits)
        self.private: dict[int, Weights] = {}
        draw = np.random.default_rng([seed, 0xBAD])
        self.hostile = {int(k) for k in draw.permutation(setting.owners)[: setting.attackers]}

    def score(self) -> float:
        """Accuracy on what was held out."""
        return accuracy(self.preset.model, self.model, self.split.test)

    def groups(self, session: int) -> list[tuple[int, ...]]:
        """Who takes part, drawn afresh, in groups; the last takes the remainder."""
        here = self.setting
        order = np.random.default_rng([self.seed, session, 0xD2A3]).permutation(here.owners)
        count = max(1, round(here.share * here.owners))
        drawn, groups = [int(k) for k in order[:count]], max(1, count // here.group_size)
        edges = [r * here.group_size for r in range(groups)] + [count]
        return [tuple(drawn[a:b]) for a, b in pairwise(edges)]

    def session(self, number: int) -> dict[str, Any]:
        """One session, from local training to the next bound; what happened, as JSON values."""
        groups, limit = self.groups(number), self.bound
        drawn = [k for group in groups for k in group]
        uploads = {k: self.upload(k, number, self.update(k, number)) for k in drawn}
        wall = limit if self.setting.bounded else None
        if self.root is not None:
            outcome = server.verified(uploads, self.reference(number)[0], wall)
        else:
            outcome = server.grouped(uploads, groups, wall, self.setting.rule, self.setting.mu_bps)
        if outcome.total is not None:
            self.apply(number, outcome)
        return {"accuracy": self.score(), "bound": limit / 2**self.preset.frac_bits, **self.tally(outcome)}

    def update(self, k: int, session: int) -> Real:
        """What data owner k learns: public part of new weights minus old."""
        before = self.part.put(self.model if self.setting.reading == "handed" else self._private(k), self._published())
        after = self._train(before, self.split.parties[k], self.preset.train.epochs, _seed(self.seed, session, k))
        if self.setting.reading in ("own", "kept"):
            self.private[k] = after
        return (self.part.take(after) - self.part.take(before)).astype(np.float64)

    def upload(self, k: int, session: int, update: Real) -> server.Update:
        """The integers that k uploads: its update, or what its attack makes of it."""
        here = self.setting
        if k not in self.hostile:
            most = self.bound if here.bounded else fixed_point.MAX_MAGNITUDE - 1
            return fixed_point.encode(update, most, self.preset.frac_bits)
        known = poison.Knowledge(update, self.bound, self.preset.frac_bits, seed=_seed(self.seed, session, k))
        if here.attack == NOISE:
            return _noise(known, here.factor)
        return poison.ATTACKS[here.attack].update(known, poison.Setting(here.factor, here.inside))

    def reference(self, session: int) -> tuple[server.Update, float]:
        """The owner's update on its root set as integers, trained as a data owner trains; and its norm."""
        assert self.root is not None
        before = self.part.put(self.start, self._published())
        after = self._train(before, self.root, self.preset.train.epochs, _seed(self.seed, session, ROOT))
        real = (self.part.take(after) - self.part.take(before)).astype(np.float64)
        return reference_update(real, self.bound, self.preset.frac_bits), float(np.linalg.norm(real))

    def apply(self, session: int, outcome: server.Outcome) -> None:
        """The mean into the published part, the owner's own epochs, the next bound."""
        assert outcome.total is not None
        bits, count = self.preset.frac_bits, len(outcome.members)
        mean = fixed_point.decode_sum(outcome.total, bits, count)
        published = (self._published() + mean).astype(np.float32)
        self.model = self.part.put(self.model, published)
        if self.setting.adapt_epochs:
            seed = _seed(self.seed, session, OWNER)
            self.model = self._train(self.model, self.own, self.setting.adapt_epochs, seed)
        if self.root is None:
            self.bound = bounds.next_bound(outcome.squares, outcome.sizes, bits)
        else:
            own, length = self.reference(session + 1)[1], float(np.linalg.norm(mean))
            self.bound = bounds.next_bound_verified(length, count, own, self.bound, bits)

    def tally(self, outcome: server.Outcome) -> dict[str, Any]:
        """Counts: units made, passed, kept, with an attacker, kept with one; honest and hostile updates, and kept."""
        bad = [r for r, unit in enumerate(outcome.units) if self.hostile & set(unit)]
        drawn = [k for unit in outcome.units for k in unit]
        return {
            "units": len(outcome.units),
            "passed": len(outcome.passed),
            "kept": len(outcome.kept),
            "bad": len(bad),
            "bad_kept": len(set(bad) & set(outcome.kept)),
            "honest": len(set(drawn) - self.hostile),
            "honest_kept": len(set(outcome.members) - self.hostile),
            "hostile": len(set(drawn) & self.hostile),
            "hostile_kept": len(set(outcome.members) & self.hostile),
        }

    def _published(self) -> Weights:
        return self.part.take(self.model)

    def _private(self, k: int) -> Weights:
        """All weights whose private layers k starts from."""
        if self.setting.reading == "own" and k not in self.private:
            self.private[k] = initial(self.preset.model, _seed(self.seed, 999, k))
        return self.private.get(k, self.start)

    def _train(self, before: Weights, samples: Samples, epochs: int, seed: int) -> Weights:
        return train(self.preset.model, before, samples, replace(self.preset.train, epochs=epochs), seed)


def _noise(known: poison.Knowledge, deviation: float) -> server.Update:
    """A vector of independent normal numbers, whatever the bound."""
    real = np.random.default_rng(known.seed).standard_normal(len(known.own)) * deviation
    return np.rint(real * 2.0**known.frac_bits).astype(np.int64)


def _seed(seed: int, session: int, party: int) -> int:
    return (seed * 1000 + session) * 1000 + party + 3
