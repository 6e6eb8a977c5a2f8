"""The payouts that the contract computes from posted scores are those of protocols/selection/scores.py."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from web3 import Web3

from contracts import loader
from omninode.chain.devchain import DevChain, DevChainError, find_anvil, start_anvil
from omninode.chain.wallet import Wallet
from protocols.selection import scores
from protocols.sessions.params import REFERENCE, Mode, Payout, Rule
from protocols.wire import eip712
from protocols.wire.context import Context

ETHER = 10**18
OWNERS, COMMITTEE = 12, 5
INSTANCES = 12
TERMS = [  # reward, cap, rule
    (ETHER, 1000, Rule.OUTLIER),
    (1, 1, Rule.MULTI_KRUM),
    (10**24 + 7, (1 << 127) - 1, Rule.M_KRUM),
    (123_456_789, 1 << 60, Rule.TRUST),
]

try:
    find_anvil()
except DevChainError as error:
    pytestmark = pytest.mark.skip(reason=str(error))
else:
    pytestmark = pytest.mark.filterwarnings("default")


@dataclass
class Judge:
    """A market whose sessions are walked up to the batch. Anybody's transactions are accepted unsigned."""

    w3: Web3
    market: Any
    provers: dict[str, Wallet]

    def act(self, who: str, call: Any, value: int = 0) -> None:
        receipt = self.w3.eth.wait_for_transaction_receipt(
            call.transact({"from": who, "value": value, "gas": 10_000_000}), timeout=20
        )
        assert receipt["status"] == 1

    def poke(self, session: int) -> None:
        rpc(self.w3, "anvil_mine", 1)
        self.act(self.w3.eth.accounts[0], self.market.functions.poke(session))

    def to_batch(self, reward: int, cap: int, rule: Rule) -> int:
        """A new session with 12 valid data owners and a valid reference, in phase Batch."""
        call, owner = self.market.functions, self.w3.eth.accounts[0]
        terms = (
            b"\1" * 32, b"\2" * 32, bytes(32), reward, 0, 0, cap, 0, 65536, 100, 1, OWNERS, 2500,
            4 if rule == Rule.M_KRUM else 0, 3, 15, 20, 25, Mode.VERIFIED, 16, COMMITTEE, 1, rule, Payout.CONTRIBUTION,
            False, bytes(32),
        )  # fmt: skip
        self.act(owner, call.createSession(terms), reward)
        session = int(call.sessionCount().call())
        self.poke(session)
        committee = call.committeeOf(session).call()
        self.act(owner, call.commitReference(session, b"\3" * 32))
        people = [funded(self.w3, Wallet(bytes([0x40 + k]) * 32)) for k in range(OWNERS)]
        for who in people:
            self.act(who, call.register(session, b"\4" * 32, b"\5" * 32, []))
        for who in people:
            self.act(who, call.commitUpload(session, b"\6" * 32))
        everything = (1 << OWNERS) - 1 | 1 << REFERENCE
        for kind in (1, 2):
            for prover in committee:
                self.act(prover, call.postBitmap(session, kind, everything))
            if kind == 1:
                self.poke(session)
        return session

    def payouts(self, session: int, accepted: int, values: Sequence[int]) -> list[int] | None:
        """What the contract pays for this batch by registration index; None: no output. The chain forgets it again."""
        call, before = self.market.functions, rpc(self.w3, "evm_snapshot")
        context = Context(self.w3.eth.chain_id, bytes.fromhex(self.market.address[2:]), session)
        digest = eip712.batch_digest(context, (1 << OWNERS) - 1 | 1 << REFERENCE, accepted, values, b"\7" * 32)
        committee = call.committeeOf(session).call()
        signatures = [self.provers[prover].sign_digest(digest) for prover in committee[: COMMITTEE - 1]]
        owner = self.w3.eth.accounts[0]
        self.act(owner, call.postBatch(session, accepted, values, b"\7" * 32, (1 << COMMITTEE - 1) - 1, signatures))
        paid = None
        if call.sessionView(session).call()[1] != 14:  # Aborted
            self.act(owner, call.acknowledge(session))
            paid = [call.payoutOf(session, index).call() for index in range(OWNERS)]
        assert rpc(self.w3, "evm_revert", before)
        return paid


def rpc(w3: Web3, method: str, *args: object) -> Any:
    answer = w3.provider.make_request(method, list(args))  # type: ignore[arg-type]
    assert "error" not in answer, answer
    return answer["result"]


def funded(w3: Web3, wallet: Wallet) -> str:
    address = Web3.to_checksum_address(wallet.address)
    rpc(w3, "anvil_setBalance", address, hex(10 * ETHER))
    return address


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with start_anvil(block_time=None) as chain:
        yield chain


@pytest.fixture(scope="module")
def judge(chain: DevChain) -> Judge:
    w3 = Web3(Web3.HTTPProvider(chain.url, request_kwargs={"timeout": 20}))
    rpc(w3, "anvil_autoImpersonateAccount", True)
    rpc(w3, "anvil_setBalance", w3.eth.accounts[0], hex(1 << 100))
    libraries = {name: _deploy(w3, name).address for name in loader.LIBRARIES}
    registry = _deploy(w3, "ProverRegistry", ETHER, 100)
    result = Judge(w3, _deploy(w3, "DataMarket", registry.address, "0x" + "00" * 20, libraries=libraries), {})
    result.act(w3.eth.accounts[0], registry.functions.setMarket(result.market.address))
    for number in range(COMMITTEE):
        wallet = Wallet(bytes([0x10 + number]) * 32)
        result.provers[funded(w3, wallet)] = wallet
        result.act(Web3.to_checksum_address(wallet.address), registry.functions.register(b"\1" * 32, b"\2" * 32), ETHER)
    return result


def _deploy(w3: Web3, name: str, *args: object, libraries: dict[str, str] | None = None) -> Any:
    artifact = loader.load(name)
    factory = w3.eth.contract(abi=artifact.abi, bytecode=loader.link(artifact, libraries or {}))
    transaction = factory.constructor(*args).transact({"from": w3.eth.accounts[0]})
    receipt = w3.eth.wait_for_transaction_receipt(transaction, timeout=20)
    return w3.eth.contract(receipt["contractAddress"], abi=artifact.abi)


def instance(rnd: random.Random, rule: Rule) -> tuple[list[int], list[int], list[int]]:
    """Accepted indices, their scores and copies: zeros, ties, small and largest numbers."""
    accepted = sorted(rnd.sample(range(OWNERS), rnd.randint(3, OWNERS)))
    kind = rnd.randrange(4)
    phi = [rnd.choice([(0, 1, 5), (0,), (rnd.randrange(1 << 62), 1), ((1 << 127) - 1, 7)][kind]) for _ in accepted]
    most = len(accepted) if rule in (Rule.OUTLIER, Rule.MULTI_KRUM, Rule.M_KRUM) else 1
    return accepted, phi, [rnd.randint(1, most) for _ in accepted]


@pytest.mark.parametrize(("reward", "cap", "rule"), TERMS, ids=[rule.name for *_, rule in TERMS])
def test_random_scores(judge: Judge, seed: bytes, reward: int, cap: int, rule: Rule) -> None:
    rnd = random.Random(seed)
    session = judge.to_batch(reward, cap, rule)
    for number in range(INSTANCES):
        accepted, phi, copies = case = instance(rnd, rule)
        values = [p | c << 128 for p, c in zip(phi, copies, strict=True)]
        on_chain = judge.payouts(session, sum(1 << k for k in accepted), values)
        expected = scores.payouts(reward, scores.weights(phi, copies, cap))
        if expected is not None:
            by_index = dict(zip(accepted, expected, strict=True))
            expected = [by_index.get(k, 0) for k in range(OWNERS)]
        assert on_chain == expected, f"seed {seed.hex()}, instance {number}: {case}"
