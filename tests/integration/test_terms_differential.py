"""The contract refuses at creation what the machines cannot play, no more and no less: `Terms` against `limits`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from omninode.chain.convert import params_from_struct, params_to_struct
from omninode.chain.devchain import DevChain, DevChainError, find_anvil, start_anvil
from omninode.chain.market import market_interface
from protocols.pine import params as pine
from protocols.sessions import limits
from protocols.sessions.params import Mode, Payout, Rule
from tests.integration.contract_kit import calls, connect, deploy, deploy_market, funded
from tests.simulation.session import small_params

INSTANCES = 1000
OWNER = b"\xac" * 20

try:
    find_anvil()
except DevChainError as error:
    pytestmark = pytest.mark.skip(reason=str(error))
else:
    pytestmark = pytest.mark.filterwarnings("default")

Struct = dict[str, Any]
EDGES: dict[str, tuple[int | bool, ...]] = {
    "mode": (0, 1, 2, 255),
    "rule": (0, 1, 2, 3, 4, 5, 255),
    "payout": (0, 1, 2),
    "scoreCap": (0, 1, (1 << 127) - 1, 1 << 127),
    "groupSize": (0, 1, 2, 3, 16, 31, 32, 33, 65535),
    "groups": (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 254, 255, 256, 65535),
    "committee": (0, 4, 5, 8, 9, 12, 13, 16, 17, 255),
    "threshold": (0, 1, 2, 3, 4, 255),
    "muBps": (0, 1, 2500, 5000, 8333, 8334, 9999, 10000, 65535),
    "mKrum": (0, 1, 2, 5, 7, 65535),
    "minAccepted": (0, 2, 3, 4, 6, 12, 13, 255, 256, 65535),
    "registerBlocks": (0, 2, 3, 65535),
    "uploadBlocks": (0, 9, 10, 65535),
    "settleBlocks": (0, 9, 10, 65535),
    "publicSums": (False, True),
    "dimension": (0, 1, 4095, 4096, (1 << 24) - 1, 1 << 24, (1 << 32) - 1),
    "fracBits": (0, 40, 41, 255),
    "bound": (0, 1, 10**9, 1 << 31, (1 << 64) - 1),
    "reward": (0, 1, 1 << 64),
    "gasPriceCap": (0, (1 << 64) - 1),
}
"""Values of each field around the limits of either side, and the last one that its type holds."""


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with start_anvil(block_time=None) as chain:
        yield chain


class Creation:
    """A market that nothing but the terms can keep from a session: provers and exit delay are as large as they get."""

    def __init__(self, chain: DevChain) -> None:
        w3 = connect(chain)
        factory = deploy(w3, "ZkVerifiers").address  # with no keys
        market = deploy_market(w3, provers=16, exit_delay=1 << 16, verifiers=factory)
        self._url, self._to = chain.url, market.address
        self._owner = funded(w3, OWNER, 1 << 120)

    def refusals(self, structs: Sequence[Struct]) -> list[str | None]:
        """Name of the error for each; None: the session can be created. Price and creation say the same."""
        prices = self._ask("requiredEscrow", structs, [0] * len(structs))
        paid = [int.from_bytes(data, "big") if ok else 0 for ok, data in prices]
        refused = [_error(*answer) for answer in self._ask("createSession", structs, paid)]
        assert refused == [_error(*answer) for answer in prices]
        return refused

    def _ask(self, function: str, structs: Sequence[Struct], values: Sequence[int]) -> list[tuple[bool, bytes]]:
        encode = market_interface().function(function).call_data
        asked = [
            {"from": self._owner, "to": self._to, "data": "0x" + encode((struct,)).hex(), "value": hex(value)}
            for struct, value in zip(structs, values, strict=True)
        ]
        return calls(self._url, asked)


def _error(ok: bool, data: bytes) -> str | None:
    known = market_interface().decode_error(data)
    assert ok or known, data.hex()
    return None if ok or known is None else known[0]


@pytest.fixture(scope="module")
def creation(chain: DevChain) -> Creation:
    return Creation(chain)


def python_refusal(struct: Struct) -> str | None:
    """The sentence with which a client refuses such a session; None: it plays it."""
    try:
        limits.check_params(params_from_struct(struct, OWNER))
    except ValueError as error:
        return str(error)
    return None


def usual(mode: Mode, rule: Rule = Rule.NONE, payout: Payout = Payout.EQUAL) -> Struct:
    """Terms that both sides take: 4 groups of 3, or 12 data owners."""
    verified = mode == Mode.VERIFIED
    return params_to_struct(
        small_params(
            owner=OWNER, mode=mode, rule=rule, payout=payout, mu_bps=2500, m_krum=1, dimension=5000,
            group_size=1 if verified else 3, groups=12 if verified else 4, public_sums=False,
        )
    )  # fmt: skip


def largest(struct: Struct) -> int:
    """The largest bound that Python takes, where mode and sizes make sense."""
    size, groups, dimension = struct["groupSize"], struct["groups"], struct["dimension"]
    if struct["mode"] == Mode.VERIFIED:
        return pine.largest_bound(dimension)
    return limits.largest_bound(dimension, size, groups) if size and groups else 0


def agreed(creation: Creation, structs: Sequence[Struct]) -> list[bool]:
    """Both sides say the same of each; whether they take it."""
    for struct, theirs in zip(structs, creation.refusals(structs), strict=True):
        ours = python_refusal(struct)
        assert (ours is None) == (theirs is None), f"Python: {ours}; contract: {theirs}; {struct}"
    return [python_refusal(struct) is None for struct in structs]


KINDS = [(Mode.GROUPED, rule, Payout.EQUAL) for rule in Rule if rule != Rule.TRUST] + [
    (Mode.VERIFIED, rule, payout) for rule in (Rule.NONE, Rule.M_KRUM, Rule.TRUST) for payout in Payout
]


@pytest.mark.parametrize("mode", Mode)
def test_each_edge_alone(creation: Creation, mode: Mode) -> None:
    """One field of usual terms at a time, at its edges."""
    structs = [usual(mode, Rule.OUTLIER) | {field: value} for field, values in EDGES.items() for value in values]
    assert sum(agreed(creation, structs)) > len(EDGES)


@pytest.mark.parametrize("mode", Mode)
def test_the_largest_bound(creation: Creation, mode: Mode) -> None:
    """Exactly it, for every size of group and for small and large models."""
    structs = []
    for dimension in (1, 4096, 10**6, limits.MOST_DIMENSION):
        for size, groups in ((2, 2), (2, 16), (3, 1), (5, 4), (16, 16), (32, 1), (32, 8)):
            shape = {"groups": 12} if mode == Mode.VERIFIED else {"groupSize": size, "groups": groups}
            struct = usual(mode) | shape | {"dimension": dimension, "publicSums": mode == Mode.GROUPED}
            structs += [struct | {"bound": largest(struct)}, struct | {"bound": largest(struct) + 1}]
    assert agreed(creation, structs) == [True, False] * (len(structs) // 2)


def instance(rnd: random.Random) -> Struct:
    """Usual terms with up to four fields changed, half of the time so that they may still go together."""
    struct = usual(*rnd.choice(KINDS))
    for field in rnd.sample(sorted(EDGES), rnd.randint(0, 4)):
        struct[field] = rnd.choice(EDGES[field])
    if rnd.random() < 0.5:
        struct["groups"] = rnd.randint(1, 16 if struct["mode"] == Mode.GROUPED else 255)
        struct["muBps"] = rnd.randrange(10_000)
    if rnd.random() < 0.3:
        struct["bound"] = max(0, largest(struct) + rnd.randint(-1, 1))
    return struct


def test_random_terms(creation: Creation, seed: bytes) -> None:
    rnd = random.Random(seed)
    taken = sum(agreed(creation, [instance(rnd) for _ in range(INSTANCES)]))
    assert INSTANCES // 10 < taken < INSTANCES * 9 // 10, "the generator is broken"


def test_what_would_cost_honest_provers_their_stake(creation: Creation) -> None:
    """Bounds that cannot be proved, models that are too large: nobody could vote on such uploads."""
    verified, grouped = usual(Mode.VERIFIED, Rule.TRUST), usual(Mode.GROUPED)
    cases: list[tuple[Struct, str | None]] = [
        (verified | {"bound": 10**9}, "BadBound"),
        (verified | {"dimension": 1 << 24}, "BadDimension"),
        (grouped | {"bound": 10**9}, "BadBound"),
        (grouped | {"dimension": 1 << 24}, "BadDimension"),
        (grouped | {"fracBits": 41}, "BadFracBits"),
        (verified, None),
        (grouped, None),
    ]
    assert creation.refusals([struct for struct, _ in cases]) == [name for _, name in cases]


def test_committees_of_certificate_zk(creation: Creation) -> None:
    """Seeds are agreed on in three rounds: two faulty provers at most. A key that nobody made comes after the terms."""
    terms = usual(Mode.VERIFIED, Rule.TRUST) | {"proofKey": b"\1" * 32, "bound": 1000}
    structs = [terms | {"committee": n, "threshold": t} for n in EDGES["committee"] for t in EDGES["threshold"]]
    ours = [python_refusal(struct) for struct in structs]
    assert creation.refusals(structs) == ["UnknownProofKey" if fine is None else "BadCommittee" for fine in ours]
    assert sum(fine is None for fine in ours) == 6 + 4


def test_dimensions_of_certificate_zk(creation: Creation) -> None:
    """A share of an update is one request."""
    terms = usual(Mode.VERIFIED, Rule.TRUST) | {"proofKey": b"\1" * 32, "bound": 1000}
    most = limits.MOST_DIMENSION_PROVED
    structs = [terms | {"dimension": dimension} for dimension in (0, 1, most, most + 1, limits.MOST_DIMENSION)]
    ours = [python_refusal(struct) for struct in structs]
    assert creation.refusals(structs) == ["UnknownProofKey" if fine is None else "BadDimension" for fine in ours]
    assert sum(fine is None for fine in ours) == 2
