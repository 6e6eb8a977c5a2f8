"""Mode ``verified`` simulated: rules and money on hand-made numbers, and the floors that the market promises."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from omninode.learning import data, poison
from omninode.learning.models import initial
from omninode.learning.presets import DIGITS
from omninode.learning.reference import ROOT_SAMPLES
from omninode.learning.simulate_batch import train_many
from omninode.learning.simulate_pay import (
    REWARD,
    STRATEGIES,
    Hand,
    PayGame,
    far_copies,
    near_copies,
    pay,
    taken,
    taken_equal,
)
from omninode.learning.simulate_verified import Judged, Setup, gram_of, select, simulate_verified
from omninode.learning.training import train

pytestmark = pytest.mark.usefixtures("one_thread")

PARTIES, SESSIONS = 16, 3
ATTACKERS = frozenset(range(4))


@pytest.fixture(scope="module")
def split() -> data.Split:
    return data.split(data.load_digits(), 0, DIGITS.owner_samples + ROOT_SAMPLES, DIGITS.party_samples, PARTIES)


@pytest.mark.parametrize("name", ["", *poison.ATTACKS])
def test_trust_and_bound_hold_the_floor_under_every_attack(split: data.Split, name: str) -> None:
    """The demo's form of each. Five sessions and one seed here; ten sessions and three seeds in ``make bench``."""
    run = simulate_verified(DIGITS, split, 0, 5, Setup(attack=name, attackers=ATTACKERS if name else frozenset()))
    assert run.final >= 0.84
    assert 0.55 <= run.owner_alone <= 0.75
    if name in ("random", "scaled", "wrapped"):
        assert all(judged.valid == tuple(range(4, PARTIES)) for judged in run.sessions)
    if name == "sign-flip":
        assert all(len(judged.valid) == PARTIES for judged in run.sessions)
        assert not ATTACKERS & set(run.sessions[0].accepted)


@pytest.mark.parametrize(("name", "most"), [("sign-flip", 0.30), ("label-flip", 0.40)])
def test_controls_without_defence_fall(split: data.Split, name: str, most: float) -> None:
    """The attacks are wired: it is the bound and the rule that stop them."""
    open_door = Setup("none", proof=False, attack=name, form=poison.Setting(10), attackers=ATTACKERS)
    assert simulate_verified(DIGITS, split, 0, SESSIONS, open_door).final < most


def test_training_in_a_batch_is_the_same_training(split: data.Split) -> None:
    weights = initial(DIGITS.model, 1)
    many = train_many(DIGITS.model, weights, split.parties[:3], DIGITS.train, [7, 8, 9])
    for k, seed in enumerate((7, 8, 9)):
        alone = train(DIGITS.model, weights, split.parties[k], DIGITS.train, seed) - weights
        assert np.abs(many[k] - alone).max() < 1e-4 < np.abs(alone).max()
    unequal = [split.parties[0], split.owner.take(np.arange(9))]
    with pytest.raises(ValueError, match="equal size"):
        train_many(DIGITS.model, weights, unequal, DIGITS.train, [1, 2])


def test_runs_are_deterministic(split: data.Split) -> None:
    setup = Setup(attack="alie", attackers=ATTACKERS)
    assert simulate_verified(DIGITS, split, 5, 1, setup) == simulate_verified(DIGITS, split, 5, 1, setup)


@pytest.mark.parametrize(
    ("rule", "kept"), [("none", [0, 2, 3, 5, 6]), ("trust", [2, 6]), ("outlier", [0, 2, 3, 5]), ("m-krum", [2])]
)
def test_rules_see_only_the_valid(rule: str, kept: list[int]) -> None:
    places = {0: 9, 2: 10, 3: 11, 5: 12, 6: 99}
    updates = {k: np.array([places.get(k, 0), 0]) for k in range(7)}
    products = {0: -1, 2: 5, 3: 0, 5: -2, 6: 7}
    assert select(Setup(rule, mu_bps=4300), updates, list(places), products) == kept


def test_gram_is_exact() -> None:
    big = 1 << 30
    assert gram_of([np.array([big, 1]), np.array([big, -1])]) == [[big**2 + 1, big**2 - 1], [big**2 - 1, big**2 + 1]]


def judged(products: dict[int, int], copies: dict[int, int], bound: int = 10) -> Judged:
    return Judged(0.5, bound, tuple(products), tuple(copies), products, copies)


def test_pay_follows_cap_and_copies() -> None:
    session = judged({0: 10, 1: 100, 2: -5, 3: 40}, {0: 1, 1: 2, 3: 2})
    assert pay(session, Fraction(1), False) == {k: REWARD * phi // 150 for k, phi in ((0, 10), (1, 100), (3, 40))}
    assert pay(session, Fraction(1, 5), False) == {k: REWARD * phi // 50 for k, phi in ((0, 10), (1, 20), (3, 20))}
    assert pay(session, Fraction(1, 5), True) == {k: REWARD // 3 for k in (0, 1, 3)}
    assert pay(judged({0: -1}, {0: 1}), Fraction(1), True) == {}


def test_what_the_hand_takes_is_summed_over_sessions() -> None:
    sessions = [judged({0: 30, 1: 10}, {0: 1, 1: 1}), judged({0: 10, 1: -10}, {0: 1})]
    assert taken(sessions, 1, Fraction(1), copy_rule=True) == pytest.approx(0.125)
    assert taken_equal(sessions, 1, 2) == pytest.approx(0.5)
    assert taken_equal(sessions, 1, 2, trust=False) == pytest.approx(0.25)


def hand(identities: int = 3) -> Hand:
    rng = np.random.default_rng(2)
    own, last, reference = rng.standard_normal((3, 400))
    samples = data.Samples(rng.standard_normal((12, 2)).astype(np.float32), np.arange(12))
    return Hand(own, samples, lambda parts: [own * len(part) for part in parts], 5.0, last, reference, identities, rng)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_gives_one_update_per_identity(name: str) -> None:
    made = STRATEGIES[name](hand())
    assert len(made) == 3 and all(update.shape == (400,) for update in made)
    if "scaled" in name or name == "last public step":
        assert all(np.linalg.norm(update) == pytest.approx(5.0, rel=0.15) for update in made)


@pytest.mark.parametrize(("strategy", "cosine"), [(near_copies, 0.98), (far_copies, 0.88)])
def test_noised_copies_have_the_cosine_they_claim(strategy: object, cosine: float) -> None:
    a, b, _ = strategy(hand())  # type: ignore[operator]
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) == pytest.approx(cosine, abs=0.06)


def test_copies_of_one_hand_share_one_payout_where_distances_are_open(split: data.Split) -> None:
    few = replace(split, parties=split.parties[:7])
    run = PayGame(DIGITS, few, 0, Setup("none"), STRATEGIES["honest, copied"], 4).run(1)
    session = run.sessions[0]
    assert session.valid == tuple(range(10))
    assert [session.copies[k] for k in range(10)] == [1] * 6 + [4] * 4
    assert taken(run.sessions, 6, Fraction(1), copy_rule=True) < taken(run.sessions, 6, Fraction(1), copy_rule=False)
    assert taken_equal(run.sessions, 6, 10) == pytest.approx(0.4)
