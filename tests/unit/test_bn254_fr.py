"""Vectors over Fr against Python's integers and the vectors of another implementation."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from protocols.bn254 import fr
from protocols.bn254.field import R
from tests.unit.bn254_kit import load, number

EDGES = [0, 1, 2, R - 1, R - 2, (R - 1) // 2, (R + 1) // 2, 2**64 - 1, 2**128]


@pytest.fixture
def values(seed: bytes) -> list[int]:
    rng = random.Random(seed)
    return EDGES + [rng.randrange(R) for _ in range(20)]


def test_vectors_of_another_implementation(vectors: Path) -> None:
    data = load(vectors, "field_bn254_fr")
    assert number(data["modulus"]) == R
    columns = {key: [None if c[key] is None else number(c[key]) for c in data["cases"]] for key in data["cases"][0]}
    a, b = fr.vector(columns["a"]), fr.vector(columns["b"])
    assert fr.integers(fr.add(a, b)) == columns["add"]
    assert fr.integers(fr.sub(a, b)) == columns["sub"]
    assert fr.integers(fr.mul(a, b)) == columns["mul"]
    assert fr.integers(fr.neg(a)) == columns["neg_a"]
    assert fr.integers(fr.mul(a, a)) == columns["sqr_a"]
    for x, inverses in ((a, columns["inv_a"]), (b, columns["inv_b"])):
        finite = [i for i, inverse in enumerate(inverses) if inverse is not None]
        assert fr.integers(fr.inverse(x[finite])) == [inverses[i] for i in finite]
        assert not x[[i for i in range(len(x)) if i not in finite]].any()


def test_against_integers(values: list[int]) -> None:
    other = values[::-1]
    a, b, n = fr.vector(values), fr.vector(other), len(values)
    c = values[-1]
    pairs = list(zip(values, other, strict=True))
    assert fr.integers(fr.scale(c, a)) == [c * x % R for x in values]
    assert fr.integers(fr.shift(a, c)) == [(x + c) % R for x in values]
    assert fr.inner(a, b) == sum(x * y for x, y in pairs) % R
    assert fr.total(a) == sum(values) % R
    assert fr.integers(fr.prefix_sums(a)) == [sum(values[: i + 1]) % R for i in range(n)]
    assert fr.integers(fr.powers(c, n, 7)) == [7 * pow(c, i, R) % R for i in range(n)]
    acc = a.copy()
    fr.add_scaled(acc, c, b)
    fr.add_into(acc, a)
    assert fr.integers(acc) == [(2 * x + c * y) % R for x, y in pairs]
    assert fr.integers(fr.inverse(a[1:])) == [pow(x, -1, R) for x in values[1:]]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 9])
def test_short_vectors(n: int) -> None:
    v = fr.vector(range(1, n + 1))
    assert fr.integers(fr.powers(3, n)) == [3**i for i in range(n)]
    assert fr.integers(fr.mul(v, fr.inverse(v))) == [1] * n
    assert fr.total(v) == n * (n + 1) // 2
    assert fr.inner(v, v) == sum(i * i for i in range(n + 1))
    assert fr.from_bytes(fr.to_bytes(v)).tolist() == v.tolist()


def test_combinations_cross_blocks(rng: np.random.Generator) -> None:
    n = fr.BLOCK + 3
    rows = [fr.from_signed(rng.integers(-1000, 1000, n)) for _ in range(3)]
    weights = [5, R - 1, -2]
    together = fr.integers(fr.combine(weights, rows))
    one_by_one = [fr.integers(row) for row in rows]
    assert together == [
        sum(w * x for w, x in zip(weights, xs, strict=True)) % R for xs in zip(*one_by_one, strict=True)
    ]
    with pytest.raises(ValueError, match="2 weights for 3"):
        fr.combine([1, 2], rows)
    with pytest.raises(ValueError, match="0 weights"):
        fr.combine([], [])


def test_signed_numbers() -> None:
    x = np.array([0, 1, -1, 2**63 - 1, -(2**63) + 1, -5], dtype=np.int64)
    v = fr.from_signed(x)
    assert fr.integers(v) == [int(k) % R for k in x]
    assert fr.to_signed(v).tolist() == x.tolist()
    assert [fr.signed(k) for k in fr.integers(v)] == x.tolist()
    assert fr.integers(fr.from_signed(np.array([-(2**63)]))) == [R - 2**63]
    for bad in (2**63, -(2**63), R // 2, 2**64, 2**192):
        with pytest.raises(ValueError, match="element 1 is not a 64-bit"):
            fr.to_signed(fr.vector([1, bad]))
    with pytest.raises(ValueError, match="int64"):
        fr.from_signed(np.array([1.0]))  # type: ignore[arg-type]


def test_bytes_are_big_endian_and_canonical() -> None:
    data = b"".join(x.to_bytes(32, "big") for x in EDGES)
    assert fr.integers(fr.from_bytes(data)) == EDGES
    assert fr.to_bytes(fr.vector(EDGES)) == data
    for bad in (R, R + 1, 2**256 - 1):
        with pytest.raises(ValueError, match="element 1 is not less"):
            fr.from_bytes(bytes(32) + bad.to_bytes(32, "big"))
    with pytest.raises(ValueError, match="33 bytes"):
        fr.from_bytes(bytes(33))


def test_uniform_bytes_are_reduced(seed: bytes) -> None:
    rng = random.Random(seed)
    parts = [rng.randbytes(48) for _ in range(5)] + [b"\xff" * 48, bytes(48), bytes(16) + b"\xff" * 32]
    assert fr.integers(fr.from_uniform_bytes(b"".join(parts))) == [int.from_bytes(p, "big") % R for p in parts]
    with pytest.raises(ValueError, match="49 bytes"):
        fr.from_uniform_bytes(bytes(49))


def test_wrong_arguments_are_refused() -> None:
    v = fr.vector([1, 2, 3])
    with pytest.raises(ValueError, match="different lengths"):
        fr.add(v, v[:2])
    with pytest.raises(ValueError, match="not a vector"):
        fr.mul(v.astype(np.int64), v)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a vector"):
        fr.neg(v[0])
    with pytest.raises(ValueError, match="zero has no inverse"):
        fr.inverse(fr.vector([1, 0]))
    with pytest.raises(ValueError, match="read-only or not contiguous"):
        fr.add_into(v[::2], v[::2])
    assert fr.integers(fr.add(v[::2], v[::2])) == [2, 6]
    assert fr.integers(fr.vector([-1, R, 2**300])) == [R - 1, 0, 2**300 % R]
