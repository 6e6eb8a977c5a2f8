"""The selection that the contract computes is the one of protocols/selection, on random and on nasty instances."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from omninode.chain.devchain import DevChain, DevChainError, find_anvil, start_anvil
from protocols.selection import rules
from tests.integration.contract_kit import connect, deploy_market

INSTANCES = 400
LIMIT = 2**240  # distances on chain are below it

try:
    find_anvil()
except DevChainError as error:
    pytestmark = pytest.mark.skip(reason=str(error))
else:
    pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with start_anvil(block_time=None) as chain:
        yield chain


@pytest.fixture(scope="module")
def market(chain: DevChain) -> Any:
    return deploy_market(connect(chain))


def instance(rnd: random.Random) -> tuple[int, int, int, int, int, list[list[int]]]:
    """rule, passed groups as bits, created, mu, m, distances. Many ties, zeros, extremes and points on a line."""
    created = rnd.randint(1, 16)
    passed = rnd.getrandbits(created) | (rnd.getrandbits(created) if rnd.random() < 0.7 else 0)
    count = passed.bit_count()
    kind = rnd.randrange(4)
    places = [rnd.choice([0, 1, 5, 100, rnd.randrange(10**6)]) for _ in range(count)]
    matrix = [[0] * count for _ in range(count)]
    for r in range(count):
        for s in range(r + 1, count):
            value = (
                (places[r] - places[s]) ** 2,
                rnd.randrange(4),
                rnd.randrange(LIMIT),
                rnd.choice([0, LIMIT - 1]),
            )[kind]
            matrix[r][s] = matrix[s][r] = value
    return rnd.randrange(4), passed, created, rnd.randrange(rules.BPS), rnd.randrange(16), matrix


def upper(matrix: list[list[int]]) -> list[int]:
    return [matrix[r][s] for r in range(len(matrix)) for s in range(r + 1, len(matrix))]


def expected(rule: int, passed: int, created: int, mu_bps: int, m: int, matrix: list[list[int]]) -> tuple[bool, int]:
    groups = [r for r in range(created) if passed >> r & 1]
    kept = rules.select(rule, matrix, created, len(groups), mu_bps, m)
    return (False, 0) if kept is None else (True, sum(1 << groups[index] for index in kept))


def test_random_instances(market: Any, seed: bytes) -> None:
    rnd = random.Random(seed)
    outputs = 0
    for number in range(INSTANCES):
        rule, passed, created, mu_bps, m, matrix = case = instance(rnd)
        on_chain = market.functions.select(rule, passed, created, mu_bps, m, upper(matrix)).call()
        assert tuple(on_chain) == expected(*case), f"seed {seed.hex()}, instance {number}: {case}"
        outputs += on_chain[0]
    assert outputs > INSTANCES // 4, "most instances say nothing: the generator is broken"


@pytest.mark.parametrize("rule", [rules.OUTLIER, rules.MULTI_KRUM, rules.M_KRUM])
def test_every_mu_and_m_of_a_large_instance(market: Any, seed: bytes, rule: int) -> None:
    rnd = random.Random(seed)
    matrix = [[0] * 16 for _ in range(16)]
    for r in range(16):
        for s in range(r + 1, 16):
            matrix[r][s] = matrix[s][r] = rnd.randrange(50)
    for faulty in range(14):
        mu_bps = -(-faulty * rules.BPS // 16)
        for m in (1, 2, 14 - faulty, 15) if rule == rules.M_KRUM else (0,):
            on_chain = market.functions.select(rule, 0xFFFF, 16, mu_bps, m, upper(matrix)).call()
            assert tuple(on_chain) == expected(rule, 0xFFFF, 16, mu_bps, m, matrix), f"seed {seed.hex()}, f {faulty}"


def test_the_largest_selection_fits_a_transaction(market: Any, seed: bytes) -> None:
    rnd = random.Random(seed)
    distances = [rnd.randrange(LIMIT) for _ in range(120)]
    for rule in (rules.OUTLIER, rules.MULTI_KRUM, rules.M_KRUM):
        assert market.functions.select(rule, 0xFFFF, 16, 0, 14, distances).estimate_gas() < 4_000_000
