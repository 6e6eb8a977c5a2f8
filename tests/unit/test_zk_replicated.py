"""Sharings that nobody sends: degree, secret, what coalitions cannot know."""

from __future__ import annotations

from itertools import combinations, product
from unittest.mock import patch

import numpy as np
import pytest

from protocols.bn254 import fr
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.sharing.zero import subsets
from protocols.zk import replicated
from protocols.zk.decode import lagrange
from tests.unit.zk_kit import rank

SIZES = [(1, 0), (3, 1), (5, 1), (7, 2), (9, 2)]


def seeds_of(n: int, t: int) -> dict[tuple[int, ...], bytes]:
    return {s: bytes([*s, *bytes(32 - len(s))]) for s in subsets(n, t)}


def at(shares: dict[int, Vector], nodes: range, x: int) -> Vector:
    return fr.combine(lagrange(tuple(nodes), x), [shares[j] for j in nodes])


@pytest.mark.parametrize(("n", "t"), SIZES)
def test_degrees_and_secrets(n: int, t: int) -> None:
    seeds = seeds_of(n, t)
    rand = {j: replicated.rand(seeds, j, n, t, b"r", 3) for j in range(1, n + 1)}
    zero = {j: replicated.zero(seeds, j, n, t, b"z", 3) for j in range(1, n + 1)}
    for shares, degree in ((rand, t), (zero, 2 * t)):
        for x in range(degree + 2, n + 1):
            assert np.array_equal(at(shares, range(1, degree + 2), x), shares[x])
    assert at(rand, range(1, t + 2), 0).any()
    assert not at(zero, range(1, min(n, 2 * t + 1) + 1), 0).any()


@pytest.mark.parametrize(("n", "t"), [(5, 1), (9, 2)])
def test_vanishing_only_at_its_point(n: int, t: int) -> None:
    seeds, hidden = seeds_of(n, t), 3
    others = [j for j in range(1, n + 1) if j != hidden]
    shares = {j: replicated.vanishing(seeds, j, hidden, n, t, b"v", 4) for j in others}
    nodes = tuple(others[: t + 1])
    for x in others[t + 1 :]:
        assert np.array_equal(fr.combine(lagrange(nodes, x), [shares[j] for j in nodes]), shares[x])
    assert not fr.combine(lagrange(nodes, hidden), [shares[j] for j in nodes]).any()
    assert fr.combine(lagrange(nodes, 0), [shares[j] for j in nodes]).any()


def test_the_hidden_prover_needs_no_seed_of_it() -> None:
    seeds = {s: seed for s, seed in seeds_of(5, 1).items() if 3 not in s}
    assert replicated.vanishing(seeds, 1, 3, 5, 1, b"v", 2).any()


def test_labels_names_and_indices_are_apart() -> None:
    seeds = seeds_of(5, 1)
    draws = [replicated.rand(seeds, 1, 5, 1, label, 12) for label in (b"a", b"a/1", b"b")]
    values = {x for v in draws for x in fr.integers(v)}
    assert len(values) == 36
    again = replicated.rand(seeds, 1, 5, 1, b"a", 2)
    assert np.array_equal(again, draws[0][:2])


def test_wrong_arguments() -> None:
    seeds = seeds_of(5, 1)
    short = {s: seed[:31] for s, seed in seeds.items()}
    for call in (
        lambda: replicated.rand({}, 1, 5, 1, b"", 1),
        lambda: replicated.zero(short, 1, 5, 1, b"", 1),
        lambda: replicated.zero(seeds, 0, 5, 1, b"", 1),
        lambda: replicated.rand(seeds, 6, 5, 1, b"", 1),
        lambda: replicated.vanishing(seeds, 2, 2, 5, 1, b"", 1),
        lambda: replicated.vanishing(seeds, 2, 6, 5, 1, b"", 1),
    ):
        with pytest.raises(ValueError):
            call()


def response(name: str, n: int, t: int, chosen: tuple[tuple[int, ...], int]) -> list[int]:
    """The shares of all provers when one seed's draw (set, number) is 1 and all others are 0: a column of the map."""

    def elements(seed: bytes, label: bytes, number: int, count: int) -> Vector:
        return fr.vector([int(tuple(b for b in seed if b) == chosen[0] and number == chosen[1])])

    seeds = seeds_of(n, t)
    with patch.object(replicated, "_elements", elements):
        make = getattr(replicated, name)
        return [fr.integers(make(seeds, j, n, t, b"", 1))[0] for j in range(1, n + 1)]


@pytest.mark.parametrize(("n", "t"), [(5, 1), (9, 2)])
@pytest.mark.parametrize(("name", "numbers", "unknown"), [("rand", 1, 1), ("zero", 0, 0)])
def test_coalitions_miss_what_they_must(name: str, numbers: int, unknown: int, n: int, t: int) -> None:
    """To t provers a random secret is open, and a zero has t unknown dimensions: what a product of shares has too."""
    draws = list(product(subsets(n, t), range(numbers or t)))
    columns = {draw: response(name, n, t, draw) for draw in draws}
    for coalition in combinations(range(1, n + 1), t):
        hidden = [column for (members, _), column in columns.items() if not set(members) & set(coalition)]
        assert rank(hidden) == (unknown or t)
        for column in hidden:
            assert all(column[j - 1] == 0 for j in coalition)


@pytest.mark.parametrize("t", [2])
def test_fewer_draws_would_not_mask_products(t: int) -> None:
    """With one draw per set in place of t, a coalition of t knows more than it may."""
    n = 4 * t + 1
    hidden = [response("zero", n, t, (members, 0)) for members in subsets(n, t) if not {1, 2} & set(members)]
    assert rank(hidden) < t


def test_shares_are_reduced() -> None:
    assert all(0 <= x < R for x in fr.integers(replicated.zero(seeds_of(5, 1), 5, 5, 1, b"", 5)))
