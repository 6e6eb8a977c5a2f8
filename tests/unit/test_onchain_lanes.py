"""Lanes, masks and m-Krum of the on-chain baseline, on their own."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.onchain import krum, lanes, masks
from protocols.onchain.lanes import LaneOverflow
from protocols.wire.context import Context

CONTEXT = Context(31337, b"\x11" * 20, 4)


def seed_of(*words: object) -> bytes:
    return hashlib.sha256(repr(words).encode()).digest()


def wallets(count: int) -> list[bytes]:
    return [seed_of("wallet", k)[:20] for k in range(count)]


def keys_of(addresses: list[bytes], context: Context = CONTEXT) -> list[masks.MaskKey]:
    return [masks.MaskKey.derive(seed_of("seed", a), context, a) for a in addresses]


def masked(addresses: list[bytes], plain: list[lanes.Lanes], context: Context = CONTEXT) -> list[lanes.Lanes]:
    keys = keys_of(addresses, context)
    return [
        masks.mask(context, key, own, {a: k.public for a, k in zip(addresses, keys, strict=True) if a != own}, x)
        for own, key, x in zip(addresses, keys, plain, strict=True)
    ]


# ------------------------------------------------------------------------------------------------------------ lanes


@pytest.mark.parametrize(("dimension", "chunks", "last"), [(1, 1, 1), (250, 1, 250), (251, 2, 1), (5_090, 21, 90)])
def test_a_model_in_chunks_of_250(dimension: int, chunks: int, last: int) -> None:
    assert lanes.chunk_count(dimension) == chunks
    assert lanes.chunk_size(dimension, chunks - 1) == last
    assert sum(lanes.chunk_size(dimension, c) for c in range(chunks)) == dimension
    with pytest.raises(ValueError, match="chunk"):
        lanes.chunk_size(dimension, chunks)


def test_a_full_chunk_is_63_words_with_two_lanes_of_padding() -> None:
    words = lanes.pack(np.full(250, 2**64 - 1, dtype=np.uint64))
    assert len(words) == 63
    assert words[0] == 2**256 - 1
    assert words[-1] == (2**128 - 1) << 128


def test_the_first_parameter_is_the_most_significant_lane() -> None:
    data = b"".join(w.to_bytes(32, "big") for w in lanes.pack(lanes.encode(np.array([1.0, -1.0, 0.5]), 1)))
    assert data[:24] == b"".join(v.to_bytes(8, "big", signed=True) for v in (10**8, -(10**8), 5 * 10**7))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=600))
def test_chunks_round_trip(values: list[int]) -> None:
    vector = np.array(values, dtype=np.uint64)
    parts = lanes.chunks(vector)
    assert np.array_equal(lanes.join(parts, len(vector)), vector)
    assert all(0 <= word < 2**256 for words in parts for word in words)


def test_a_missing_chunk_or_word_is_an_error() -> None:
    parts = lanes.chunks(np.arange(300, dtype=np.uint64))
    with pytest.raises(ValueError, match="1 chunks of 2"):
        lanes.join(parts[:1], 300)
    with pytest.raises(ValueError, match="words for"):
        lanes.join([parts[0][:-1], parts[1]], 300)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.integers(1, 64))
def test_the_mean_of_equal_models_is_the_model(values: list[float], parties: int) -> None:
    model = np.array(values)
    plain = lanes.encode(model, parties)
    total = masks.round_sum([plain] * parties)
    assert np.allclose(lanes.decode_mean(total, parties), model, rtol=0, atol=1e-8)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 2**63 / 1e8 / 12, -(2**63) / 1e8 / 12])
def test_what_could_overflow_is_refused(bad: float) -> None:
    with pytest.raises(LaneOverflow, match="sums of 12 models would overflow"):
        lanes.encode(np.array([0.0, bad]), 12)


def test_the_largest_that_cannot_overflow_is_taken() -> None:
    largest = (2**63 - 2**20) / 1e8 / 12
    total = masks.round_sum([lanes.encode(np.array([largest, -largest]), 12)] * 12)
    assert np.allclose(lanes.decode_mean(total, 12), [largest, -largest], rtol=1e-12)


def test_a_mean_of_nothing_and_an_empty_model_are_errors() -> None:
    with pytest.raises(ValueError, match="mean of no models"):
        lanes.decode_mean(np.zeros(1, dtype=np.uint64), 0)
    with pytest.raises(ValueError, match="0 parameters"):
        lanes.chunk_count(0)


# ------------------------------------------------------------------------------------------------------------ masks


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 6), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_masks_cancel_exactly(members: int, dimension: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = [rng.integers(0, 2**64, dimension, dtype=np.uint64) for _ in range(members)]
    hidden = masked(wallets(members), plain)
    assert np.array_equal(masks.round_sum(hidden), masks.round_sum(plain))


def test_one_masked_model_says_nothing_and_a_sum_without_it_neither() -> None:
    plain = [np.zeros(4096, dtype=np.uint64)] * 3
    hidden = masked(wallets(3), plain)
    for vector in (hidden[0], hidden[0] + hidden[1]):
        bits = np.unpackbits(vector.view(np.uint8)).mean()
        assert abs(bits - 0.5) < 0.01
        assert len(np.unique(vector)) == 4096


@pytest.mark.parametrize(
    "other", [Context(1, b"\x11" * 20, 4), Context(31337, b"\x12" * 20, 4), Context(31337, b"\x11" * 20, 5)]
)
def test_keys_and_masks_mean_nothing_in_another_session(other: Context) -> None:
    a, b = wallets(2)
    here, there = keys_of([a, b]), keys_of([a, b], other)
    assert here[0].public != there[0].public
    seed = masks.pair_seed(CONTEXT, here[0], a, here[1].public, b)
    assert seed == masks.pair_seed(CONTEXT, here[1], b, here[0].public, a)
    assert seed != masks.pair_seed(other, here[0], a, here[1].public, b)


def test_a_pair_seed_is_bound_to_wallets_and_keys() -> None:
    a, b, c = wallets(3)
    keys = keys_of([a, b, c])
    assert masks.pair_seed(CONTEXT, keys[0], a, keys[1].public, b) != masks.pair_seed(
        CONTEXT, keys[0], a, keys[1].public, c
    )
    with pytest.raises(ValueError, match="itself"):
        masks.pair_seed(CONTEXT, keys[0], a, keys[1].public, a)


def test_bad_keys_and_missing_peers_are_refused() -> None:
    a, b = wallets(2)
    key, plain = keys_of([a])[0], np.zeros(4, dtype=np.uint64)
    with pytest.raises(ValueError, match="nobody to mask with"):
        masks.mask(CONTEXT, key, a, {}, plain)
    with pytest.raises(ValueError):
        masks.mask(CONTEXT, key, a, {b: bytes(32)}, plain)  # of small order: everybody could make the mask
    with pytest.raises(ValueError, match="32 bytes"):
        masks.MaskKey.derive(b"short", CONTEXT, a)


def test_secrets_stay_out_of_repr() -> None:
    key = keys_of(wallets(1))[0]
    assert key.secret.hex() not in repr(key)
    assert "secret" not in repr(key)


# ----------------------------------------------------------------------------------------------------------- m-Krum


def test_distances_are_exact_beyond_64_bits() -> None:
    big = lanes.encode(np.array([4e10, -4e10]), 1)
    small = lanes.encode(np.array([-4e10, 4e10]), 1)
    assert krum.distance(big, small) == 2 * (8 * 10**18) ** 2
    assert krum.distances([big, small]) == [[0, 2 * (8 * 10**18) ** 2], [2 * (8 * 10**18) ** 2, 0]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 3), min_size=2, max_size=4))
def test_distances_are_those_of_the_signed_numbers_whatever_the_lanes_hold(rows: list[tuple[int, ...]]) -> None:
    sums = [np.array(row, dtype=np.int64).view(np.uint64) for row in rows]
    naive = [[sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]
    assert krum.distances(sums) == naive


def test_an_outlier_is_not_kept() -> None:
    rng = np.random.default_rng(0)
    sums = [lanes.encode(rng.normal(0, 0.1, 50), 8) for _ in range(7)] + [lanes.encode(rng.normal(0, 9, 50), 8)]
    kept = krum.kept_rounds(range(8), krum.distances(sums), 8, 2500, 3)
    assert len(kept) == 3
    assert 7 not in kept


def test_ties_go_to_the_lowest_round_and_names_are_kept() -> None:
    flat = [[0 if r == s else 5 for s in range(4)] for r in range(4)]
    assert krum.kept_rounds((1, 4, 6, 9), flat, 16, 0, 2) == (1, 4)


def test_fewer_rounds_than_m_are_all_kept_and_none_gives_none() -> None:
    assert krum.kept_rounds((2, 3), [[0, 1], [1, 0]], 8, 2500, 3) == (2, 3)
    assert krum.kept_rounds((), [], 8, 2500, 3) == ()
