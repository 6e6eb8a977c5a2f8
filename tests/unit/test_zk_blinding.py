"""What the committee's proof shows of hidden polynomials is uniform: ranks, with one blinder fewer, and a simulator."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.bn254 import fr, poly
from protocols.bn254.field import R
from protocols.zk import running
from protocols.zk.batch import Batch, check_batch, statement_terms
from protocols.zk.params import NB_G, NB_S, Statement
from protocols.zk.range_check import add_up, challenges, paired
from protocols.zk.statement import Claim, Proof, encode_values
from tests.unit.zk_batch import BOUND_SQUARED, world
from tests.unit.zk_kit import TAU, plus, rank, scalars, small_key, times

N = 64
OMEGA = poly.root_of_unity(N)


def seen_of(point: int, blinders: int) -> list[int]:
    """What the value at a point has of each blinder: Z_H(x) x^i."""
    vanishing = (pow(point, N, R) - 1) % R
    return [vanishing * pow(point, i, R) % R for i in range(blinders)]


def running_sum_rows(blinders: int) -> list[list[int]]:
    """S at tau and w tau (through C_q), z and w z, from the code: one column per blinder."""
    key, (z,) = small_key(), scalars("z", 1)
    a = running.vector_column(key, fr.vector(scalars("a", 30)))
    columns = []
    for i in range(blinders):
        unit = fr.vector([int(i == k) for k in range(blinders)])
        with_unit = running.running_sum(key, a, a, 0, unit).coefficients
        without = running.running_sum(key, a, a, 0, fr.zeros(blinders)).coefficients
        difference = fr.sub(with_unit, without)
        columns.append([poly.evaluate(difference, x) for x in (TAU, OMEGA * TAU % R, z, OMEGA * z % R)])
    return [list(row) for row in zip(*columns, strict=True)]


def test_the_running_sum_has_as_many_blinders_as_values_are_seen() -> None:
    assert rank(running_sum_rows(NB_S)) == 4
    assert rank(running_sum_rows(NB_S - 1)) < 4
    z = scalars("z", 1)[0]
    assert running_sum_rows(NB_S)[2] == seen_of(z, NB_S)


def free_dimensions(honest: int, attempts: int, blinders: int) -> int:
    """How many of the values seen of honest updates are not uniform, given the sum of the updates with its blinders.

    Seen: every update at tau and at its own z, and of each attempt a weighted sum at another z. At tau the last one
    follows from the sum.
    """
    count = honest * blinders
    rows = [[int(j % blinders == i) for j in range(count)] for i in range(blinders)]
    own = scalars("own z", honest)

    def of(k: int, values: list[int], weight: int = 1) -> list[int]:
        return [0] * (k * blinders) + [weight * v % R for v in values] + [0] * ((honest - 1 - k) * blinders)

    for k in range(honest):
        if k < honest - 1:
            rows.append(of(k, seen_of(TAU, blinders)))
        rows.append(of(k, seen_of(own[k], blinders)))
    for a in range(attempts):
        z, weights = scalars(f"attempt {a}", 1)[0], scalars(f"weights {a}", honest)
        parts = [of(k, seen_of(z, blinders), weights[k]) for k in range(honest)]
        rows.append([sum(column) % R for column in zip(*parts, strict=True)])
    return len(rows) - rank(rows)


@pytest.mark.parametrize("honest", [2, 3])
def test_updates_stand_three_attempts(honest: int) -> None:
    assert all(free_dimensions(honest, attempts, NB_G) == 0 for attempts in range(4))


def test_a_fourth_attempt_or_one_blinder_fewer_leaks() -> None:
    assert free_dimensions(2, 4, NB_G) == 1
    assert free_dimensions(2, 3, NB_G - 1) == 1


def test_whoever_knows_tau_simulates_the_proof_without_the_updates() -> None:
    """Commitments and evaluations are drawn at random, the rest follows: the proof says nothing but what it claims."""
    w = world(Statement.GRAM)
    prover = w.alone()
    prover.accept(0, prover.steps[0].read(prover.message(0)))
    claim: Claim = prover.claim
    proof = simulated(claim)
    left, right, _ = statement_terms(w.key, claim, proof, w.owners)
    assert paired(w.key, add_up(left), add_up(right))
    dos = b"".join(record.encode() for record in w.owners)
    batch = Batch(Statement.GRAM, dos, 0b111, encode_values(claim.values), proof.encode())
    check_batch(w.key, w.sess, batch, BOUND_SQUARED)
    assert challenges(w.key, w.sess, w.owners[0]).t3 == claim.seen[0].t3


def simulated(claim: Claim) -> Proof:
    """From the commitments and tau alone."""
    w = world(Statement.GRAM)
    s_tau, q_tau, a, s, s_next = scalars("simulated", 5)
    transcript = claim.transcript()
    weights = claim.weights(transcript)
    c_s, c_q = times(s_tau), times(q_tau)
    beta, z = transcript.absorb(c_s), transcript.absorb(c_q)
    p = poly.evaluate(w.key.p_poly, z)
    left = s_next - s - a * a + claim.total(weights) * pow(N, -1, R) + beta * p * a
    q = left * pow(pow(z, N, R) - 1, -1, R) % R
    gamma = transcript.absorb(a, s, s_next, q, p)
    known = gamma * s_tau + gamma**2 * q_tau + gamma**3 * poly.evaluate(w.key.p_poly, TAU)
    known -= a + gamma * s + gamma**2 * q + gamma**3 * p
    total = times(known)
    for record, weight in zip(w.owners, weights, strict=True):
        total = plus(total, times(weight, record.c))
    opening = times(pow(TAU - z, -1, R), total)
    second = times((s_tau - s_next) * pow(TAU - z * OMEGA, -1, R))
    return Proof(c_s, c_q, (a, s, s_next, q, p), opening, second)


def test_blinders_do_not_touch_rows() -> None:
    key = small_key()
    a = running.vector_column(key, fr.vector(scalars("a", 30)))
    assert np.array_equal(poly.values(running.Column(a.rows, a.low, fr.zeros(0)).low, N), a.rows)
    blinded = a.coefficients
    low = fr.add(blinded[:N], np.concatenate([blinded[N:], fr.zeros(N - NB_G)]))
    assert np.array_equal(low, a.low)
