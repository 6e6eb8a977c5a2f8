"""Bounds from what is known: scale, floors, and that a vector of ten times the bound cannot hide in its group."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.learning.bound import (
    FIRST_FACTOR,
    MOST_GROWTH,
    NEXT_FACTOR,
    VERIFIED_FACTOR,
    first_bound,
    next_bound,
    next_bound_verified,
)
from omninode.learning.fixed_point import encode, norm_squared


def test_first_bound_is_the_owners_norm_in_fixed_point() -> None:
    assert first_bound(2.0, 16) == math.floor(2 * FIRST_FACTOR * 65536)
    assert first_bound(2.0, 16, factor=0.5) == 65536


@pytest.mark.parametrize("norm", [0.0, -1.0, math.nan, math.inf, 1e-9, 1e30])
def test_first_bound_refuses_what_makes_no_bound(norm: float) -> None:
    with pytest.raises(ValueError, match="bound"):
        first_bound(norm, 16)


def test_next_bound_takes_the_lower_median_of_the_group_means() -> None:
    norms = [(3 * 1000) ** 2, (2 * 5000) ** 2, (3 * 2000) ** 2, (3 * 10**9) ** 2]
    assert next_bound(norms, [3, 2, 3, 3], 16) == math.floor(2000 * NEXT_FACTOR)


def test_next_bound_of_groups_that_did_nothing_is_a_small_positive_number() -> None:
    assert next_bound([0, 0], [3, 3], 16) == 64
    assert next_bound([0], [3], 4) == 1


@pytest.mark.parametrize(("norms", "sizes"), [([], []), ([1], [1, 2]), ([1], [0]), ([-1], [1])])
def test_next_bound_refuses_nonsense(norms: list[int], sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="one squared norm"):
        next_bound(norms, sizes, 16)


@given(st.lists(st.tuples(st.integers(2, 9), st.floats(0, 1)), min_size=1, max_size=16), st.integers(1 << 10, 1 << 40))
def test_bounds_grow_by_no_more_than_the_factor(groups: list[tuple[int, float]], bound: int) -> None:
    """Step 6 holds every group to |A_r| <= |U_r| B, so liars cannot pump the bound up."""
    norms = [int(size * bound * part) ** 2 for size, part in groups]
    assert next_bound(norms, [size for size, _ in groups], 16) <= max(bound * NEXT_FACTOR, 64)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_ten_times_the_bound_breaks_step_6_whatever_the_group_holds(size: int) -> None:
    """|A_r| >= 10 B - (n - 1) B > n B for n <= 5, the largest group that N = 3 makes, even if all others pull back."""
    rng, bound, d = np.random.default_rng(size), 1 << 16, 5090
    noise = rng.standard_normal(d)
    garbage = encode(noise * 10 * bound / 2**16 / np.linalg.norm(noise), 11 * bound, 16)
    pulling_back = encode(-noise, bound, 16)
    total = garbage + (size - 1) * pulling_back
    assert norm_squared(total) > (size * bound) ** 2


def test_next_bound_verified_follows_the_mean_the_owner_and_the_last_bound() -> None:
    wide = 100 << 16
    assert next_bound_verified(1.0, 16, 0.5, wide, 16) == int(2 * VERIFIED_FACTOR * 65536)
    assert next_bound_verified(1.0, 16, 3.0, wide, 16) == 3 << 16  # the owner's own update keeps it up
    assert next_bound_verified(50.0, 16, 3.0, 1 << 16, 16) == int(MOST_GROWTH * 65536)
    assert next_bound_verified(1.0, 16, 0.0, wide, 16, factor=3.0) == 6 << 16
    assert next_bound_verified(0.0, 3, 0.0, wide, 16) == 64


@given(st.floats(0, 1e3), st.integers(1, 64), st.floats(0, 1e3), st.integers(1 << 8, 1 << 40))
def test_the_verified_bound_cannot_be_pumped_up_at_once(mean: float, count: int, own: float, bound: int) -> None:
    following = next_bound_verified(mean, count, own, bound, 16)
    assert 64 <= following <= max(64, MOST_GROWTH * bound)


@pytest.mark.parametrize(
    ("mean", "count", "own", "bound"),
    [(-1.0, 3, 1.0, 9), (math.nan, 3, 1.0, 9), (1.0, 0, 1.0, 9), (1.0, 3, math.inf, 9), (1.0, 3, 1.0, 0)],
)
def test_next_bound_verified_refuses_nonsense(mean: float, count: int, own: float, bound: int) -> None:
    with pytest.raises(ValueError, match="no bound"):
        next_bound_verified(mean, count, own, bound, 16)
