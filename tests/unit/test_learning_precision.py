"""The fixed point of certificate zk: never a longer table than the proof has rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.learning import precision
from omninode.learning.document import SessionDocument
from omninode.learning.presets import DIGITS, MNIST
from protocols.zk.params import choose


def test_digits() -> None:
    assert DIGITS.model.parameters == 5090
    assert precision.rows(5090) == 8192
    assert precision.largest_bound(5090) == 4095
    assert precision.proved(5090, 489_210, 16) == (9, 489_210 >> 7)
    assert precision.proved(5090, 4095, 11) == (11, 4095), "nothing is dropped that fits"
    assert precision.proved(5090, 4096, 11) == (10, 2048)


def test_mnist_keeps_more() -> None:
    frac_bits, bound = precision.proved(MNIST.model.parameters, 200_000, 16)
    assert frac_bits > 9 and bound <= precision.largest_bound(MNIST.model.parameters)


@given(dimension=st.integers(2, 1 << 22), bound=st.integers(1, 1 << 40), frac_bits=st.integers(1, 40))
def test_the_table_is_no_longer_than_the_proof(dimension: int, bound: int, frac_bits: int) -> None:
    try:
        fewer, smaller = precision.proved(dimension, bound, frac_bits)
    except ValueError:
        shift = max(0, bound.bit_length() - precision.largest_bound(dimension).bit_length())
        assert frac_bits - shift < 1 or bound >> shift < precision.LEAST_BOUND
        return
    assert 1 <= fewer <= frac_bits
    assert smaller == bound >> frac_bits - fewer
    params = choose(dimension, smaller)
    assert params.size == precision.rows(dimension)
    if fewer < frac_bits:  # one bit more would not have fitted
        assert choose(dimension, bound >> frac_bits - fewer - 1).size > params.size


def test_an_update_that_is_too_short() -> None:
    with pytest.raises(ValueError, match="too short to be proved"):
        precision.proved(10, 100_000, 16)
    with pytest.raises(ValueError, match="too short to be proved"):
        precision.proved(5090, 1 << 30, 16)
    with pytest.raises(ValueError, match="too short to be proved"):
        precision.proved(1, 1, 16)


@given(bound=st.integers(1, 1 << 30), before=st.integers(1, 20), after=st.integers(1, 20))
def test_rescaling_keeps_the_real_bound(bound: int, before: int, after: int) -> None:
    scaled = precision.rescaled(bound, before, after)
    assert scaled >= 1
    assert scaled == 1 or abs(scaled / 2**after - bound / 2**before) < 2**-after


def test_what_is_said() -> None:
    made = SessionDocument(
        model=DIGITS.model, weights=bytes(32), train=DIGITS.train, min_samples=50, frac_bits=9, bound=3821
    )
    said = precision.difference(made, 16)
    assert "9 fractional bits instead of 16" in said and "8192 rows" in said
    assert precision.difference(made, 9) == ""
