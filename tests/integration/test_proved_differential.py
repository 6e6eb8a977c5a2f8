"""Who is accepted, as the contract finds it from proved values, is whom protocols/sessions/zk_judgement.py finds.

The verifier's code is replaced by one that believes everything, so that values need no proof: any matrix that is one of
inner products may come, ties and norms above the bound included.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from eth_hash.auto import keccak

from omninode.chain.devchain import DevChain, DevChainError, find_anvil, start_anvil
from protocols.sessions.params import REFERENCE, Payout, Rule
from protocols.zk.params import record_bytes
from protocols.zk.statement import encode_values, triangle
from tests.integration.contract_kit import rpc
from tests.integration.proved_kit import OWNER, ProvedMarket, Session, address_of, events

INSTANCES = 4
BELIEVES = "0x60806000f3"
"""Code that returns four words of zeros, whatever it is asked."""

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
def deployed(chain: DevChain) -> ProvedMarket:
    return ProvedMarket(chain)


@pytest.fixture
def market(deployed: ProvedMarket) -> Iterator[ProvedMarket]:
    """As if nothing had happened: other tests want true verifiers."""
    before = rpc(deployed.w3, "evm_snapshot")
    yield deployed
    assert rpc(deployed.w3, "evm_revert", before)


def record(session: Session, index: int) -> bytes:
    """An address and zeros."""
    who = OWNER if index == REFERENCE else address_of(index)
    return bytes(12) + who + bytes(record_bytes(session.key.norms) - 32)


def started(market: ProvedMarket, rule: Rule, count: int, invalid: range, **changes: object) -> tuple[Session, bytes]:
    """A session in its batch, and the records of those that are valid."""
    session = market.create(rule=rule, groups=count, **changes)
    indices = [*range(count), REFERENCE] if session.params.uses_reference else [*range(count)]
    session.to_batch({k: keccak(record(session, k)) for k in indices}, invalid)
    verifier = market.factory.functions.verifierOf(session.key.digest, session.key.norm_bits or 0).call()
    rpc(market.w3, "anvil_setCode", verifier, BELIEVES)
    first = [REFERENCE] if session.params.uses_reference else []
    return session, b"".join(record(session, k) for k in [*first, *session.order])


def compare(session: Session, dos: bytes, values: list[int]) -> bool:
    """Both sides say the same; whether there is an output. The session is as before."""
    before = rpc(session.on.w3, "evm_snapshot")
    told = events(session, session.post(dos, encode_values(values), b""))
    assert rpc(session.on.w3, "evm_revert", before)
    judged = session.judgement(values)
    assert ("BatchFinal" in told) == judged.output, (values, judged)
    if judged.output:
        assert told["BatchFinal"]["accepted"] == sum(1 << k for k in judged.accepted), (values, judged)
        assert tuple(told.get("Scored", {}).get("values", ())) == judged.scores
    return judged.output


def products(rnd: random.Random, count: int, bound: int) -> list[int]:
    """Of integer vectors in a few dimensions, some equal, some too long."""
    rng, size = np.random.default_rng(rnd.getrandbits(64)), rnd.randint(1, 4)
    width = rnd.choice([1, 3, bound // 2, bound])
    vectors = rng.integers(-width, width + 1, (count, size))
    if rnd.random() < 0.5:
        vectors[rnd.randrange(count) :] = vectors[0]  # copies
    if rnd.random() < 0.5:
        vectors[: rnd.randint(1, count)] //= max(1, width // 4)  # a crowd near zero
    gram = vectors @ vectors.T
    return [int(gram[k, j]) for k, j in triangle(count)]


@pytest.mark.parametrize(
    ("rule", "mu_bps", "m_krum"),
    [(Rule.OUTLIER, 4000, 0), (Rule.MULTI_KRUM, 3300, 0), (Rule.M_KRUM, 1000, 40), (Rule.M_KRUM, 4000, 9)],
)
@pytest.mark.parametrize(("count", "invalid"), [(13, range(2, 4)), (64, range(60, 60))], ids=["13", "64"])
def test_rules_on_distances(
    market: ProvedMarket, seed: bytes, rule: Rule, mu_bps: int, m_krum: int, count: int, invalid: range
) -> None:
    rnd = random.Random(seed + bytes([rule, count]))
    m_krum = min(m_krum, 5) if count == 13 else m_krum
    session, dos = started(market, rule, count, invalid, mu_bps=mu_bps, m_krum=m_krum)
    number = len(session.order)
    outputs = [compare(session, dos, products(rnd, number, 31)) for _ in range(INSTANCES)]
    assert any(outputs)


@pytest.mark.parametrize("rule", [Rule.TRUST, Rule.NONE])
@pytest.mark.parametrize("payout", Payout)
def test_scores(market: ProvedMarket, seed: bytes, rule: Rule, payout: Payout) -> None:
    if (rule, payout) == (Rule.NONE, Payout.EQUAL):
        return  # nothing is opened
    rnd = random.Random(seed + bytes([rule, payout]))
    cap = {"score_cap": 500} if payout == Payout.CONTRIBUTION else {}
    session, dos = started(market, rule, 10, range(4, 5), payout=payout, **cap)
    cases = [[rnd.randint(-low, 961) for _ in range(9)] for low in (0, 100, 961, 5000)]
    cases += [[0] * 9, [-1] * 9, [1, 0, -1] * 3, [(1 << 127) - 1] * 9, [-(1 << 127)] * 8 + [1]]
    outputs = [compare(session, dos, values) for values in cases]
    assert any(outputs) and (not all(outputs) or (rule, payout) == (Rule.NONE, Payout.EQUAL))
