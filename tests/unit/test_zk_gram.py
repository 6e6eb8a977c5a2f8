"""The statement GRAM, made by a committee: the vectors, liars at every opening, what few provers can promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protocols.bn254 import fr, g1, poly
from protocols.bn254.field import R
from protocols.zk import products, running
from protocols.zk.batch import check_batch
from protocols.zk.decode import Table
from protocols.zk.errors import Check, Refused
from protocols.zk.params import Statement
from tests.unit.bn254_kit import number, point
from tests.unit.zk_batch import BOUND_SQUARED, World, committee, drive, honest_run, proved, world
from tests.unit.zk_kit import load, scalars, small_key, word_of
from tests.unit.zk_vectors import NAMES, gram_committee, parse, proof_bytes, words

STEPS = range(6)


def gram() -> World:
    return world(Statement.GRAM)


def changed(message: Table) -> Table:
    """Another message of the same shape."""
    if message.shape[1] == 8:
        return g1.add(message, g1.from_integers([g1.GENERATOR] * len(message)))
    return fr.shift(message, 1)


def integers_of(w: World) -> np.ndarray:
    return np.array([fr.to_signed(w.vectors[k][: w.key.params.dimension]) for k in range(w.count)])


def test_every_message_of_the_vectors(vectors: Path) -> None:
    honest = load(vectors, "honest_K3_n5")
    provers = gram_committee(honest, honest["label"])
    for index, step in enumerate(provers[1].steps):
        expected = honest["prover_messages"][NAMES.get(step.name, step.name)]
        sent = {j: p.message(index) for j, p in provers.items()}
        assert sent == {j: words(expected[str(j)]) for j in sent}
        decoded = step.decode({j: step.read(m) for j, m in sent.items()}, step.need(5, 1))
        assert decoded is not None and decoded.liars == ()
        for p in provers.values():
            p.accept(index, decoded.values)
    for p in provers.values():
        assert p.proof() == proof_bytes(honest["proof"])
    claim = provers[1].claim
    matrix = honest["statement"]["gram"]
    assert claim.values == tuple(matrix[k][j] for k in range(3) for j in range(k + 1))
    transcript, expected = claim.transcript(), honest["gram_transcript"]
    weights = claim.weights(transcript)
    assert transcript.state == word_of(expected["t"][0])
    assert weights == [number(w) for w in expected["weights"]] and claim.total(weights) == number(expected["v"])


def test_the_batch_of_the_vectors(vectors: Path) -> None:
    honest = load(vectors, "honest_K3_n5")
    key = small_key()
    sess, batch, bound_squared = parse(honest["calldata"], key, honest["session"]["contract"])
    assert sess == word_of(honest["session"]["hash"]) and batch.proof == proof_bytes(honest["proof"])
    checked = check_batch(key, sess, batch, bound_squared)
    assert checked.c_agg == point(honest["aggregate"]) and checked.mask == 5
    assert [r.address for r in checked.records] == [owner["addr"] for owner in honest["data_owners"]]


@pytest.mark.parametrize("case", STEPS)
def test_liars_of_the_vectors(vectors: Path, case: int) -> None:
    honest, lying = load(vectors, "honest_K3_n5"), load(vectors, "lying_provers")["cases"][case]
    provers = gram_committee(honest, lying["label"])
    for index, step in enumerate(provers[1].steps):
        name = NAMES.get(step.name, step.name)
        received = {j: step.read(words(lying["messages"][name][str(j)])) for j in provers}
        for j, p in provers.items():
            assert (p.message(index) == step.write(received[j])) == ((name, j) != (lying["step"], lying["liar"]))
        decoded = step.decode(received, step.need(5, 1))
        assert decoded is not None and decoded.liars == ((lying["liar"],) if name == lying["step"] else ())
        for p in provers.values():
            p.accept(index, decoded.values)
    assert provers[1].proof() == proof_bytes(lying["proof"])


def test_a_committee_proves_the_matrix() -> None:
    w = gram()
    run = drive(w, committee(w, mask=0b101))
    assert run.batch is not None and run.liars == [()] * 6
    assert {p.proof() for p in run.provers.values()} == {run.batch.proof}
    checked = check_batch(w.key, w.sess, run.batch, BOUND_SQUARED)
    g = integers_of(w)
    assert checked.values == tuple(int(g[k] @ g[j]) for k in range(3) for j in range(k + 1))
    total = fr.add(w.vectors[0], w.vectors[2])
    assert checked.c_agg == w.key.commit_values(total[: len(g[0])], total[len(g[0]) :])


@pytest.mark.parametrize("index", STEPS)
@pytest.mark.parametrize("liar", [1, 4])
def test_a_liar_at_each_opening(index: int, liar: int) -> None:
    w = gram()
    run = drive(w, committee(w), tamper=lambda i, j, m: changed(m) if (i, j) == (index, liar) else m)
    assert run.liars == [(liar,) if i == index else () for i in STEPS]
    assert run.batch == honest_run(w.statement).batch


def test_a_prover_on_altered_shares_is_named_in_every_step_that_shows_them() -> None:
    w = gram()
    run = drive(w, committee(w, altered=3))
    assert run.liars == [(3,)] * 6 and run.batch == honest_run(w.statement).batch


@pytest.mark.parametrize("index", STEPS)
def test_one_more_liar_ends_it(index: int) -> None:
    w = gram()
    run = drive(w, committee(w), tamper=lambda i, j, m: changed(m) if i == index and j in (1, 2) else m)
    assert run.batch is None and len(run.liars) == index


@pytest.mark.parametrize("index", [0, 1, 2, 4, 5])
def test_more_than_t_may_steer_an_opening_and_frame_a_prover_but_prove_nothing(index: int) -> None:
    """(X - 3)(X - 4) is the same at 2 and 5: with 3 and 4 the two liars agree on another polynomial."""
    w = gram()
    run = drive(w, committee(w), tamper=lambda i, j, m: changed(m) if i == index and j in (2, 5) else m)
    assert run.batch is not None and run.liars[index] == (1,)
    with pytest.raises(Refused):
        check_batch(w.key, w.sess, run.batch, BOUND_SQUARED)


@pytest.mark.parametrize("index", STEPS)
def test_a_liar_and_a_missing_message_are_waited_for(index: int) -> None:
    w = gram()

    def tamper(i: int, j: int, m: Table) -> Table | None:
        return None if (i, j) == (index, 1) else changed(m) if (i, j) == (index, 2) else m

    waiting = drive(w, committee(w), tamper=tamper)
    degree = waiting.provers[1].steps[index].degree
    assert (waiting.batch is None) == (degree == 2)  # four agreeing messages are not there; of degree 1 three are


def test_two_liars_of_nine() -> None:
    w = gram()
    run = drive(w, committee(w, 9, 2), 2, lambda i, j, m: changed(m) if j in (2, 9) else m)
    assert run.batch is not None and run.liars == [(2, 9)] * 6
    assert check_batch(w.key, w.sess, run.batch, BOUND_SQUARED).values == honest_run(w.statement).provers[1].values


def test_three_provers_detect_and_do_not_attribute() -> None:
    w = gram()
    run = drive(w, committee(w, 3))
    assert run.batch is not None
    check_batch(w.key, w.sess, run.batch, BOUND_SQUARED)
    for index in (1, 2, 4, 5):
        bad = drive(w, committee(w, 3), tamper=lambda i, j, m, index=index: changed(m) if (i, j) == (index, 2) else m)
        assert bad.batch is not None and bad.liars == [()] * 6
        with pytest.raises(Refused):
            check_batch(w.key, w.sess, bad.batch, BOUND_SQUARED)


def test_a_lie_about_the_matrix_among_three_provers() -> None:
    """The decoded value is anything: no integer of 128 bits, or the batch does not verify."""
    w = gram()
    with pytest.raises(Refused, match="128 bits"):
        drive(w, committee(w, 3), tamper=lambda i, j, m: fr.vector(scalars("lie", 6)) if (i, j) == (0, 2) else m)
    bad = drive(w, committee(w, 3), tamper=lambda i, j, m: changed(m) if (i, j) == (0, 2) else m)
    assert bad.batch is not None
    with pytest.raises(Refused):
        check_batch(w.key, w.sess, bad.batch, BOUND_SQUARED)


def test_labels_change_messages_and_the_proof_but_not_what_is_proved() -> None:
    w = gram()
    one, two = drive(w, committee(w)), drive(w, committee(w, label=b"\1" * 32))
    assert all(one.sent[i][1] != two.sent[i][1] for i in STEPS)
    assert one.batch is not None and two.batch is not None and one.batch.proof != two.batch.proof
    assert one.batch.values == two.batch.values


def test_a_committee_of_one_makes_a_proof_that_verifies() -> None:
    w = gram()
    prover = w.alone()
    batch = w.batch(7, (), proved(prover))
    check_batch(w.key, w.sess, w.batch(7, prover.values, batch.proof), BOUND_SQUARED)


def test_messages_wait_for_what_they_build_on() -> None:
    w = gram()
    p = w.alone()
    with pytest.raises(ValueError, match="builds on values"):
        p.message(1)
    with pytest.raises(ValueError):
        p.accept(1, g1.infinities(1))
    with pytest.raises(ValueError):
        p.accept(0, fr.zeros(5))
    with pytest.raises(ValueError, match="not complete"):
        p.proof()
    for index in range(3):
        p.accept(index, p.steps[index].read(p.message(index)))
    assert p.message(4) and p.message(3)
    with pytest.raises(ValueError, match="builds on A"):
        p.message(5)
    with pytest.raises(ValueError):
        p.accept(2, p.steps[2].read(p.message(2)))


def test_values_that_are_no_integers_are_not_accepted() -> None:
    p = gram().alone()
    with pytest.raises(Refused) as refused:
        p.accept(0, fr.vector([1 << 127] * 6))
    assert refused.value.check is Check.SHAPE and p.position == 0


def test_a_message_is_the_same_when_asked_again() -> None:
    w = gram()
    provers = committee(w)
    before = provers[2].message(0)
    run = drive(w, provers)
    assert run.sent[0][2] == before == provers[2].message(0)
    assert [s.size for s in provers[2].steps] == [len(m[2]) for m in run.sent]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 17])
def test_products_of_many_vectors(count: int, rng: np.random.Generator) -> None:
    data = rng.integers(-9, 10, (count, 11))
    asked: list[int] = []

    def share(k: int) -> fr.Vector:
        asked.append(k)
        return fr.from_signed(np.concatenate([data[k], [99]]))

    out = products.gram(share, count, 11, threads=2)
    assert fr.to_signed(out).tolist() == [int(data[k] @ data[j]) for k in range(count) for j in range(k + 1)]
    assert max(map(asked.count, range(count))) <= -(-count // products.GROUP)
    one = products.with_one(share, count, fr.from_signed(data[0]), threads=2)
    assert fr.to_signed(one).tolist() == [int(x @ data[0]) for x in data]
    assert fr.to_signed(products.weighted(share, range(count), 11)).tolist() == list(np.arange(count) @ data)


def test_running_sum_and_quotient_against_the_definition() -> None:
    """S(wX) - S(X) - A B + c + beta P A = q Z_H, coefficient by coefficient, with values that do add up."""
    key = small_key()
    d, n = key.params.dimension, key.params.size
    a = running.vector_column(key, fr.vector(scalars("a", d + 6)))
    b = running.vector_column(key, fr.vector(scalars("b", d + 6)))
    c = fr.inner(a.rows, b.rows) * pow(n, -1, R) % R
    s = running.running_sum(key, a, b, c, fr.vector(scalars("s", 4)))
    beta = scalars("beta", 1)[0]
    q = running.quotient(key, a, b, s, beta)
    assert len(q) == n + 11
    for z in scalars("z", 3):
        at = [poly.evaluate(p, z) for p in (s.coefficients, a.coefficients, b.coefficients, key.p_poly, q)]
        s_next = poly.evaluate(s.coefficients, z * key.omega % R)
        left = s_next - at[0] - at[1] * at[2] + c + beta * at[3] * at[1]
        assert left % R == at[4] * (pow(z, n, R) - 1) % R
