"""The selection that the contract computes is the one of protocols/selection, on random and on nasty instances."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from web3 import Web3
from web3.exceptions import ContractCustomError

from contracts import loader
from omninode.chain.devchain import DevChain, DevChainError, find_anvil, start_anvil
from protocols.selection import rules

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
    """A market with five provers."""
    w3 = Web3(Web3.HTTPProvider(chain.url, request_kwargs={"timeout": 20}))
    deployer, *provers = w3.eth.accounts[:6]
    libraries = {name: _deploy(w3, name).address for name in loader.LIBRARIES}
    registry = _deploy(w3, "ProverRegistry", 10**18, 100)
    market = _deploy(w3, "DataMarket", registry.address, libraries=libraries)
    registry.functions.setMarket(market.address).transact({"from": deployer})
    for prover in provers:
        registry.functions.register(b"\1" * 32, b"\2" * 32).transact({"from": prover, "value": 10**18})
    return market


def _deploy(w3: Web3, name: str, *args: object, libraries: dict[str, str] | None = None) -> Any:
    artifact = loader.load(name)
    factory = w3.eth.contract(abi=artifact.abi, bytecode=loader.link(artifact, libraries or {}))
    transaction = factory.constructor(*args).transact({"from": w3.eth.accounts[0]})
    receipt = w3.eth.wait_for_transaction_receipt(transaction, timeout=20)
    return w3.eth.contract(receipt["contractAddress"], abi=artifact.abi)


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


def test_creation_refuses_what_the_rules_refuse(market: Any, seed: bytes) -> None:
    """`creatable` and the contract agree on every choice of rule, groups, mu and m."""
    rnd = random.Random(seed)
    errors = {"BadRule", "BadSizes", "BadMu", "TooFewGroups", "BadMKrum"}
    selectors = {
        Web3.keccak(text=signature(entry))[:4].hex(): entry["name"] for entry in market.abi if entry["type"] == "error"
    }
    for number in range(INSTANCES // 2):
        rule, groups = rnd.choice([0, 1, 2, 3, 3, 4]), rnd.randint(0, 17)
        mu_bps, m = rnd.choice([0, 2500, 5000, 9999, 10000, rnd.randrange(10**4)]), rnd.randrange(16)
        terms = (
            b"\1" * 32, b"\2" * 32, bytes(32), 1, 0, 0, 0, 0, 65536, 5000, 3, groups, mu_bps, m, 3, 3, 10, 10, 0, 16, 5,
            1, rule, 0, False,
        )  # fmt: skip
        try:
            market.functions.createSession(terms).call({"value": 1})
            refused = None
        except ContractCustomError as error:
            refused = selectors[str(error.data)[2:10]]
        creatable = rules.creatable(rule, groups, mu_bps, m) and groups <= rules.MAX_GROUPS
        case = f"seed {seed.hex()}, case {number}: rule {rule}, R {groups}, mu {mu_bps}, m {m}: {refused}"
        assert (refused is None) == creatable, case
        assert refused is None or refused in errors, case


def signature(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(field['type'] for field in entry['inputs'])})"
