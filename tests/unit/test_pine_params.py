"""Sizes, and which bounds can be proved."""

from __future__ import annotations

import dataclasses
import math
from math import ceil, isqrt

import pytest

from protocols.fields.goldilocks import P
from protocols.pine.params import MOST_DIMENSION, WIDEST_CHECK, PineParams, choose, largest_bound

DIMENSIONS = (1, 2, 3, 100, 1000, 10**4, 10**5, 10**6, MOST_DIMENSION)


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("bound", [1, 2, 256, 65536, 30_854_650])
def test_chosen_sizes_fit_together(dimension: int, bound: int) -> None:
    p = choose(dimension, bound)
    assert (p.proofs, p.proofs_norm, p.checks, p.successes) == (2, 2, 100, 100)
    assert p.norm_equality.calls * p.chunk_norm >= dimension
    assert p.bit_calls * p.chunk >= p.bits_length
    assert (p.valid.calls - p.bit_calls) * p.chunk >= p.checks
    for sizes in (p.norm_equality, p.valid):
        assert 1 + sizes.calls <= sizes.points < 2 * (1 + sizes.calls)
        assert sizes.proof_length == sizes.arity + 2 * sizes.points - 1
    assert p.share_length == dimension + p.bits_length + p.proof_length + 1
    assert p.proof_length == 2 * (p.norm_equality.proof_length + p.valid.proof_length)
    assert p.verifier_length == 2 * (p.norm_equality.verifier_length + p.valid.verifier_length)
    assert p.wires_length == p.prove_rand_length == 2 * (p.chunk_norm + 2 * p.chunk)
    assert (p.joint_rand_length, p.query_rand_length) == (6, 4)


def test_chosen_once() -> None:
    assert choose(500, 100) is choose(500, 100)


@pytest.mark.parametrize("bound", [1, 7, 16, 1024, 32768, 65536, 30_854_650])
def test_bit_lengths_hold_every_number(bound: int) -> None:
    p = PineParams(10, bound, 5, 2, 1, 1)
    assert 2 ** (p.norm_bits - 1) <= bound**2 < 2**p.norm_bits
    assert p.wr_bound >= ceil(8.7 * bound) + 1 > p.wr_bound // 2 or p.wr_bound == 2
    assert p.wr_bound & (p.wr_bound - 1) == 0
    assert 2**p.wr_bits == 2 * p.wr_bound


@pytest.mark.parametrize(("dimension", "limit"), [(10**5, 3.0), (10**6, 0.5)])
def test_what_is_sent_beyond_the_vector(dimension: int, limit: float) -> None:
    """Bits and gadget polynomials; wire seeds are not sent."""
    p = choose(dimension, 1 << 16)
    assert 100 * (p.bits_length + p.proof_length - p.wires_length) / dimension < limit


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_largest_bound_is_provable_and_one_more_is_not(dimension: int) -> None:
    most = largest_bound(dimension)
    window = choose(dimension, most).wr_bound
    assert window <= WIDEST_CHECK
    assert (2 * dimension + 1) * window < P
    assert 4 * most**2 < P // 2
    assert 256 * most < P // 2
    assert 87 * (most + 1) // 10 + 1 >= WIDEST_CHECK or (2 * dimension + 1) * 2 * window >= P
    with pytest.raises(ValueError, match=f"the largest that can be proved for {dimension} coordinates is {most}"):
        choose(dimension, most + 1)


def test_the_margin_of_the_wrap_around_argument() -> None:
    """P(|N| <= W) + 2 * 0.56 * 2W/s for s^2 = p/2: what the docstring of ``largest_bound`` bounds by one half."""
    s = isqrt(P // 2)
    assert 2 * WIDEST_CHECK / (s * math.sqrt(2 * math.pi)) + 2 * 0.56 * 2 * WIDEST_CHECK / s < 0.5


def test_soundness_per_attempt() -> None:
    """The figures of ``choose``: both proofs of a circuit must lie at once."""
    for dimension in (10**5, 10**6, MOST_DIMENSION):
        p = choose(dimension, largest_bound(dimension))
        joint = (p.bits_length + p.checks + 3) / P
        valid, norm = ((2 * s.points - 2) / (P - s.points) for s in (p.valid, p.norm_equality))
        assert joint < 2**-52
        assert valid <= 2**-57
        assert joint**2 < 2**-104
        assert norm**2 < 2**-103
        assert dimension > 10**5 or norm < 2**-56


@pytest.mark.parametrize("bound", [0, -1, 2**40])
def test_bounds_that_do_not_fit(bound: int) -> None:
    with pytest.raises(ValueError, match="largest"):
        choose(100, bound)


@pytest.mark.parametrize("dimension", [0, -5, MOST_DIMENSION + 1])
def test_dimensions_that_do_not_fit(dimension: int) -> None:
    assert largest_bound(dimension) == 0
    with pytest.raises(ValueError, match="dimension"):
        choose(dimension, 10)


@pytest.mark.parametrize("name", ["dimension", "bound", "chunk", "chunk_norm", "proofs", "proofs_norm", "checks"])
def test_sizes_are_positive(name: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        dataclasses.replace(choose(100, 10), **{name: 0})


def test_more_successes_than_checks() -> None:
    with pytest.raises(ValueError, match="successes"):
        dataclasses.replace(choose(100, 10), successes=101)


def test_a_bound_beyond_the_field() -> None:
    with pytest.raises(ValueError, match="too large for the field"):
        PineParams(10, 2**31, 5, 2, 1, 1)
