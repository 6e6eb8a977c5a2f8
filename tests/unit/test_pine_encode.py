"""Wrap-around checks and bits."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P
from protocols.fields.prg import expand
from protocols.pine import oracle
from protocols.pine.encode import (
    OutOfBound,
    check_bytes,
    encode_bits,
    squared_norm,
    wr_results,
    wr_results_of,
    wr_stream,
)
from protocols.pine.params import PineParams
from tests.unit.pine_kit import bits_of, small, vector, wrapped

SEED = b"w" * 32


def stream_bytes(params: PineParams, seed: bytes = SEED) -> bytes:
    return b"".join(piece.tobytes() for piece in wr_stream(params, seed))


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 5, 7, 8, 63, 1001])
def test_checks_against_plain_python(rng: np.random.Generator, dimension: int) -> None:
    params = small(dimension)
    x = rng.integers(0, P, dimension, dtype=np.uint64)
    x[: min(4, dimension)] = np.array([P - 1, 0, 2**63, 2**32 - 1], dtype=np.uint64)[:dimension]
    assert wr_results(params, SEED, x).tolist() == oracle.wr_results(params, stream_bytes(params), x.tolist())


@pytest.mark.parametrize("byte", [0x00, 0xFF, 0x55, 0xAA, 0xE4])
@pytest.mark.parametrize("value", [0, 1, P - 1, P // 2, P // 2 + 1, 2**32])
def test_extreme_sums_are_exact(byte: int, value: int) -> None:
    params = small(10_000)
    pieces = [np.full((50, check_bytes(params)), byte, dtype=np.uint8)] * 2
    x = np.full(params.dimension, value, dtype=np.uint64)
    per_byte = sum({0: -1, 3: 1}.get(byte >> 2 * k & 3, 0) for k in range(4))
    assert set(wr_results_of(params, pieces, x).tolist()) == {per_byte * (params.dimension // 4) * value % P}


def test_checks_are_linear(rng: np.random.Generator) -> None:
    params = small(33)
    a, b = expand(b"a" * 32, 33), expand(b"b" * 32, 33)
    both = wr_results(params, SEED, gl.lincomb([5, P - 7], [a, b]))
    assert np.array_equal(both, gl.lincomb([5, P - 7], [wr_results(params, SEED, a), wr_results(params, SEED, b)]))


def test_stream_is_long_and_its_checks_differ() -> None:
    params = small(4 * 3000)
    pieces = [check.tobytes() for piece in wr_stream(params, SEED) for check in piece]
    assert [len(piece) for piece in pieces] == [3000] * 100
    assert len(set(pieces)) == 100
    assert stream_bytes(params, b"v" * 32) != b"".join(pieces)
    counts = np.bincount(np.frombuffer(b"".join(pieces), np.uint8) & 3, minlength=4) / (100 * 3000)
    assert np.all(np.abs(counts - 0.25) < 0.01)


def test_stream_goes_on_over_pieces_of_the_cipher() -> None:
    """A check longer than what the cipher gives at once reads on where it stopped."""
    long, short = small(4 * ((1 << 16) + 100)), small(4 * 400)
    assert stream_bytes(long)[:40_000] == stream_bytes(short)


@pytest.mark.parametrize("seed", [b"", b"s" * 31, b"s" * 33])
def test_other_seeds(seed: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        wr_results(small(), seed, gl.zeros(20))


def test_other_shapes() -> None:
    params = small(20)
    with pytest.raises(ValueError, match="20 elements"):
        wr_results(params, SEED, gl.zeros(21))
    for shape in ((100, 6), (101, 5), (500,)):
        with pytest.raises(ValueError, match="100 checks take 5 random bytes each"):
            wr_results_of(params, [np.zeros(shape, dtype=np.uint8)], gl.zeros(20))
    with pytest.raises(ValueError, match="randomness for 99"):
        wr_results_of(params, [np.zeros((33, 5), dtype=np.uint8)] * 3, gl.zeros(20))
    with pytest.raises(ValueError, match="were expected"):
        encode_bits(params, gl.zeros(19), gl.zeros(100))
    with pytest.raises(ValueError, match="were expected"):
        encode_bits(params, gl.zeros(20), gl.zeros(99))


def test_bits_spell_the_numbers(rng: np.random.Generator) -> None:
    params = small(50)
    x = vector(rng, params)
    results = wr_results(params, SEED, x)
    norm = sum(int(v) ** 2 for v in gl.to_signed(x))
    wanted = bits_of(norm, params.norm_bits) + bits_of(params.norm_bound - norm, params.norm_bits)
    for result in gl.to_signed(results).tolist():
        wanted += [*bits_of(result + params.wr_bound - 1, params.wr_bits), 1]
    assert encode_bits(params, x, results).tolist() == wanted


def at_norm(params: PineParams, norm: int) -> gl.Vector:
    """A vector with this squared norm: ones, and minus ones at the end."""
    return gl.from_signed(np.array([1] * (norm - 1) + [-1] + [0] * (params.dimension - norm), dtype=np.int64))


def test_the_bound_itself_is_allowed_and_no_more() -> None:
    params = small(30, 5)
    assert squared_norm(params, at_norm(params, 25)) == 25
    with pytest.raises(OutOfBound, match="26 is above"):
        squared_norm(params, at_norm(params, 26))
    with pytest.raises(OutOfBound, match="coordinate alone"):
        squared_norm(params, gl.vector([0] * 29 + [P - 6]))


def test_norms_beyond_64_bits_do_not_wrap() -> None:
    """A sum of squares of 2^64 is far above the bound, although it is 0 mod 2^64."""
    bound = 30_000_000
    params = small(1 << 16, bound)
    with pytest.raises(OutOfBound, match=str(2**64)):
        squared_norm(params, np.full(1 << 16, 1 << 24, dtype=np.uint64))


def test_wrapped_vectors_cannot_be_encoded() -> None:
    params = small()
    x = wrapped(params)
    assert gl.dot(x, x) == 0
    with pytest.raises(OutOfBound):
        encode_bits(params, x, wr_results(params, SEED, x))


@pytest.mark.parametrize("result", [-(512 - 1) - 1, 512 + 1, P // 2])
def test_a_check_out_of_range(result: int) -> None:
    params = small(20, 50)
    assert params.wr_bound == 512
    results = gl.zeros(100)
    results[7] = result % P
    with pytest.raises(OutOfBound, match="only 99 of 100"):
        encode_bits(params, gl.zeros(20), results)


@pytest.mark.parametrize("result", [-(512 - 1), 512])
def test_checks_at_the_edges_are_in_range(result: int) -> None:
    params = small(20, 50)
    results = gl.vector([result % P] * 100)
    bits = encode_bits(params, gl.zeros(20), results)
    assert oracle.number(bits[24:34].tolist()) == result + 511
    assert params.norm_bits == 12


def test_success_bits_stop_when_there_are_enough() -> None:
    params = PineParams(4, 50, 5, 2, 1, 1, checks=6, successes=3)
    results = gl.vector([0, 5000, 0, 0, 0, 0])
    per_check = encode_bits(params, gl.zeros(4), results)[2 * params.norm_bits :].reshape(6, -1)
    assert per_check[:, -1].tolist() == [1, 0, 1, 1, 0, 0]
    assert not per_check[1].any()
