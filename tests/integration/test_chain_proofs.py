"""Whole batches of certificate zk posted to the real market: honest ones decide, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from eth_hash.auto import keccak

from omninode.chain.devchain import DevChain, DevChainError, find_anvil, start_anvil
from protocols.bn254 import fr, g1
from protocols.sessions.params import REFERENCE, Payout, Rule
from protocols.zk.batch import Batch, check_batch
from protocols.zk.params import Statement
from protocols.zk.record import Record
from tests.integration.contract_kit import calls
from tests.integration.proved_kit import GAS, Matrix, ProvedMarket, Session, events, honest
from tests.integration.zk_chain import reason

try:
    find_anvil()
except DevChainError as error:
    pytestmark = pytest.mark.skip(reason=str(error))
else:
    pytestmark = pytest.mark.filterwarnings("default")

BITMAP = 60_000
"""Units paid back for a bitmap."""
KINDS = [
    (Rule.OUTLIER, Payout.EQUAL, Statement.GRAM),
    (Rule.M_KRUM, Payout.EQUAL, Statement.GRAM),
    (Rule.TRUST, Payout.CONTRIBUTION, Statement.SCORE),
    (Rule.NONE, Payout.EQUAL, Statement.NONE),
]


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with start_anvil(block_time=None) as chain:
        yield chain


@pytest.fixture(scope="module")
def market(chain: DevChain) -> ProvedMarket:
    return ProvedMarket(chain)


def updates(count: int, reference: bool) -> dict[int, Matrix]:
    """Near each other, but for the last: the opposite."""
    rng = np.random.default_rng(7)
    common = rng.integers(-4, 5, 24)
    found = {k: common + rng.integers(-1, 2, 24) for k in range(count)}
    found[count - 1] = -found[count - 1]
    return found | ({REFERENCE: common} if reference else {})


def started(
    market: ProvedMarket, rule: Rule, payout: Payout, count: int, invalid: tuple[int, ...] = (), **terms: object
) -> tuple[Session, dict[int, Matrix], dict[int, Record]]:
    usual: dict[str, object] = {"mu_bps": 4000, "m_krum": 3, "gas_price_cap": 1}
    session = market.create(rule=rule, payout=payout, groups=count, **usual | terms)
    vectors = updates(count, session.params.uses_reference)
    records = {k: session.record(k, vector) for k, vector in vectors.items()}
    session.to_batch({k: record.digest() for k, record in records.items()}, invalid)
    return session, vectors, records


def refusal(session: Session, batch: Batch, sender: str | None = None) -> str | None:
    """Name of the error with which postProof reverts; None if it would go through."""
    contract = session.on.market
    data = contract.encode_abi("postProof", [session.number, batch.dos, batch.values, batch.proof])
    call = {"from": sender or session.committee[1], "to": contract.address, "data": data, "gas": hex(GAS)}
    [(ok, thrown)] = calls(session.on.url, [call])
    return None if ok else reason(contract, thrown)[0]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(("rule", "payout", "statement"), KINDS, ids=lambda v: v.name.lower())
def test_a_whole_batch(market: ProvedMarket, rule: Rule, payout: Payout, statement: Statement) -> None:
    session, vectors, records = started(market, rule, payout, 8, invalid=(2,))
    batch, judged = honest(session, vectors, records)
    assert batch.statement is statement and judged.output
    checked = check_batch(session.key, session.sess, batch, session.params.bound**2)
    wrong = mutations(session, batch, records)
    found = {name: refusal(session, other) for name, (other, _) in wrong.items()}
    assert found == {name: error for name, (_, error) in wrong.items()}
    assert refusal(session, batch, session.on.owner) == "NotInCommittee"
    receipt = session.post(batch.dos, batch.values, batch.proof)
    told = events(session, receipt)
    accepted = sum(1 << k for k in judged.accepted)
    assert told["BatchFinal"]["accepted"] == accepted and not accepted & 1 << 2
    if rule != Rule.NONE:
        assert not accepted & 1 << 7, "the opposite update"
    aggregate = sum_of(records[k] for k in judged.accepted)
    assert (told["Proved"]["aggX"], told["Proved"]["aggY"]) == aggregate == checked.c_agg
    assert told["Proved"]["valuesHash"] == keccak(batch.values)
    assert tuple(told.get("Scored", {}).get("values", ())) == judged.scores
    assert refusal(session, batch) == "WrongPhase", "it is decided"


def sum_of(records: Any) -> tuple[int, int]:
    return g1.to_integers(g1.total(g1.from_integers([record.c for record in records])))[0]


def mutations(session: Session, batch: Batch, records: dict[int, Record]) -> dict[str, tuple[Batch, str]]:
    """What a committee member could try, and the error that it meets."""
    size = len(records[0].encode())
    first = size if batch.statement is Statement.SCORE else 0
    dos = batch.dos
    swapped = dos[:first] + dos[first + size : first + 2 * size] + dos[first : first + size] + dos[first + 2 * size :]
    invalid = dos[:first] + records[2].encode() + dos[first + size :]
    twice = dos[: first + size] + dos[first : first + size] + dos[first + 2 * size :]
    found = {
        "one left out": (replace(batch, dos=dos[:-size]), "RecordsLength"),
        "one alone": (replace(batch, dos=dos[first : first + size]), "RecordsLength"),
        "one added": (replace(batch, dos=dos + records[2].encode()), "RecordsLength"),
        "not valid": (replace(batch, dos=invalid), "NotInSet"),
        "twice": (replace(batch, dos=twice), "AlreadyDone"),
        "altered": (replace(batch, dos=flipped(dos, first + 100)), "WrongRecord"),
        "address": (replace(batch, dos=flipped(dos, first + 20)), "NotDataOwner"),
        "order": (replace(batch, dos=swapped), "BadOrder"),
    }
    if batch.statement is not Statement.NONE:
        moved = flipped(batch.values, 15)
        found |= {
            "values": (replace(batch, values=moved), "BadStatementIdentity"),
            "too few values": (replace(batch, values=batch.values[16:]), "BadShape"),
            "no values": (replace(batch, values=b""), "BadShape"),
            "no proof": (replace(batch, proof=b""), "BadShape"),
            "scalar": (replace(batch, proof=flipped(batch.proof, 128 + 31)), "BadStatementIdentity"),
            "opening": (replace(batch, proof=batch.proof[:-128] + batch.proof[-64:] * 2), "BadPairing"),
        }
    if batch.statement is Statement.SCORE:
        found["reference"] = (replace(batch, dos=flipped(dos, 100)), "WrongRecord")
        found["another's reference"] = (replace(batch, dos=dos[size : 2 * size] + dos[size:]), "NotOwner")
    return found


def test_a_batch_of_another_session(market: ProvedMarket) -> None:
    """The same updates in two sessions: what one has proved says nothing in the other."""
    (a, vectors, of_a), (b, _, of_b) = (started(market, Rule.OUTLIER, Payout.EQUAL, 5) for _ in range(2))
    batch, _ = honest(a, vectors, of_a)
    assert refusal(b, batch) == "WrongRecord"
    mixed, _ = honest(b, vectors, of_b)
    assert refusal(b, replace(mixed, values=batch.values, proof=batch.proof)) == "BadStatementIdentity"
    assert refusal(b, mixed) is None and refusal(a, batch) is None


def test_records_that_prove_nothing(market: ProvedMarket) -> None:
    """A committee that votes for a bad record has no batch: the contract looks at every one."""
    session = market.create(rule=Rule.NONE, groups=4)
    vectors = updates(4, reference=False)
    records = {k: session.record(k, vector) for k, vector in vectors.items()}
    good = records[1]
    records[1] = replace(good, c=g1.to_integers(g1.multiply(g1.from_integers([good.c]), fr.vector([2])))[0])
    session.to_batch({k: record.digest() for k, record in records.items()})
    batch, _ = honest(session, vectors, records)
    assert refusal(session, batch) == "BadRangeIdentity"


def test_too_few_valid(market: ProvedMarket) -> None:
    """Nothing to prove: the committee is paid, the owner refunded."""
    session, _, _ = started(market, Rule.OUTLIER, Payout.EQUAL, 5, invalid=(0, 1, 2))
    told = events(session, session.post(b"", b"", b""))
    assert told["SessionAborted"]["reason"] == "no output" and "Proved" not in told


def paid_back(session: Session, vectors: dict[int, Matrix], records: dict[int, Record]) -> tuple[int, int]:
    """(gas of the batch, gas units that its poster is credited), at 1 wei per unit."""
    batch, _ = honest(session, vectors, records)
    who, call = session.committee[3], session.on.call
    spent = session.post(batch.dos, batch.values, batch.proof, 3)["gasUsed"]
    session.on.act(session.on.owner, call.acknowledge(session.number))
    units = call.owed(session.number, who).call() - session.params.prover_fee - 2 * BITMAP
    print(session.params.rule.name, session.registered, spent, units)
    return spent, units


def test_gas_is_paid_back(market: ProvedMarket) -> None:
    """About what was spent, for each statement."""
    for rule, payout, statement in KINDS:
        spent, units = paid_back(*started(market, rule, payout, 16))
        assert abs(units - spent) < spent // 8, (rule, statement, units, spent)


@pytest.mark.parametrize("rule", [Rule.OUTLIER, Rule.MULTI_KRUM, Rule.M_KRUM])
def test_gas_of_the_largest_batch(market: ProvedMarket, rule: Rule) -> None:
    """64 data owners, and as many picks as there can be: one transaction holds it, and its poster loses nothing."""
    spent, units = paid_back(*started(market, rule, Payout.EQUAL, 64, mu_bps=0, m_krum=62))
    assert spent <= units < 1.05 * spent
    assert spent < GAS, "a transaction holds no more (EIP-7825)"
