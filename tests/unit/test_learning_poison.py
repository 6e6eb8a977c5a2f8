"""Every attack does what its name says: lengths, directions, and which of them pass a check of the norm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.learning.data import Samples
from omninode.learning.fixed_point import MAX_MAGNITUDE, norm_squared
from omninode.learning.poison import (
    ATTACKS,
    GOLDILOCKS,
    Knowledge,
    Setting,
    alie,
    bootstrap,
    flip_labels,
    forms,
    inner_product,
)

D, BITS = 500, 16
BOUND = 2 << BITS


def knowledge(seed: int = 3, bound: int = BOUND) -> Knowledge:
    rng = np.random.default_rng(seed)
    group = rng.standard_normal((4, D)) / 20
    return Knowledge(group[0], bound, BITS, group, rng.standard_normal(D) / 20, seed)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_the_names_are_those_of_the_demo() -> None:
    assert list(ATTACKS) == ["random", "scaled", "wrapped", "sign-flip", "label-flip", "alie", "ipm"]


@pytest.mark.parametrize(("name", "form"), forms())
def test_forms_inside_pass_the_norm_check_and_the_others_do_not(name: str, form: Setting) -> None:
    update = ATTACKS[name].update(knowledge(), form)
    assert update.dtype == np.int64 and update.shape == (D,)
    assert int(np.abs(update).max()) < MAX_MAGNITUDE
    assert (norm_squared(update) <= BOUND**2) == form.inside


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_deterministic_and_change_with_the_seed_where_they_are_random(name: str) -> None:
    first, again = (ATTACKS[name].update(knowledge()) for _ in range(2))
    assert (first == again).all()
    known = knowledge()
    other = ATTACKS[name].update(Knowledge(known.own, BOUND, BITS, known.group, known.flipped, seed=4))
    assert (first != other).any() == (name in ("random", "wrapped"))


@pytest.mark.parametrize("name", ["random", "sign-flip", "label-flip"])
def test_stretched_forms_reach_the_bound(name: str) -> None:
    inside = next(form for form in ATTACKS[name].settings if form.inside)
    assert norm_squared(ATTACKS[name].update(knowledge(), inside)) > 0.999 * BOUND**2


def test_random_is_ten_times_the_bound() -> None:
    norm = norm_squared(ATTACKS["random"].update(knowledge())) ** 0.5
    assert norm == pytest.approx(10 * BOUND, rel=1e-3)


def test_scaled_and_flipped_keep_the_line() -> None:
    known = knowledge()
    assert cosine(ATTACKS["scaled"].update(known).astype(float), known.own) == pytest.approx(1, abs=1e-6)
    assert cosine(ATTACKS["sign-flip"].update(known).astype(float), known.own) == pytest.approx(-1, abs=1e-6)
    assert known.flipped is not None
    assert cosine(ATTACKS["label-flip"].update(known).astype(float), known.flipped) == pytest.approx(1, abs=1e-6)


def test_alie_stays_near_the_mean_and_ipm_opposes_it() -> None:
    known = knowledge()
    assert known.group is not None
    mean, deviation = known.group.mean(axis=0), known.group.std(axis=0)
    assert np.allclose(mean - alie(known, 1.5), 1.5 * deviation)
    assert np.allclose(inner_product(known, 0.5), -mean / 2)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 4))
def test_wrapped_vectors_are_short_mod_p_and_enormous_as_integers(seed: int, bits: int, laps: int) -> None:
    bound = 1 << bits
    update = ATTACKS["wrapped"].update(knowledge(seed, bound), Setting(laps))
    squared = norm_squared(update)
    assert squared // GOLDILOCKS == laps
    assert squared % GOLDILOCKS <= bound**2


@pytest.mark.parametrize(("name", "part"), [("label-flip", "flipped"), ("alie", "group"), ("ipm", "group")])
def test_an_attack_says_what_it_lacks(name: str, part: str) -> None:
    assert ATTACKS[name].needs == part
    with pytest.raises(ValueError, match=part):
        ATTACKS[name].update(Knowledge(np.ones(D), BOUND, BITS))


def test_labels_are_mirrored_and_bootstraps_come_from_the_data() -> None:
    samples = Samples(np.arange(12, dtype=np.float32).reshape(6, 2), np.array([0, 1, 2, 7, 8, 9]))
    assert flip_labels(samples, 10).y.tolist() == [9, 8, 7, 2, 1, 0]
    drawn = bootstrap(samples, 1)
    assert len(drawn) == 6 and set(drawn.y) <= set(samples.y)
    assert all(samples.y[int(x[0]) // 2] == y for x, y in zip(drawn.x, drawn.y, strict=True))
    assert (bootstrap(samples, 1).y == drawn.y).all()
