"""The statement SCORE: inner products with the reference are public and proved, norms stay hidden."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from protocols.bn254 import fr, g1
from protocols.zk.batch import Batch, check_batch, make_batch
from protocols.zk.committee import REFERENCE
from protocols.zk.decode import Table
from protocols.zk.errors import Check, Refused
from protocols.zk.params import Statement
from protocols.zk.record import BYTES_NORMS
from protocols.zk.statement import decode_values, encode_values, read_proof
from tests.unit.bn254_kit import number
from tests.unit.zk_batch import BOUND_SQUARED, World, committee, drive, forged_quotient, honest_run, proved, world
from tests.unit.zk_kit import SMALL, load, plus, record_of, small_key, times, word_of
from tests.unit.zk_vectors import proof_bytes, score_committee

STEPS = range(6)


def score() -> World:
    return world(Statement.SCORE)


@cache
def honest() -> Batch:
    w = score()
    prover = w.alone()
    proof = proved(prover)
    return w.batch(0b111, prover.values, proof)


def refused(batch: Batch, bound_squared: int = BOUND_SQUARED) -> tuple[Check, int]:
    w = score()
    with pytest.raises(Refused) as error:
        check_batch(w.key, w.sess, batch, bound_squared)
    return error.value.check, error.value.index


def changed(message: Table) -> Table:
    if message.shape[1] == 8:
        return g1.add(message, g1.from_integers([g1.GENERATOR] * len(message)))
    return fr.shift(message, 1)


def test_the_vectors(vectors: Path) -> None:
    data = load(vectors, "score_K3_n5")
    provers = score_committee(data)
    for index, step in enumerate(provers[1].steps):
        decoded = step.decode({j: step.read(p.message(index)) for j, p in provers.items()}, step.need(5, 1))
        assert decoded is not None and decoded.liars == ()
        for p in provers.values():
            p.accept(index, decoded.values)
    assert [p.values for p in provers.values()] == [tuple(data["scores"])] * 5
    assert {p.proof() for p in provers.values()} == {proof_bytes(data["proof"])}
    f, *records = [record_of(record) for record in data["records"]]
    bound_squared = data["session"]["B2"]
    key = small_key(SMALL, bound_squared.bit_length(), number(data["tau"]))
    batch = make_batch(Statement.SCORE, records, 0b001, data["scores"], provers[1].proof(), f)
    checked = check_batch(key, word_of(data["session"]["hash"]), batch, bound_squared)
    assert checked.c_agg == records[0].c and checked.reference == f and checked.values == tuple(data["scores"])
    assert len(batch.proof) == 448 and len(batch.dos) == 4 * BYTES_NORMS


def test_a_committee_proves_the_scores() -> None:
    w = score()
    run = drive(w, committee(w))
    assert run.batch is not None and run.liars == [()] * 6
    checked = check_batch(w.key, w.sess, run.batch, BOUND_SQUARED)
    rows = {k: fr.to_signed(v[:24]) for k, v in w.vectors.items()}
    assert checked.values == tuple(int(rows[k] @ rows[REFERENCE]) for k in range(3))
    assert min(checked.values) < 0 < max(checked.values)


@pytest.mark.parametrize("mask", [0, 0b010, 0b111])
def test_the_accepted_set_is_the_contract_s_and_not_in_the_proof(mask: int) -> None:
    w = score()
    checked = check_batch(w.key, w.sess, replace(honest(), mask=mask), BOUND_SQUARED)
    assert checked.c_agg == {0: g1.INFINITY, 2: w.records[1].c}.get(
        mask, plus(plus(w.records[0].c, w.records[1].c), w.records[2].c)
    )


@pytest.mark.parametrize("index", STEPS)
@pytest.mark.parametrize("liar", [2, 5])
def test_a_liar_at_each_opening(index: int, liar: int) -> None:
    w = score()
    run = drive(w, committee(w), tamper=lambda i, j, m: changed(m) if (i, j) == (index, liar) else m)
    assert run.liars == [(liar,) if i == index else () for i in STEPS]
    assert run.batch == honest_run(w.statement).batch


def test_a_prover_on_altered_shares() -> None:
    w = score()
    run = drive(w, committee(w, altered=4))
    assert run.liars == [(4,)] * 6 and run.batch == honest_run(w.statement).batch


def test_two_liars_and_a_gap() -> None:
    w = score()
    for index in STEPS:
        run = drive(w, committee(w), tamper=lambda i, j, m, at=index: changed(m) if i == at and j in (1, 2) else m)
        assert run.batch is None and len(run.liars) == index
    late = drive(w, committee(w), tamper=lambda i, j, m: None if j == 1 else changed(m) if (i, j) == (0, 3) else m)
    assert late.batch is None and late.liars == []
    silent = drive(w, committee(w), tamper=lambda i, j, m: None if j == 1 else m)
    assert silent.batch == honest_run(w.statement).batch


@pytest.mark.parametrize(
    ("deltas", "forced"),
    [((1, 0, 0), False), ((0, 0, -1), False), ((1, -1, 0), False), ((3, -5, 2), False), ((1, -1, 0), True)],
)
def test_wrong_scores(deltas: tuple[int, ...], forced: bool) -> None:
    """One, several, compensating; with a proof made for them, and with q(z) as the identity wants it."""
    w = score()
    prover = w.alone()

    def lie(index: int, value: Table) -> Table:
        if index == 0:
            return fr.add(value, fr.vector(deltas))
        return forged_quotient(prover, value) if index == 4 and forced else value

    proof = proved(prover, lie)
    assert refused(w.batch(7, prover.values, proof)) == (Check.PAIRING if forced else Check.STATEMENT_IDENTITY, -1)


def test_scores_changed_after_the_proof() -> None:
    values = decode_values(honest().values)
    for bad in ((values[0] + 1, *values[1:]), (values[1], values[0], values[2]), tuple(-v for v in values)):
        assert refused(replace(honest(), values=encode_values(bad))) == (Check.STATEMENT_IDENTITY, -1)


def test_a_negative_score_is_no_residue() -> None:
    w = score()
    values = decode_values(honest().values)
    assert min(values) < 0
    assert w.alone().steps[0].count == 3
    assert replace(honest(), values=encode_values(values)) == honest()
    assert encode_values([-1]) == b"\xff" * 16


def test_another_reference() -> None:
    """Neither a data owner's record in its place, nor one that is missing, nor one that is a data owner as well."""
    w, batch = score(), honest()
    parts = [batch.dos[i : i + BYTES_NORMS] for i in range(0, len(batch.dos), BYTES_NORMS)]
    assert refused(replace(batch, dos=b"".join([parts[1], *parts[1:]]))) == (Check.STATEMENT_IDENTITY, -1)
    assert refused(replace(batch, dos=b"".join(parts[1:])))[0] is Check.SHAPE
    assert refused(replace(batch, dos=b"".join([parts[1], parts[0], *parts[2:]])))[0] is Check.ORDER
    assert refused(replace(batch, dos=b"".join([parts[0], parts[2], parts[1], parts[3]]))) == (Check.ORDER, 2)
    with pytest.raises(KeyError):
        world(Statement.GRAM).records[REFERENCE]
    assert w.records[REFERENCE].address > w.records[2].address  # it need not be in order


def test_a_false_evaluation_of_the_reference() -> None:
    """f(z) is opened against C_f: with another one the identity or the pairing fails."""
    w = score()
    for forced in (False, True):
        prover = w.alone()

        def lie(index: int, value: Table, p: object = prover, force: bool = forced) -> Table:
            if index == 3:
                return fr.add(value, fr.vector([0, 1]))
            return forged_quotient(prover, value) if index == 4 and force else value  # noqa: B023

        proof = proved(prover, lie)
        check = refused(w.batch(7, prover.values, proof))[0]
        assert check is (Check.PAIRING if forced else Check.STATEMENT_IDENTITY)


def test_points_of_the_proof() -> None:
    proof = read_proof(honest().proof, Statement.SCORE)
    for name in ("w", "w2"):
        moved = replace(proof, **{name: plus(getattr(proof, name), times(3))})
        assert refused(replace(honest(), proof=moved.encode())) == (Check.PAIRING, -1)
    assert refused(replace(honest(), proof=replace(proof, w=(5, 5)).encode())) == (Check.POINT, -1)


def test_other_bounds() -> None:
    assert refused(honest(), BOUND_SQUARED - 1) == (Check.RANGE_IDENTITY, 0)
    assert refused(honest(), BOUND_SQUARED * 4)[0] is Check.SHAPE


def test_a_gram_proof_is_no_score_proof() -> None:
    batch = replace(honest(), statement=Statement.NONE, values=b"", proof=b"")
    assert refused(batch)[0] in (Check.ORDER, Check.SHAPE)
    with pytest.raises(ValueError):
        check_batch(score().key, score().sess, replace(honest(), statement=Statement.GRAM), BOUND_SQUARED)


def test_only_integers_of_128_bits() -> None:
    p = score().alone()
    with pytest.raises(Refused):
        p.accept(0, fr.vector([1 << 127, 0, 0]))
    p.accept(0, fr.vector([-(1 << 127), 0, (1 << 127) - 1]))
    assert p.values == (-(1 << 127), 0, (1 << 127) - 1)


def test_the_reference_is_read_as_often_as_it_is_needed() -> None:
    w = score()
    asked: list[int] = []
    provers = committee(w)

    def share(k: int) -> Table:
        asked.append(k)
        return w.vectors[k]

    provers[1]._share = share
    provers[1].message(0)
    assert sorted(asked) == [-1, 0, 1, 2]
    provers[1].accept(0, fr.vector([1, 2, 3]))
    assert np.bincount([k + 1 for k in asked]).tolist() == [2, 2, 2, 2]
