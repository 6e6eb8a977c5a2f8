"""Transforms, weights and check kernels against plain Python integers."""

from __future__ import annotations

import random

import numpy as np
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields import oracle as field
from protocols.fields.goldilocks import P
from protocols.pine import kernels, ntt, oracle

EDGES = (0, 1, P - 1, P - 2, 2**32 - 1, 2**32, 2**63, P // 2)


def table(rng: np.random.Generator, n: int, width: int) -> ntt.Table:
    values = rng.integers(0, P, (n, width), dtype=np.uint64)
    values.flat[: min(len(EDGES), values.size)] = EDGES[: values.size]
    return values


def columns(values: ntt.Table) -> list[list[int]]:
    return [[int(x) for x in column] for column in values.T]


@pytest.mark.parametrize("n", [1, 2, 4, 8, 64, 1024])
def test_roots_are_primitive(n: int) -> None:
    root = ntt.root_of_unity(n)
    assert root == oracle.root_of_unity(n)
    assert pow(root, n, P) == 1
    assert n == 1 or pow(root, n // 2, P) == P - 1


@pytest.mark.parametrize("n", [0, -1, 3, 2**33])
def test_no_root_for_other_counts(n: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        ntt.root_of_unity(n)


@pytest.mark.parametrize("n", [1, 2, 4, 8, 32])
@pytest.mark.parametrize("width", [1, 3, 65])
def test_values_at_all_roots(rng: np.random.Generator, n: int, width: int) -> None:
    coefficients = table(rng, n, width)
    root = oracle.root_of_unity(n)
    wanted = [[field.evaluate(c, pow(root, k, P)) for k in range(n)] for c in columns(coefficients)]
    values = ntt.evaluate_all(coefficients)
    assert columns(values) == wanted
    assert np.array_equal(ntt.interpolate_all(values), coefficients)
    assert [oracle.interpolate(v) for v in wanted] == columns(coefficients)


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_values_between_the_roots(rng: np.random.Generator, n: int) -> None:
    values = table(rng, n, 5)
    coefficients, finer = [oracle.interpolate(v) for v in columns(values)], oracle.root_of_unity(2 * n)
    wanted = [[field.evaluate(c, pow(finer, 2 * k + 1, P)) for k in range(n)] for c in coefficients]
    ntt.move_between(values)
    assert columns(values) == wanted


def test_transforms_are_linear_and_leave_their_input(rng: np.random.Generator) -> None:
    a, b = table(rng, 16, 4), rng.integers(0, P, (16, 4), dtype=np.uint64)
    kept = a.copy()
    total = gl.add(a.ravel(), b.ravel()).reshape(16, 4)
    parts = gl.add(ntt.evaluate_all(a).ravel(), ntt.evaluate_all(b).ravel()).reshape(16, 4)
    assert np.array_equal(ntt.evaluate_all(total), parts)
    ntt.interpolate_all(a)
    assert np.array_equal(a, kept)


@pytest.mark.parametrize("bad", [np.zeros((3, 1), np.uint64), np.zeros(4, np.uint64), np.zeros((4, 1), np.int64)])
def test_other_tables_are_refused(bad: ntt.Table) -> None:
    for work in (ntt.evaluate_all, ntt.interpolate_all, ntt.move_between):
        with pytest.raises(ValueError):
            work(bad)


@pytest.mark.parametrize("n", [1, 2, 16, 128])
def test_lagrange_weights(n: int) -> None:
    coefficients, at = [random.Random(n).randrange(P) for _ in range(n)], 12345678987654321
    root = oracle.root_of_unity(n)
    values = [field.evaluate(coefficients, pow(root, k, P)) for k in range(n)]
    weights = ntt.lagrange(n, at)
    assert gl.dot(weights, gl.vector(values)) == field.evaluate(coefficients, at)
    assert ntt.lagrange(n, at + P) is weights
    assert not weights.flags.writeable


@pytest.mark.parametrize("power", [0, 1, 15])
def test_lagrange_weights_at_a_root_are_refused(power: int) -> None:
    with pytest.raises(ValueError, match="roots of unity"):
        ntt.lagrange(16, pow(oracle.root_of_unity(16), power, P))


@pytest.mark.parametrize(("n", "first", "last"), [(8, 1, 8), (8, 1, 1), (16, 3, 11), (4, 0, 4)])
def test_sums_of_values_without_a_transform(rng: np.random.Generator, n: int, first: int, last: int) -> None:
    coefficients = [int(x) for x in rng.integers(0, P, 2 * n - 1, dtype=np.uint64)]
    root = oracle.root_of_unity(n)
    wanted = sum(field.evaluate(coefficients, pow(root, k, P)) for k in range(first, last)) % P
    weights = ntt.value_sum_weights(n, first, last, 2 * n - 1)
    assert gl.dot(gl.vector(coefficients), weights) == wanted


@pytest.mark.parametrize("base", EDGES)
def test_powers(base: int) -> None:
    assert ntt.powers(base, 5).tolist() == [pow(base, k, P) for k in range(1, 6)]
    assert ntt.powers_from_zero(base, 5).tolist() == [pow(base, k, P) for k in range(5)]
    assert ntt.powers_from_zero(base, 0).tolist() == ntt.powers(base, 0).tolist() == []


def test_sums_of_products_of_rows(rng: np.random.Generator) -> None:
    a, b = table(rng, 4, 300), np.full((4, 300), P - 1, dtype=np.uint64)
    out = rng.integers(0, P, 4, dtype=np.uint64)
    start = out.tolist()
    kernels.add_row_products(a, b, out)
    wanted = [(s + field.dot(x, y)) % P for s, x, y in zip(start, a.tolist(), b.tolist(), strict=True)]
    assert out.tolist() == wanted


def test_scaled_rows(rng: np.random.Generator) -> None:
    values, factors = table(rng, 4, 9), gl.vector([0, 1, P - 1, 7])
    wanted = [field.scale(row, int(c)) for row, c in zip(values.tolist(), factors, strict=True)]
    kernels.scale_rows(factors, values)
    assert values.tolist() == wanted
