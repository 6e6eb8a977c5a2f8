"""The contract and ``check_batch`` say the same of a batch; the vectors of the proofs hold on a real chain."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from contracts import loader
from omninode.chain.devchain import DevChain, DevChainError, find_anvil, start_anvil
from protocols.bn254 import fr
from protocols.bn254.field import Q, R
from protocols.zk import range_check
from protocols.zk.batch import Batch, check_batch
from protocols.zk.errors import Check, Refused
from protocols.zk.key import Key, session_hash
from protocols.zk.params import Statement, record_bytes
from protocols.zk.statement import decode_values, encode_values
from tests.integration.contract_kit import calls, connect, rpc
from tests.integration.zk_chain import Reason, call_data, gas_of, make_factory, make_verifier, reason, words
from tests.unit.bn254_kit import number
from tests.unit.zk_batch import BOUND_SQUARED, committee, drive, forged_quotient, proved, world
from tests.unit.zk_kit import CONTRACT, FULL, SMALL, load, paired_by_tau, record_of, small_key, word_of
from tests.unit.zk_vectors import key_of, parse, proof_bytes

SAMPLE = 120  # random edits of a batch, per statement
SESSION, MASK = 7, 0b101

try:
    find_anvil()
except DevChainError as error:
    pytestmark = pytest.mark.skip(reason=str(error))
else:
    pytestmark = pytest.mark.filterwarnings("default")


@dataclass(frozen=True)
class Bench:
    """A chain with a factory, and the verifiers it has made by key."""

    chain: DevChain
    w3: Web3
    factory: Any
    made: dict[bytes, Any]

    def verifier(self, key: Key) -> Any:
        """Of a key."""
        if key.digest not in self.made:
            self.made[key.digest] = make_verifier(self.w3, self.factory, key)
        return self.made[key.digest]

    def ask(
        self, verifier: Any, batches: list[Batch], market: bytes = CONTRACT, bound_squared: int = BOUND_SQUARED
    ) -> list[list[int] | Reason]:
        """What the contract says of each: the words it returns, or why it reverts."""
        asked = [call_data(verifier, market, SESSION, bound_squared, batch) for batch in batches]
        answers = calls(self.chain.url, asked)
        return [list(words(data)) if good else reason(verifier, data) for good, data in answers]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with start_anvil(block_time=None) as chain:
        w3 = connect(chain)
        yield Bench(chain, w3, make_factory(w3), {})


@cache
def honest(statement: Statement) -> Batch:
    """A batch that is right; the first and the last are accepted."""
    w = world(statement)
    if statement is Statement.NONE:
        return w.batch(MASK, (), b"")
    prover = w.alone(MASK)
    proof = proved(prover)
    return w.batch(MASK, prover.values, proof)


def error_of(refused: Refused) -> Reason:
    """The contract's error for the library's."""
    return "Bad" + "".join(part.capitalize() for part in refused.check.value.split("-")), refused.index


def library(batch: Batch, bound_squared: int = BOUND_SQUARED) -> list[int] | Reason:
    """What ``check_batch`` says, in the contract's words."""
    w = world(batch.statement)
    sess = session_hash(31337, CONTRACT, SESSION, 0, w.key.digest, bound_squared)
    try:
        checked = check_batch(w.key, sess, batch, bound_squared)
    except Refused as refused:
        return error_of(refused)
    return [*words(sess), *checked.c_agg, *words(checked.values_hash)]


@pytest.fixture
def fast_pairing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairings take 0.3 s in Python: whoever knows tau needs none."""
    monkeypatch.setattr(range_check, "paired", paired_by_tau)


# ------------------------------------------------------------------------------------------- both say the same


@pytest.mark.parametrize("statement", list(Statement))
def test_honest_batches(bench: Bench, statement: Statement) -> None:
    """With the pairing of the library; the contract's answer word by word."""
    key, batch = world(statement).key, honest(statement)
    assert bench.ask(bench.verifier(key), [batch]) == [library(batch)]
    other = replace(batch, mask=0b010)
    assert bench.ask(bench.verifier(key), [other]) == [library(other)]


def edited(data: bytes, rng: random.Random) -> bytes:
    """One word made another: by a bit, by the order of a group, by another word of the same, by zero."""
    place = 32 * rng.randrange(len(data) // 32)
    old = int.from_bytes(data[place : place + 32], "big")
    other = 32 * rng.randrange(len(data) // 32)
    new = rng.choice(
        [old ^ 1 << rng.randrange(256), old + R, old + Q, old + (1 << 160), 0, old + 1, Q - old, R - 1,
         int.from_bytes(data[other : other + 32], "big")]
    ) % (1 << 256)  # fmt: skip
    return data[:place] + new.to_bytes(32, "big") + data[place + 32 :]


@pytest.mark.parametrize("statement", list(Statement))
def test_without_padding(bench: Bench, statement: Statement) -> None:
    """As many coordinates as rows: C_P is infinity, and a committee's batch is good at both."""
    w = world(statement, params=FULL)
    assert w.key.c_p == (0, 0)
    batch = w.batch(0b111, (), b"") if statement is Statement.NONE else drive(w, committee(w)).batch
    assert batch is not None
    checked = check_batch(w.key, w.sess, batch, BOUND_SQUARED)
    (answer,) = bench.ask(bench.verifier(w.key), [batch])
    assert answer == [*words(w.sess), *checked.c_agg, *words(checked.values_hash)]


def mutated(batch: Batch, rng: random.Random) -> Batch:
    """A batch that somebody has meddled with."""
    length = record_bytes(batch.statement is not Statement.GRAM)
    parts = [batch.dos[i : i + length] for i in range(0, len(batch.dos), length)]
    a, b = rng.randrange(len(parts)), rng.randrange(len(parts))
    swapped = list(parts)
    swapped[a], swapped[b] = parts[b], parts[a]
    kinds = [
        *[lambda: replace(batch, dos=edited(batch.dos, rng))] * 6,
        lambda: replace(batch, dos=b"".join(swapped)),
        lambda: replace(batch, dos=b"".join([*parts[:a], parts[b], *parts[a + 1 :]])),
        lambda: replace(batch, dos=batch.dos[: rng.randrange(len(batch.dos))]),
        lambda: replace(batch, dos=b"".join(parts[:a] + parts[a + 1 :])),
        lambda: replace(batch, mask=rng.choice([0, 1, 7, 8, 1 << 200])),
    ]
    if batch.statement is not Statement.NONE:
        kinds += [
            *[lambda: replace(batch, proof=edited(batch.proof, rng))] * 5,
            *[lambda: replace(batch, values=edited_values(batch.values, rng))] * 2,
            lambda: replace(batch, proof=batch.proof + bytes(rng.randrange(64))),
            lambda: replace(batch, values=batch.values[: rng.randrange(len(batch.values))]),
        ]
    return rng.choice(kinds)()


def edited_values(data: bytes, rng: random.Random) -> bytes:
    """One value made another."""
    values = list(decode_values(data))
    k = rng.randrange(len(values))
    values[k] = rng.choice([values[k] + 1, -values[k], -1, BOUND_SQUARED + 1, (1 << 127) - 1, -(1 << 127)])
    return encode_values(values)


@pytest.mark.parametrize("statement", list(Statement))
@pytest.mark.usefixtures("fast_pairing")
def test_the_same_verdict_on_anything(bench: Bench, statement: Statement, seed: bytes) -> None:
    rng = random.Random(seed)
    batches = [mutated(honest(statement), rng) for _ in range(SAMPLE)]
    for bound in (BOUND_SQUARED, BOUND_SQUARED - 1):
        chosen = batches if bound == BOUND_SQUARED else batches[:10]
        said = bench.ask(bench.verifier(world(statement).key), chosen, bound_squared=bound)
        for batch, answer in zip(chosen, said, strict=True):
            assert answer == library(batch, bound)
        if bound == BOUND_SQUARED:  # a sample that only ever found one reason would show little
            assert len({answer[0] for answer in said if isinstance(answer, tuple)}) >= 4


@pytest.mark.parametrize("statement", [Statement.GRAM, Statement.SCORE])
@pytest.mark.usefixtures("fast_pairing")
def test_a_committee_that_lies(bench: Bench, statement: Statement) -> None:
    """Values off by one with proofs made for them: the identity fails, or the openings if q(z) was made to fit."""
    w = world(statement)
    said = []
    for forced in (False, True):
        prover = w.alone(MASK)

        def lie(index: int, value: Any, prover: Any = prover, forced: bool = forced) -> Any:
            if index == 0:
                return fr.add(value, fr.vector([1] + [0] * (len(value) - 1)))
            return forged_quotient(prover, value) if index == 4 and forced else value

        proof = proved(prover, lie)
        batch = w.batch(MASK, prover.values, proof)
        (answer,) = bench.ask(bench.verifier(w.key), [batch])
        assert answer == library(batch)
        said.append(answer)
    assert said == [("BadStatementIdentity", -1), ("BadPairing", -1)]


def test_one_record_alone(bench: Bench) -> None:
    for statement in (Statement.GRAM, Statement.NONE):
        w = world(statement)
        verifier, market = bench.verifier(w.key), Web3.to_checksum_address(CONTRACT)
        records = [record.encode() for record in w.owners]
        bad = [records[0][:-1], edited(records[0], random.Random(1)), records[0][:-64] + records[1][-64:]]
        asked = [
            {"to": verifier.address, "data": verifier.encode_abi("checkRecord", [market, SESSION, 0, BOUND_SQUARED, r])}
            for r in records + bad
        ]
        answers = calls(bench.chain.url, asked)
        assert [good for good, _ in answers] == [True] * len(records) + [False] * 3
        assert reason(verifier, answers[-1][1]) == ("BadPairing", -1)
        assert reason(verifier, answers[-3][1]) == ("BadShape", -1)


# ------------------------------------------------------------------------------------------- vectors


def test_vectors_of_statement_gram(bench: Bench, vectors: Path) -> None:
    data = load(vectors, "honest_K3_n5")
    key, market = key_of(data), number(data["session"]["contract"]).to_bytes(20, "big")
    assert key.digest == word_of(data["key"]["digest"])
    verifier = bench.verifier(key)
    sess, batch, bound_squared = parse(data["calldata"], key, data["session"]["contract"])
    (answer,) = bench.ask(verifier, [batch], market, bound_squared)
    assert sess == word_of(data["session"]["hash"])
    expected = [int.from_bytes(sess, "big"), *map(number, data["aggregate"]), *words(Web3.keccak(batch.values))]
    assert answer == expected
    used, size = gas_of(bench.w3, verifier, market, SESSION, bound_squared, batch)
    assert used <= 240_000 + 72_000 * 3 + 400 * 6 and size < 3000


def test_vectors_that_are_refused(bench: Bench, vectors: Path) -> None:
    data = load(vectors, "bad_verifier")
    names = {int(code): text for code, text in data["codes"].items()}
    context, key = data["context"], small_key()
    market, verifier = number(context["contract"]).to_bytes(20, "big"), bench.verifier(key)
    for case in data["cases"]:
        head = words(bytes.fromhex(case["calldata"][10:])[:96])
        _, batch, bound_squared = parse(case["calldata"], key, context["contract"])
        call = verifier.encode_abi(
            "verifyGram",
            [Web3.to_checksum_address(market), *head, batch.mask, batch.dos, batch.values, batch.proof],
        )
        ((good, thrown),) = calls(bench.chain.url, [{"to": verifier.address, "data": call}])
        expected = "Bad" + names[case["code"]].replace("gram", "statement").title().replace(" ", "")
        assert not good and reason(verifier, thrown)[0] == expected, case["name"]
        assert bound_squared == head[2]


def test_vectors_of_statement_score(bench: Bench, vectors: Path) -> None:
    """Their session hash has the digest of a key without C_p: the code gets that one in place of its own."""
    data = load(vectors, "score_K3_n5")
    context = data["session"]
    bound_squared, market = context["B2"], context["contract"].to_bytes(20, "big")
    key = small_key(SMALL, bound_squared.bit_length(), number(data["tau"]))
    verifier = make_verifier(bench.w3, bench.factory, key)
    code = bytes(bench.w3.eth.get_code(verifier.address))
    rpc(bench.w3, "anvil_setCode", verifier.address, "0x" + code.replace(key.digest, key_of(data).digest).hex())
    head = [Web3.to_checksum_address(market), context["session"], context["round"], bound_squared]
    assert verifier.functions.sessionHash(*head).call() == word_of(context["hash"])
    records = [record_of(record).encode() for record in data["records"]]
    values = encode_values(data["scores"])
    proof = proof_bytes(data["proof"])
    said = verifier.functions.verifyScore(*head, 1, b"".join(records), values, proof).call()
    accepted = record_of(data["records"][1])
    assert said == [word_of(context["hash"]), *accepted.c, bytes(Web3.keccak(values))]
    assert verifier.functions.verifyNone(*head, 1, b"".join(records[1:])).call()[1:3] == list(accepted.c)
    for record in records:
        verifier.functions.checkRecord(*head, record).call()
    wrong = encode_values([data["scores"][0] + 1, *data["scores"][1:]])
    call = verifier.encode_abi("verifyScore", [*head, 1, b"".join(records), wrong, proof])
    ((good, thrown),) = calls(bench.chain.url, [{"to": verifier.address, "data": call}])
    assert not good and reason(verifier, thrown) == ("BadStatementIdentity", -1)


def test_reasons_are_those_of_the_library() -> None:
    known = {entry["name"] for entry in loader.load("ZkVerifier").abi if entry["type"] == "error"}
    assert {error_of(Refused(check))[0] for check in Check} <= known
