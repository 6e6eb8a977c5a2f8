"""Sharing of updates over Fr: the vectors, what rebuilds, commitments of shares, pieces as bytes."""

from __future__ import annotations

import hashlib
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.bn254 import fr, g1
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.zk import pieces, sharing
from protocols.zk.key import Key
from protocols.zk.sharing import Dealing, Sharing
from tests.unit.bn254_kit import number
from tests.unit.zk_shares import PARAMS, TAU, honest_vectors, points, scalars, small_key, vector_of

SEED = b"\x07" * 32


@pytest.fixture(scope="module")
def key() -> Key:
    return small_key()


@pytest.fixture
def honest(vectors: Path) -> Any:
    return honest_vectors(vectors)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def value_at(shares: dict[int, Vector], at: int) -> Vector:
    """By Lagrange, from all that are given."""
    rows = sharing.basis_polynomials(tuple(shares))
    return fr.combine([sum(c * at**e for e, c in enumerate(row)) % R for row in rows], list(shares.values()))


def same(a: Vector, b: Vector) -> bool:
    return bool(np.array_equal(a, b))


def test_sharing_of_the_vectors(honest: Any) -> None:
    for owner in honest["data_owners"]:
        made = Sharing(vector_of(owner), [scalars(owner["shares"]["1"])])
        for point, expected in owner["shares"].items():
            assert same(made.share(int(point)), scalars(expected))


def test_commitments_leaves_and_digest_of_the_vectors(honest: Any, key: Key) -> None:
    sess = unhex(honest["session"]["hash"])
    for owner in honest["data_owners"]:
        made = Sharing(vector_of(owner), [scalars(owner["shares"]["1"])])
        c_e = made.commitments(key)
        assert c_e == points(owner["C_e"])
        assert sharing.commit(key, vector_of(owner)) == points([owner["C"]])[0]
        leaves = []
        for point in range(1, 6):
            blind = unhex(owner["leaf_blinds"][str(point)])
            leaves.append(pieces.leaf(sess, owner["addr"], point, blind, fr.to_bytes(made.share(point))))
            assert leaves[-1] == unhex(owner["leaves"][str(point)])
        assert Dealing(points([owner["C"]])[0], c_e, tuple(leaves)).digest == unhex(owner["share_digest"])


@pytest.mark.parametrize("threshold", [1, 2, 3])
def test_any_t_plus_one_shares_rebuild(threshold: int) -> None:
    secret = pieces.expand(b"\x01" * 32, 12)
    made = sharing.deal(secret, threshold, SEED)
    shares = {point: made.share(point) for point in range(1, 6)}
    for chosen in combinations(shares, threshold + 1):
        assert same(value_at({point: shares[point] for point in chosen}, 0), secret)
    assert not same(value_at({point: shares[point] for point in range(1, threshold + 1)}, 0), secret)


@pytest.mark.parametrize("threshold", [1, 2, 3])
def test_the_first_shares_are_seeds_and_the_coefficients_fit(threshold: int) -> None:
    secret = pieces.expand(b"\x01" * 32, 12)
    made = sharing.deal(secret, threshold, SEED)
    for point, seed in enumerate(sharing.seeds_of(threshold, SEED), start=1):
        assert same(made.share(point), pieces.expand(seed, 12))
    for point in range(1, 7):
        terms = [secret, *(made.coefficient(e) for e in range(1, threshold + 1))]
        assert same(made.share(point), fr.combine([point**e for e in range(threshold + 1)], terms))


@pytest.mark.parametrize("threshold", [1, 2])
def test_everybody_computes_the_commitment_of_a_share(key: Key, threshold: int) -> None:
    secret = pieces.expand(b"\x02" * 32, PARAMS.length)
    made = sharing.deal(secret, threshold, SEED)
    dealing = Dealing(sharing.commit(key, secret), made.commitments(key), ())
    for point in range(1, 6):
        assert sharing.share_commitment(dealing, point) == sharing.commit(key, made.share(point))


def test_a_commitment_has_zero_padding(key: Key) -> None:
    vector = pieces.expand(SEED, PARAMS.length)
    values, blinders = fr.integers(vector)[:24], fr.integers(vector)[24:]
    n, w = PARAMS.size, key.omega
    vanishing = (pow(TAU, n, R) - 1) % R
    inner = sum(
        x * vanishing * pow(w, i, R) * pow(n * (TAU - pow(w, i, R)), -1, R) for i, x in enumerate(values)
    )  # Lagrange at tau, rows d .. N - 1 being zero
    blinding = vanishing * sum(c * pow(TAU, i, R) for i, c in enumerate(blinders))
    expected = g1.multiply(g1.generator(), fr.vector([inner + blinding]))
    assert sharing.commit(key, vector) == g1.to_integers(expected)[0]


def test_the_dealing_depends_on_all_of_its_parts(key: Key) -> None:
    a, b = (1, 2), (0, 0)
    leaves = (b"\x01" * 32, b"\x02" * 32)
    digest = sharing.share_digest([a], leaves)
    assert digest != sharing.share_digest([b], leaves)
    assert digest != sharing.share_digest([a], leaves[::-1])
    assert digest == Dealing(b, (a,), leaves).digest


def test_expansion_is_the_documented_stream() -> None:
    count = (1 << 13) + 3
    grown = fr.integers(pieces.expand(SEED, count))
    for start, block in ((0, 0), (1 << 13, 1)):
        stream = hashlib.shake_256(b"omninode.zk.share" + SEED + block.to_bytes(4, "big")).digest(48 * 3)
        for i in range(3):
            assert grown[start + i] == int.from_bytes(stream[48 * i : 48 * i + 48], "big") % R
    assert len(set(grown)) == count
    assert len(pieces.expand(SEED, 0)) == 0


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_seeds_have_32_bytes(seed: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        pieces.expand(seed, 1)
    with pytest.raises(ValueError, match="32 bytes"):
        pieces.derive(seed, "share", 1)


def test_derived_seeds_differ() -> None:
    seen = {pieces.derive(SEED, label, *parts) for label in ("a", "b") for parts in ((), (1,), (2,), (1, 2))}
    assert len(seen) == 8


def test_points_and_committees_that_make_no_sense(key: Key) -> None:
    made = sharing.deal(fr.zeros(3), 1, SEED)
    with pytest.raises(ValueError, match="point 0"):
        made.share(0)
    with pytest.raises(ValueError, match="repeats"):
        sharing.basis_polynomials((1, 1))
    for threshold, count in ((0, 5), (5, 5), (6, 5)):
        with pytest.raises(ValueError, match="no sharing"):
            sharing.check_committee(threshold, count)
    for length in (0, PARAMS.length - 1, PARAMS.length + 1):
        with pytest.raises(ValueError, match="instead of"):
            sharing.commit(key, fr.zeros(length))


def test_a_piece_is_a_seed_or_a_vector() -> None:
    blind, seed = b"\x0b" * 32, b"\x05" * 32
    grown = pieces.expand(seed, PARAMS.length)
    read = pieces.read_plain(PARAMS, 1, 1, blind + seed)
    assert (read.blind, read.words) == (blind, fr.to_bytes(grown))
    assert same(read.share, grown)
    read = pieces.read_plain(PARAMS, 2, 1, memoryview(blind + fr.to_bytes(grown)))
    assert (read.blind, read.words) == (blind, fr.to_bytes(grown))
    assert same(read.share, grown)


@pytest.mark.parametrize(("point", "size"), [(1, 64), (2, 32 + 32 * 30), (5, 32 + 32 * 30)])
def test_a_piece_has_an_exact_length(point: int, size: int) -> None:
    assert pieces.plain_bytes(PARAMS, point, 1) == size <= pieces.largest_plain(PARAMS)
    for length in (0, size - 1, size + 1, size + 32):
        with pytest.raises(ValueError, match="bytes"):
            pieces.read_plain(PARAMS, point, 1, bytes(length))


def test_a_scalar_of_a_piece_is_canonical() -> None:
    words = [0] * PARAMS.length
    words[3] = R
    with pytest.raises(ValueError, match="element 3"):
        pieces.read_plain(PARAMS, 4, 1, bytes(32) + b"".join(word.to_bytes(32, "big") for word in words))


def test_vectors_agree_on_tau(honest: Any) -> None:
    assert number(honest["parameters"]["tau"]) == TAU
