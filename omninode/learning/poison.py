"""Attacks on updates, for simulations, tests and the demo's hostile data owners. NumPy only; no honest node loads it.

Every attack is a pure function of what one attacker knows, and gives the integers (d,) that it would share: units of
2**-frac_bits, the bound ignored where that is the attack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from omninode.learning import fixed_point
from omninode.learning.data import Samples

Real = NDArray[np.float64]
Integers = NDArray[np.int64]
GOLDILOCKS = 2**64 - 2**32 + 1
"""The field's p: what an integer norm has to wrap around."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What an attacker has when it must upload.

    own: (d,) its honest update, new weights minus old.  bound: the session's floor(B * 2**frac_bits).
    group: (m, d) honest updates of all colluders, its own included; a single attacker estimates them with trainings
    on bootstrap samples of its data (``bootstrap``).  flipped: (d,) its update trained on ``flip_labels`` of its data.
    seed: the only randomness.
    """

    own: Real
    bound: int
    frac_bits: int
    group: Real | None = None
    flipped: Real | None = None
    seed: int = 0

    @property
    def real_bound(self) -> float:
        """B itself."""
        return self.bound / float(2**self.frac_bits)


@dataclass(frozen=True, slots=True)
class Setting:
    """One form of an attack. factor: what it is depends on the attack.  inside: made to pass the L2 proof."""

    factor: float
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Attack:
    """make: (what is known, factor) -> real update.  settings: its forms, the demo's first.

    needs: "flipped" or "group" where the attack uses that part of ``Knowledge``, else "".
    stretched: a form inside the bound is scaled up to the bound too, since longer does more harm.
    """

    make: Callable[[Knowledge, float], Real]
    settings: tuple[Setting, ...]
    needs: str = ""
    stretched: bool = True

    def update(self, known: Knowledge, setting: Setting | None = None) -> Integers:
        """The integers (d,) to share. Deterministic. Raises ValueError if ``known`` lacks what the attack needs."""
        if self.needs and getattr(known, self.needs) is None:
            raise ValueError(f"this attack needs Knowledge.{self.needs}")
        form = setting or self.settings[0]
        real = self.make(known, form.factor)
        if not form.inside:
            return _integers(real * 2.0**known.frac_bits)
        if self.stretched:
            real = _to_length(real, 2 * known.real_bound)  # encode() scales back to the bound exactly
        return fixed_point.encode(real, known.bound, known.frac_bits)


def random_vector(known: Knowledge, factor: float) -> Real:
    """A uniformly random direction, ``factor`` times the bound long (Blanchard et al. 2017's Gaussian attack)."""
    return _to_length(np.random.default_rng(known.seed).standard_normal(len(known.own)), factor * known.real_bound)


def scaled(known: Knowledge, factor: float) -> Real:
    """The honest update, ``factor`` times as long: model replacement (Bagdasaryan et al. 2020)."""
    return factor * known.own


def sign_flip(known: Knowledge, factor: float) -> Real:
    """The honest update backwards, ``factor`` times as long (Li et al. 2019, RSA)."""
    return -factor * known.own


def label_flip(known: Knowledge, factor: float) -> Real:
    """An update honestly trained on labels C - 1 - y, ``factor`` times as long (Tolpegin et al. 2020)."""
    assert known.flipped is not None
    return factor * known.flipped


def alie(known: Knowledge, factor: float) -> Real:
    """ "A little is enough" (Baruch et al. 2019): mean - z std of the colluders' honest updates; ``factor`` is z."""
    assert known.group is not None
    return np.asarray(known.group.mean(axis=0) - factor * known.group.std(axis=0), dtype=np.float64)


def inner_product(known: Knowledge, factor: float) -> Real:
    """Inner-product manipulation (Xie et al. 2020): -eps times the colluders' mean; ``factor`` is eps."""
    assert known.group is not None
    return np.asarray(-factor * known.group.mean(axis=0), dtype=np.float64)


def wrapped(known: Knowledge, factor: float) -> Real:
    """Integers of norm about sqrt(factor p), 2**32 for factor 1, whose squared norm mod p is within the bound.

    A norm check in the field alone accepts it; the wrap-around test must not. factor: an integer >= 1. A random
    direction; its last coordinates are squares greedily chosen so that the norm hits factor p + bound^2 / 2 from below.
    """
    goal = int(factor) * GOLDILOCKS + min(known.bound**2, GOLDILOCKS) // 2
    noise = np.random.default_rng(known.seed).standard_normal(len(known.own))
    noise[-_GREEDY:] = 0
    x = np.trunc(_to_length(noise, 0.999 * float(goal) ** 0.5))
    rest = goal - fixed_point.norm_squared(x.astype(np.int64))
    for place in range(1, _GREEDY + 1):
        root = isqrt(rest)
        x[-place] = root
        rest -= root * root
    return np.asarray(x / 2.0**known.frac_bits, dtype=np.float64)


_GREEDY = 10  # a square leaves at most twice its root: 2^55, 2^29, 2^15, 2^9, 2^5, 2^4, .., 0

ATTACKS: dict[str, Attack] = {
    "random": Attack(random_vector, (Setting(10), Setting(1, inside=True))),
    "scaled": Attack(scaled, (Setting(1000), Setting(1, inside=True))),
    "wrapped": Attack(wrapped, (Setting(1),)),
    "sign-flip": Attack(sign_flip, (Setting(1, inside=True), Setting(10))),
    "label-flip": Attack(label_flip, (Setting(1, inside=True), Setting(10)), needs="flipped"),
    "alie": Attack(alie, (Setting(1.5, inside=True), Setting(0.3, inside=True)), needs="group", stretched=False),
    "ipm": Attack(inner_product, (Setting(5, inside=True), Setting(0.5, inside=True)), needs="group", stretched=False),
}
"""By the name that ``omninode demo --attack`` takes. Where the first form is inside the bound, the proof passes and
only the selection can tell; the others end at the proof."""


def forms() -> list[tuple[str, Setting]]:
    """Every form of every attack."""
    return [(name, setting) for name, attack in ATTACKS.items() for setting in attack.settings]


def flip_labels(samples: Samples, classes: int) -> Samples:
    """The same samples with labels classes - 1 - y."""
    return Samples(samples.x, classes - 1 - samples.y)


def bootstrap(samples: Samples, seed: int) -> Samples:
    """As many samples, drawn with replacement: one attacker's stand-in for a colluder's data (Efron 1979)."""
    return samples.take(np.random.default_rng(seed).integers(0, len(samples), len(samples)))


def _to_length(vector: Real, length: float) -> Real:
    return np.asarray(vector * (length / max(float(np.linalg.norm(vector)), 1e-300)), dtype=np.float64)


def _integers(values: Real) -> Integers:
    most = float(fixed_point.MAX_MAGNITUDE - 2**10)  # exact in float64
    return np.rint(np.clip(values, -most, most)).astype(np.int64)
