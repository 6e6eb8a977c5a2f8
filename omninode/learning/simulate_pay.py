"""What one hand with one data set and several identities takes of the reward of mode ``verified``, by simulation.

A strategy turns what the hand knows into one update per identity. All of them pass the L2 proof. Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from omninode.learning import fixed_point, poison
from omninode.learning.data import Samples, Split
from omninode.learning.presets import Preset
from omninode.learning.reference import reference_update
from omninode.learning.simulate_verified import Game, Judged, Real, Setup, Update
from protocols.selection import scores

REWARD = 10**18
"""Per session, in wei."""


@dataclass(frozen=True)
class Hand:
    """What the attacker knows: its honest update, a way to train more, the bound, and the last public model step.

    reference: the owner's, which only the owner or more than t provers can know.  identities: how many updates.
    """

    own: Real
    data: Samples
    train: Callable[[Sequence[Samples]], list[Real]]
    bound: float
    last_step: Real
    reference: Real
    identities: int
    rng: np.random.Generator

    def stretch(self, update: Real) -> Real:
        """``update`` with length B (a little more: the encoding cuts it back)."""
        return np.asarray(update * (1.001 * self.bound / max(float(np.linalg.norm(update)), 1e-300)))

    def noised(self, update: Real, cosine: float) -> Real:
        """``update`` turned by noise of its own to this cosine with what it was, as long as before."""
        length = float(np.linalg.norm(update))
        noise = self.rng.standard_normal(len(update))
        noise *= length / np.linalg.norm(noise)
        return np.asarray(cosine * update + (1 - cosine**2) ** 0.5 * noise)


Strategy = Callable[[Hand], list[Real]]


def honest(hand: Hand) -> list[Real]:
    """Every identity uploads the honest update: exact copies, when there are several."""
    return [hand.own] * hand.identities


def near_copies(hand: Hand) -> list[Real]:
    """Copies with a little noise: cosine of two copies 0.98."""
    return [hand.noised(hand.own, 0.98**0.5) for _ in range(hand.identities)]


def far_copies(hand: Hand) -> list[Real]:
    """Copies with just as much noise as the copy rule overlooks: cosine of two copies 0.88."""
    return [hand.noised(hand.own, 0.88**0.5) for _ in range(hand.identities)]


def stretched(hand: Hand) -> list[Real]:
    """The honest update, scaled up to the bound."""
    return [hand.stretch(hand.own)] * hand.identities


def stretched_far_copies(hand: Hand) -> list[Real]:
    """Scaled up to the bound, and noised past the copy rule."""
    return [hand.noised(hand.stretch(hand.own), 0.88**0.5) for _ in range(hand.identities)]


def retrained(hand: Hand) -> list[Real]:
    """One training per identity on a bootstrap sample of the same data."""
    return hand.train([poison.bootstrap(hand.data, k) for k in range(hand.identities)])


def parts(hand: Hand) -> list[Real]:
    """The data dealt out among the identities, each trains honestly on its part."""
    rows = np.array_split(np.arange(len(hand.data)), hand.identities)
    return hand.train([hand.data.take(part) for part in rows])


def guess(hand: Hand) -> list[Real]:
    """A guess of the reference: mean of eight trainings on bootstrap samples, scaled up to the bound."""
    mean = np.mean(hand.train([poison.bootstrap(hand.data, k) for k in range(8)]), axis=0)
    return [hand.stretch(mean)] * hand.identities


def follow(hand: Hand) -> list[Real]:
    """No data at all: the last step of the public model, scaled up to the bound."""
    return [hand.stretch(hand.last_step)] * hand.identities


def noise(hand: Hand) -> list[Real]:
    """No data at all: random vectors as long as the bound."""
    return [hand.stretch(hand.rng.standard_normal(len(hand.own))) for _ in range(hand.identities)]


def insider(hand: Hand) -> list[Real]:
    """The reference itself: the owner's own identities, or a hand that more than t provers serve."""
    return [hand.reference] * hand.identities


STRATEGIES: dict[str, Strategy] = {
    "honest, copied": honest,
    "copies, cos .98": near_copies,
    "copies, cos .88": far_copies,
    "scaled to B": stretched,
    "scaled to B, cos .88": stretched_far_copies,
    "retrained": retrained,
    "data dealt out": parts,
    "guess of the reference": guess,
    "last public step": follow,
    "random, scaled to B": noise,
    "the reference itself": insider,
}


class PayGame(Game):
    """The last party's data belong to the hand; its identities come after those of the honest ones."""

    def __init__(
        self, preset: Preset, split: Split, seed: int, setup: Setup, strategy: Strategy, identities: int
    ) -> None:
        super().__init__(preset, split, seed, setup)
        self.strategy, self.identities = strategy, identities
        self._before = self.model

    def uploads(self, session: int, real: dict[int, Real]) -> dict[int, Update]:
        """Honest updates of all but the last party, then one of each identity of the hand."""
        last, bits = max(real), self.preset.frac_bits
        own = real.pop(last)
        sent = super().uploads(session, real)
        step, self._before = (self.model - self._before).astype(np.float64), self.model
        hand = Hand(
            own, self.split.parties[last], lambda parts: self.train_all(session, parts, first=1000),
            self.bound / 2**bits, step if session else own * 0,
            reference_update(self.reference, self.bound, bits) / 2.0**bits,
            self.identities, np.random.default_rng([self.seed, session, 0xFA]),
        )  # fmt: skip
        made = self.strategy(hand)
        return sent | {last + i: fixed_point.encode(update, self.bound, bits) for i, update in enumerate(made)}


def pay(judged: Judged, cap: Fraction, copy_rule: bool) -> dict[int, int]:
    """Wei of each accepted under ``contribution``. cap: as a share of B^2. Empty where the session aborts."""
    limit = max(1, int(cap * judged.bound**2))
    counts = [judged.copies[k] if copy_rule else 1 for k in judged.accepted]
    given = scores.weights([judged.products[k] for k in judged.accepted], counts, limit)
    return dict(zip(judged.accepted, scores.payouts(REWARD, given) or (), strict=False))


def taken(sessions: Sequence[Judged], honest_parties: int, cap: Fraction, copy_rule: bool) -> float:
    """The hand's part of all that was paid under ``contribution``, 0 to 1."""
    paid = [pay(judged, cap, copy_rule) for judged in sessions]
    total = sum(sum(one.values()) for one in paid)
    return sum(wei for one in paid for k, wei in one.items() if k >= honest_parties) / max(1, total)


def taken_equal(sessions: Sequence[Judged], honest_parties: int, drawn: int, trust: bool = True) -> float:
    """The hand's part of the offered reward under ``equal``, 0 to 1. trust: every valid one is paid, else accepted."""
    each = scores.equal_pay(REWARD, drawn)
    count = sum(k >= honest_parties for judged in sessions for k in (judged.valid if trust else judged.accepted))
    return count * each / (REWARD * len(sessions))
