"""Fixed point: the integer norm obeys the bound, exactly and always; what does not fit is refused by coordinate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from omninode.learning.fixed_point import FixedPointError, decode_sum, encode, norm_squared

VECTORS = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6))


def exact(vector: NDArray[np.int64]) -> int:
    """Oracle in Python integers."""
    return sum(int(v) ** 2 for v in vector)


@given(arrays(np.int64, st.integers(0, 50), elements=st.integers(-(2**62) + 1, 2**62 - 1)))
def test_norm_is_exact(vector: NDArray[np.int64]) -> None:
    assert norm_squared(vector) == exact(vector)


def test_norm_of_a_long_vector_of_large_values_does_not_wrap() -> None:
    length, value = (1 << 20) + 3, 2**61 - 1
    assert norm_squared(np.full(length, -value, dtype=np.int64)) == length * value**2


@given(VECTORS, st.integers(1, 1 << 40), st.integers(0, 24))
def test_the_integer_norm_never_exceeds_the_bound(update: NDArray[np.float64], bound: int, frac_bits: int) -> None:
    assert exact(encode(update, bound, frac_bits)) <= bound * bound


@given(VECTORS, st.integers(4, 24))
def test_inside_the_bound_only_rounding_is_lost(update: NDArray[np.float64], frac_bits: int) -> None:
    bound = math.ceil((np.linalg.norm(update) + len(update)) * 2**frac_bits) + 1
    encoded = encode(update, bound, frac_bits)
    assert np.abs(decode_sum(encoded, frac_bits, 1) - update).max() <= 0.5 / 2**frac_bits + 1e-9


def test_clipping_keeps_the_direction() -> None:
    update = np.random.default_rng(1).standard_normal(5090) * 10
    encoded = encode(update, 1 << 17, 16)
    assert math.isqrt(exact(encoded)) >= (1 << 17) - 50
    cosine = float(encoded @ update) / (np.linalg.norm(encoded) * np.linalg.norm(update))
    assert cosine > 1 - 1e-6


def test_rounding_alone_would_break_the_bound() -> None:
    """Why the shrinking exists: half a unit in every coordinate rounds up."""
    update, bound = np.full(400, 0.5 + 1e-9), 10
    assert exact(np.rint(update).astype(np.int64)) > bound**2
    assert exact(encode(update, bound, 0)) <= bound**2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_finite_is_refused_by_coordinate(bad: float) -> None:
    update = np.zeros(10)
    update[7] = bad
    with pytest.raises(FixedPointError, match=r"update\[7\] = .* not a finite number") as caught:
        encode(update, 1 << 16, 16)
    assert caught.value.coordinate == 7


@pytest.mark.parametrize("value", [2.0**46, -(2.0**46), 1e300])
def test_overflow_is_refused_and_never_clipped_in_silence(value: float) -> None:
    update = np.array([0.0, 1.0, value])
    with pytest.raises(FixedPointError, match=r"update\[2\] .* does not fit 62 bits") as caught:
        encode(update, 1 << 16, 16)
    assert caught.value.coordinate == 2


def test_wrong_arguments() -> None:
    for update, bound, bits in (
        (np.zeros((2, 2)), 1, 1),
        (np.zeros(2), 0, 1),
        (np.zeros(2), 1 << 62, 1),
        (np.zeros(2), 1, 49),
    ):
        with pytest.raises(ValueError, match="need a vector"):
            encode(update, bound, bits)
    with pytest.raises(ValueError, match="mean over 0"):
        decode_sum(np.zeros(2, np.int64), 16, 0)


def test_mean_of_several_parties() -> None:
    rng = np.random.default_rng(2)
    updates = [rng.standard_normal(100) for _ in range(5)]
    total = np.sum([encode(u, 1 << 24, 16) for u in updates], axis=0)
    assert np.allclose(decode_sum(total, 16, 5), np.mean(updates, axis=0), atol=2**-16)
