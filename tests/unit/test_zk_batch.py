"""Whole batches: what is refused and why, whatever committee and data owners do together."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from protocols.bn254 import fr, g1, poly
from protocols.bn254.field import Q, R
from protocols.zk import committee, range_check
from protocols.zk.alone import committee_of_one, prove_alone
from protocols.zk.batch import Batch, check_batch, make_batch, statement_terms
from protocols.zk.decode import Table
from protocols.zk.errors import Check, Refused
from protocols.zk.key import Key, session_hash
from protocols.zk.params import NB_G, Statement
from protocols.zk.record import BYTES
from protocols.zk.running import Column
from protocols.zk.statement import Claim, decode_values, encode_values, read_proof
from tests.unit.zk_batch import BOUND_SQUARED, World, forged_quotient, proved, world
from tests.unit.zk_kit import TAU, Forger, load, plus, scalars, small_key, times
from tests.unit.zk_vectors import parse

CODES = {check: code for code, check in enumerate(
    [Check.SHAPE, Check.ORDER, Check.NORM, Check.SCALAR, Check.RANGE_IDENTITY, Check.STATEMENT_IDENTITY, Check.POINT,
     Check.PAIRING], 1)}  # fmt: skip
"""The vectors' numbers."""


@cache
def honest(statement: Statement = Statement.GRAM) -> Batch:
    """A batch that is right; the first and the last are accepted."""
    w = world(statement)
    if statement is Statement.NONE:
        return w.batch(0b101, (), b"")
    prover = w.alone(0b101)
    proof = proved(prover)
    return w.batch(0b101, prover.values, proof)


def check(batch: Batch, sess: bytes | None = None, bound_squared: int = BOUND_SQUARED) -> None:
    w = world(batch.statement)
    check_batch(w.key, sess or w.sess, batch, bound_squared)


def refused(batch: Batch, sess: bytes | None = None, bound_squared: int = BOUND_SQUARED) -> tuple[Check, int]:
    with pytest.raises(Refused) as error:
        check(batch, sess, bound_squared)
    return error.value.check, error.value.index


def with_records(batch: Batch, order: list[int]) -> Batch:
    parts = [batch.dos[i : i + BYTES] for i in range(0, len(batch.dos), BYTES)]
    return replace(batch, dos=b"".join(parts[k] for k in order))


def test_the_vectors(vectors: Path) -> None:
    data = load(vectors, "bad_verifier")
    seen_codes = set()
    for case in data["cases"]:
        if case["code"] == 9:
            continue  # a second submission: the market's business, the check stores nothing
        sess, batch, bound_squared = parse(case["calldata"], small_key(), data["context"]["contract"])
        with pytest.raises(Refused) as error:
            check_batch(small_key(), sess, batch, bound_squared)
        assert CODES[error.value.check] == case["code"], case["name"]
        seen_codes.add(case["code"])
    assert seen_codes >= {1, 2, 3, 4, 5, 6, 8}


@pytest.mark.parametrize("statement", list(Statement))
def test_honest(statement: Statement) -> None:
    w, batch = world(statement), honest(statement)
    checked = check_batch(w.key, w.sess, batch, BOUND_SQUARED)
    assert checked.records == tuple(w.owners) and checked.values == decode_values(batch.values)
    assert checked.reference == w.records.get(-1)
    assert checked.c_agg == plus(w.records[0].c, w.records[2].c)
    assert checked.values_hash == keccak(batch.values) and checked.mask == 0b101


@pytest.mark.parametrize("statement", list(Statement))
@pytest.mark.parametrize("mask", [0, 0b111])
def test_other_masks(statement: Statement, mask: int) -> None:
    w = world(statement)
    if statement is Statement.NONE:
        batch = w.batch(mask, (), b"")
    else:
        prover = w.alone(mask)
        proof = proved(prover)
        batch = w.batch(mask, prover.values, proof)
    expected = [w.records[k].c for k in range(3)] if mask else []
    total = g1.to_integers(g1.total(g1.from_integers(expected) if expected else g1.infinities(1)))[0]
    assert check_batch(w.key, w.sess, batch, BOUND_SQUARED).c_agg == total


@pytest.mark.parametrize(
    ("deltas", "forced"),
    [
        ((1, 0, 0), False),
        ((0, 1, 0), False),
        ((1, -1, 0), False),
        ((0, 2, -1), False),
        ((0, 1, 0), True),
        ((-5, 0, 7), True),
    ],
)
def test_wrong_values(deltas: tuple[int, int, int], forced: bool) -> None:
    """Diagonal, off the diagonal, compensating, with a proof made for them; q(z) as it is, or as the identity wants."""
    w = world(Statement.GRAM)
    prover = w.alone(0b101)

    def lie(index: int, value: Table) -> Table:
        if index == 0:
            return fr.add(value, fr.vector([*deltas, 0, 0, 0]))
        return forged_quotient(prover, value) if index == 4 and forced else value

    proof = proved(prover, lie)
    expected = Check.PAIRING if forced else Check.STATEMENT_IDENTITY
    assert refused(w.batch(0b101, prover.values, proof)) == (expected, -1)


@pytest.mark.parametrize("values", [(1, 0, 0), (0, 1, 0)])
def test_values_changed_after_the_proof(values: tuple[int, ...]) -> None:
    batch = honest()
    changed = [v + d for v, d in zip(decode_values(batch.values), (*values, 0, 0, 0), strict=True)]
    assert refused(replace(batch, values=encode_values(changed))) == (Check.STATEMENT_IDENTITY, -1)


def test_norms() -> None:
    """Only accepted norms are compared, with the bound itself allowed, and negative ones are none."""
    w = world(Statement.GRAM)
    norms = [decode_values(honest().values)[k * (k + 3) // 2] for k in range(3)]
    largest = int(np.argmax(norms))
    for bound, good in ((norms[largest], True), (norms[largest] - 1, False)):
        v = world(Statement.GRAM, 3, 7, bound)
        for mask, right in ((0b111, good), (0b111 ^ 1 << largest, True)):
            prover = v.alone(mask)
            proof = proved(prover)
            batch = v.batch(mask, prover.values, proof)
            if right:
                check_batch(v.key, v.sess, batch, bound)
            else:
                assert refused(batch, v.sess, bound) == (Check.NORM, largest)
    prover = w.alone(1)
    proof = proved(prover, lambda i, v: fr.sub(v, fr.vector([norms[0] + 1, 0, 0, 0, 0, 0])) if i == 0 else v)
    assert refused(w.batch(1, prover.values, proof)) == (Check.NORM, 0)


def test_commitments_swapped() -> None:
    w = world(Statement.GRAM)
    one, two = w.records[0], w.records[1]
    owners = [replace(one, c=two.c), replace(two, c=one.c), w.records[2]]
    batch = make_batch(Statement.GRAM, owners, 0b101, decode_values(honest().values), honest().proof)
    assert refused(batch) == (Check.RANGE_IDENTITY, 0)


def test_order_number_and_identity_of_records() -> None:
    batch = honest()
    assert refused(with_records(batch, [0, 2, 1])) == (Check.ORDER, 2)
    assert refused(with_records(batch, [0, 0, 2])) == (Check.ORDER, 1)
    assert refused(with_records(batch, [0, 2])) == (Check.SHAPE, -1)
    assert refused(with_records(batch, [0, 1, 2, 2])) == (Check.SHAPE, -1)
    long = (1 << 160).to_bytes(32, "big") + batch.dos[32:]
    assert refused(replace(batch, dos=long)) == (Check.ORDER, 0)
    moved = batch.dos[: 2 * BYTES] + (0x5000).to_bytes(32, "big") + batch.dos[2 * BYTES + 32 :]
    assert refused(replace(batch, dos=moved)) == (Check.RANGE_IDENTITY, 2)


def test_shapes() -> None:
    batch = honest()
    for bad in (
        replace(batch, dos=batch.dos[:-1]),
        replace(batch, dos=b""),
        replace(batch, values=batch.values[:-16]),
        replace(batch, values=batch.values[:-1]),
        replace(batch, proof=batch.proof + bytes(32)),
        replace(batch, proof=b""),
        replace(batch, mask=0b1000),
        Batch(Statement.GRAM, batch.dos * 22, 0, bytes(16 * 66 * 67 // 2), batch.proof),
    ):
        assert refused(bad) == (Check.SHAPE, -1)
    none = honest(Statement.NONE)
    assert refused(replace(none, proof=bytes(32))) == (Check.SHAPE, -1)
    assert refused(replace(none, values=bytes(16))) == (Check.SHAPE, -1)
    assert refused(none, bound_squared=2 * BOUND_SQUARED)[0] is Check.SHAPE  # not of the key's number of bits
    with pytest.raises(ValueError, match="key"):
        check_batch(world(Statement.NONE).key, bytes(32), batch, BOUND_SQUARED)


def test_an_accepted_set_that_was_not_proved() -> None:
    assert refused(replace(honest(), mask=0b111)) == (Check.STATEMENT_IDENTITY, -1)
    assert refused(replace(honest(), mask=0b001)) == (Check.STATEMENT_IDENTITY, -1)


@pytest.mark.parametrize("statement", list(Statement))
def test_replay(statement: Statement) -> None:
    """Session, round, bound, chain and contract are all in ``sess``: any other one is refused at the first record."""
    w, batch = world(statement), honest(statement)
    contract, digest = bytes(range(1, 21)), w.key.digest
    assert session_hash(31337, contract, 7, 0, digest, BOUND_SQUARED) == w.sess
    for other in (
        session_hash(1, contract, 7, 0, digest, BOUND_SQUARED),
        session_hash(31337, bytes(20), 7, 0, digest, BOUND_SQUARED),
        session_hash(31337, contract, 8, 0, digest, BOUND_SQUARED),
        session_hash(31337, contract, 7, 1, digest, BOUND_SQUARED),
        session_hash(31337, contract, 7, 0, bytes(32), BOUND_SQUARED),
        session_hash(31337, contract, 7, 0, digest, BOUND_SQUARED - 1),
    ):
        assert refused(batch, other) == (Check.RANGE_IDENTITY, 0)


def test_a_proof_for_other_records_of_the_same_session() -> None:
    """Records made anew have other commitments; the committee's proof is for the ones it was made for."""
    w = world(Statement.GRAM)
    other = Forger(w.key, w.sess, fr.to_signed(w.vectors[0][:24]).tolist(), w.records[0].address).record()
    batch = make_batch(Statement.GRAM, [other, *w.owners[1:]], 0b101, decode_values(honest().values), honest().proof)
    assert refused(batch) == (Check.STATEMENT_IDENTITY, -1)


def test_openings_moved_in_opposite_directions() -> None:
    """rho: what one record's W gains another's loses, the committee's proof made anew for them."""
    w = world(Statement.GRAM)
    zs = [range_check.challenges(w.key, w.sess, w.records[k]).z for k in (0, 1)]
    one = replace(w.records[0], w=plus(w.records[0].w, times(5)))
    two = replace(w.records[1], w=plus(w.records[1].w, times(-5)))
    assert zs == [range_check.challenges(w.key, w.sess, r).z for r in (one, two)]
    moved = World(w.statement, w.key, w.sess, w.vectors, {**w.records, 0: one, 1: two})
    prover = moved.alone()
    proof = proved(prover)
    assert refused(moved.batch(0b111, prover.values, proof)) == (Check.PAIRING, -1)


@pytest.mark.parametrize("statement", list(Statement))
def test_every_word_with_one_bit_flipped(statement: Statement, rng: np.random.Generator) -> None:
    batch = honest(statement)
    for name in ("dos", "values", "proof"):
        data = getattr(batch, name)
        for start in range(0, len(data), 32):
            flipped = bytearray(data)
            flipped[start + rng.integers(min(32, len(data) - start))] ^= 1 << int(rng.integers(8))
            refused(replace(batch, **{name: bytes(flipped)}))


@given(st.data())
def test_garbage_is_refused_and_nothing_else_is_raised(data: st.DataObject) -> None:
    statement = data.draw(st.sampled_from(list(Statement)))
    batch = honest(statement)
    name = data.draw(st.sampled_from(["dos"] if statement is Statement.NONE else ["dos", "values", "proof"]))
    old = getattr(batch, name)
    if data.draw(st.booleans()):
        new = data.draw(st.binary(max_size=2 * BYTES))
    else:
        start = 32 * data.draw(st.integers(0, (len(old) - 1) // 32))
        extreme = data.draw(st.sampled_from([0, 1, R - 1, R, Q - 1, Q, 2**256 - 1]))
        new = old[:start] + extreme.to_bytes(32, "big")[: len(old) - start] + old[start + 32 :]
    if new != old:
        refused(replace(batch, **{name: new}))


def test_points_and_scalars_that_are_not_canonical() -> None:
    w, batch = world(Statement.GRAM), honest()
    raised = replace(w.records[2], w2=(w.records[2].w2[0] + Q, w.records[2].w2[1]))
    moved = World(w.statement, w.key, w.sess, w.vectors, {**w.records, 2: raised})
    prover = moved.alone(0b101)
    proof = proved(prover)
    assert refused(moved.batch(0b101, prover.values, proof)) == (Check.POINT, 2)
    proof = read_proof(batch.proof, Statement.GRAM)
    bad = replace(proof, w2=(1, 1))
    assert refused(replace(batch, proof=bad.encode())) == (Check.POINT, -1)
    bad = replace(proof, evaluations=(proof.evaluations[0] + R, *proof.evaluations[1:]))
    assert refused(replace(batch, proof=bad.encode())) == (Check.SCALAR, -1)
    record = w.records[1]
    high = replace(record, evaluations=(*record.evaluations[:3], record.evaluations[3] + R, *record.evaluations[4:]))
    owners = [w.records[0], high, w.records[2]]
    assert refused(make_batch(Statement.GRAM, owners, 0b101, decode_values(batch.values), batch.proof)) == (
        Check.SCALAR,
        1,
    )


@pytest.mark.parametrize("index", [1, 2, 3, 4, 5])
def test_a_committee_that_steers_an_opened_value(index: int) -> None:
    """All of it together, with everything after the value made to fit."""
    w = world(Statement.GRAM)
    prover = w.alone(0b101)

    def lie(i: int, value: Table) -> Table:
        if i != index:
            return value
        return (
            g1.add(value, g1.from_integers([g1.GENERATOR] * len(value))) if value.shape[1] == 8 else fr.shift(value, 1)
        )

    proof = proved(prover, lie)
    assert refused(w.batch(0b101, prover.values, proof))[0] in (Check.STATEMENT_IDENTITY, Check.PAIRING)


def forged_world(rows: list[list[int]], w: World) -> World:
    """Data owners with any elements on all of H, whose range proofs are as good as they can be."""
    vectors, records = {}, {}
    for k, row in enumerate(rows):
        forger = Forger(w.key, w.sess, row, 0x2000 + k, blinders={"g": scalars(f"forged {k}", NB_G)}, force=True)
        records[k] = forger.record()
        vectors[k] = np.concatenate([fr.vector(forger.rows), fr.vector(forger.blinders["g"])])
    return World(w.statement, w.key, w.sess, vectors, records)


def committee_proof(w: World, sess: bytes, values: list[int] | None = None) -> tuple[Claim, bytes]:
    """The proof of vectors that are any elements on all of H: the dimension is N for the prover, not for the key."""
    wide = all_rows(w)
    prover = committee_of_one(
        wide, sess, w.everyone, [w.vectors[k] for k in range(w.count)], bytes(32), lambda _: (1 << w.count) - 1
    )
    proof = proved(prover, lambda i, v: fr.vector(values) if i == 0 and values is not None else v)
    return prover.claim, proof


def all_rows(w: World) -> Key:
    """The key for a prover that takes N rows as coordinates; its polynomials, P above all, stay."""
    return replace(w.key, params=replace(w.key.params, dimension=w.key.params.size))


def statement_alone(w: World, claim: Claim, proof: bytes) -> None:
    """The committee's proof without the records' own: Refused if it does not hold."""
    left, right, _ = statement_terms(w.key, claim, read_proof(proof, claim.statement), w.owners)
    if not range_check.paired(w.key, range_check.add_up(left), range_check.add_up(right)):
        raise Refused(Check.PAIRING)


def test_the_matrix_alone_accepts_a_wrapped_vector() -> None:
    """x^2 + y^2 = 1 mod r: norm one for the committee's proof. The range proof is what refuses it."""
    y = next(c for x in range(2, 50) if (c := root(1 - x * x)) is not None)
    x = root(1 - y * y)
    assert x is not None and min(x, R - x) ** 2 + min(y, R - y) ** 2 > 40**2
    w = forged_world([[x, y], [0, 0, 1, 2]], world(Statement.GRAM))
    claim, proof = committee_proof(w, w.sess)
    assert claim.values[0] == 1
    statement_alone(w, claim, proof)
    assert refused(w.batch(0b11, claim.values, proof)) == (Check.PAIRING, -1)


def root(square: int) -> int | None:
    """A square root in Fr, if there is one (Tonelli and Shanks)."""
    square %= R
    if pow(square, (R - 1) // 2, R) != 1:
        return None
    odd, s = R - 1, 0
    while odd % 2 == 0:
        odd, s = odd // 2, s + 1
    c, t, x = pow(5, odd, R), pow(square, odd, R), pow(square, (odd + 1) // 2, R)
    while t != 1:
        i, power = 0, t
        while power != 1:
            power, i = power * power % R, i + 1
        b = pow(c, 1 << s - i - 1, R)
        s, c = i, b * b % R
        t, x = t * c % R, x * b % R
    return x


PADDED = [[1, 2] + [0] * 22 + [1, -1], [3, 1]]
"""Padding of sum zero."""


def test_padding_of_sum_zero() -> None:
    w = forged_world(PADDED, world(Statement.GRAM))
    claim, proof = committee_proof(w, w.sess)
    assert claim.values[0] == 7
    with pytest.raises(Refused) as error:
        statement_alone(w, claim, proof)
    assert error.value.check is Check.STATEMENT_IDENTITY


def test_a_challenge_before_the_running_sum_accepts_bad_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """beta must follow C_S: a running sum made for beta takes P A in, of which only the sum would be forced to zero."""
    w = forged_world(PADDED, world(Statement.GRAM))
    key = all_rows(w)

    def absorbing(k: Key, a: Column, b: Column, c: int, tail: Table) -> Column:
        """S(wX) - S(X) = A^2 - c - beta P A, with the beta that the transcript would give before C_S."""
        padding = fr.vector([0] * 24 + [1] * 40)
        steps = fr.sub(fr.mul(a.rows, b.rows), fr.scale(early, fr.mul(padding, a.rows)))
        sums = fr.prefix_sums(fr.shift(steps, -c))
        assert not sums[-1].any()
        rows = np.concatenate([fr.zeros(1), sums[:-1]])
        return Column(rows, poly.interpolate(rows), tail)

    prover = committee_of_one(key, w.sess, w.everyone, [w.vectors[0], w.vectors[1]], bytes(32), lambda _: 0b11)
    prover.accept(0, prover.steps[0].read(prover.message(0)))
    early = prover.claim.transcript().challenge
    monkeypatch.setattr(committee, "running_sum", absorbing)
    prover.accept(1, prover.steps[1].read(prover.message(1)))
    right_beta, prover._beta = prover._beta, early
    for index in range(2, 6):
        prover.accept(index, prover.steps[index].read(prover.message(index)))
    proof = read_proof(prover.proof(), Statement.GRAM)
    a, s, s_next, q, p = proof.evaluations
    z = prover._z
    total = s_next - s - a * a + prover._c - q * (pow(z, 64, R) - 1)
    assert (total + early * p * a) % R == 0  # the identity of a careless verifier
    assert (total + right_beta * p * a) % R != 0
    with pytest.raises(Refused):
        statement_alone(w, prover.claim, prover.proof())


def test_prove_alone() -> None:
    w = world(Statement.GRAM)
    done = prove_alone(w.key, w.sess, w.everyone, [w.vectors[k] for k in range(3)], bytes(32), lambda v: len(v) - 5)
    assert done.claim.mask == 1
    check(w.batch(1, done.claim.values, done.proof))


def test_one_record_and_the_most() -> None:
    w = world(Statement.GRAM, 1)
    prover = w.alone()
    proof = proved(prover)
    assert check_batch(w.key, w.sess, w.batch(1, prover.values, proof), BOUND_SQUARED).c_agg == w.records[0].c


def test_claims_of_the_wrong_shape() -> None:
    w = world(Statement.GRAM)
    for make in (
        lambda: Claim(Statement.GRAM, w.sess, tuple(w.everyone), None, (1,), 0),
        lambda: Claim(Statement.GRAM, w.sess, tuple(w.everyone), None, (0,) * 6, 8),
        lambda: Claim(Statement.SCORE, w.sess, tuple(w.everyone), None, (0,) * 3, 0),
        lambda: Claim(Statement.NONE, w.sess, tuple(w.everyone), w.everyone[0], (), 0),
    ):
        with pytest.raises(ValueError):
            make()


def test_values_travel_as_two_s_complement() -> None:
    values = (0, -1, 5, (1 << 127) - 1, -(1 << 127))
    assert decode_values(encode_values(values)) == values
    for bad in (1 << 127, -(1 << 127) - 1):
        with pytest.raises(Refused):
            encode_values([bad])
    with pytest.raises(Refused):
        decode_values(bytes(17))


def test_whoever_knows_tau_forges_everything() -> None:
    """The soundness of the reference string is all there is: with tau, openings of false values verify."""
    w = world(Statement.GRAM)
    prover = w.alone(0b101)

    def lie(index: int, value: Table) -> Table:
        if index == 0:
            return fr.add(value, fr.vector([1, 0, 0, 0, 0, 0]))
        return forged_quotient(prover, value) if index == 4 else value

    proof = read_proof(proved(prover, lie), Statement.GRAM)
    gamma, z = prover._gamma, prover._z
    off = proof.evaluations[3] - poly.evaluate(prover._masked_q, z)
    forged = replace(proof, w=plus(proof.w, times(-off * gamma**2 * pow(TAU - z, -1, R))))
    check(w.batch(0b101, prover.values, forged.encode()))
