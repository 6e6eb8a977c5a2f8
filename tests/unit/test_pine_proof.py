"""Prove, query and decide with all proofs together: against plain Python, and against liars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand
from protocols.pine import oracle
from protocols.pine.circuits import Measurement, NormEquality, Valid
from protocols.pine.encode import wr_results
from protocols.pine.params import PineParams, choose
from protocols.pine.proof import Querier, decide, prove, query
from protocols.sharing import robust, shamir
from tests.unit.pine_kit import Instance, claimed_bits, honest, small, statement, vector, wrapped

SHAPES = [
    PineParams(1, 3, 1, 1, 1, 1, checks=9, successes=9),
    PineParams(4, 16, 150, 2, 2, 1),
    PineParams(10, 1000, 7, 3, 1, 2, checks=20, successes=15),
    PineParams(64, 40, 30, 64, 2, 2, checks=5, successes=5),
    PineParams(65, 40, 300, 100, 1, 1, checks=5, successes=1),
    choose(130, 65536),
]


def plain(params: PineParams, made: Instance) -> tuple[list[int], list[int]]:
    """All proofs and verifier messages from the plain-Python program."""
    meas = [*made.x.tolist(), *made.bits.tolist(), *made.results.tolist()]
    seeds, joint, points = made.proof.tolist(), made.joint.tolist(), made.points.tolist()
    proofs: list[int] = []
    messages: list[int] = []
    for circuit, sizes, count in (
        (oracle.norm_equality, params.norm_equality, params.proofs_norm),
        (oracle.valid, params.valid, params.proofs),
    ):
        for _ in range(count):
            mine, joint = joint[: sizes.joint], joint[sizes.joint :]
            rand = seeds[len(proofs) : len(proofs) + sizes.arity]
            proof = oracle.prove(params, circuit, sizes, meas, rand, mine)
            message = oracle.query(params, circuit, sizes, meas, proof, mine, points.pop(0))
            assert oracle.decide(circuit, message) == _decides(params, circuit, message)
            proofs, messages = proofs + proof, messages + message
    return proofs, messages


def _decides(params: PineParams, circuit: oracle.Circuit, message: list[int]) -> bool:
    kind = NormEquality if circuit is oracle.norm_equality else Valid
    return kind(params).decide(gl.vector(message))


@pytest.mark.parametrize("params", SHAPES, ids=lambda p: f"d{p.dimension}")
def test_same_as_plain_python(rng: np.random.Generator, params: PineParams) -> None:
    made = honest(params, vector(rng, params))
    proofs, messages = plain(params, made)
    assert made.proof.tolist() == proofs
    assert made.verifier().tolist() == messages
    assert made.accepted()


@pytest.mark.parametrize("params", SHAPES, ids=lambda p: f"d{p.dimension}")
def test_false_statements_as_plain_python_and_refused(rng: np.random.Generator, params: PineParams) -> None:
    x = expand(b"f" * 32, params.dimension)
    results = wr_results(params, b"w" * 32, x)
    made = statement(params, x, results, expand(b"g" * 32, params.bits_length))
    proofs, messages = plain(params, made)
    assert made.proof.tolist() == proofs
    assert made.verifier().tolist() == messages
    assert not made.accepted()


def test_strided_inputs_are_taken_as_they_are(rng: np.random.Generator) -> None:
    params = small()
    made = honest(params, vector(rng, params))
    strided = replace(made, x=np.repeat(made.x, 2)[::2], proof=np.repeat(made.proof, 3)[::3])
    assert np.array_equal(strided.verifier(), made.verifier())


def over_the_bound(params: PineParams, rng: np.random.Generator) -> Vector:
    return vector(rng, params, part=1.2)


def check_seed_results(params: PineParams, x: Vector) -> Vector:
    return wr_results(params, b"w" * 32, x)


@pytest.mark.parametrize("claim", ["true", "bound", "zero", "mod p"])
def test_a_norm_over_the_bound(rng: np.random.Generator, claim: str) -> None:
    params = small()
    x = over_the_bound(params, rng)
    norm = gl.dot(x, x)
    claimed = {"true": norm, "bound": params.norm_bound, "zero": 0, "mod p": norm % params.norm_bound}[claim]
    results = check_seed_results(params, x)
    assert not statement(params, x, results, claimed_bits(params, claimed, results, True)).accepted()


@pytest.mark.parametrize("forced", [False, True])
def test_a_wrapped_vector_with_a_small_norm_mod_p(forced: bool) -> None:
    params = small()
    x = wrapped(params)
    results = check_seed_results(params, x)
    assert not statement(params, x, results, claimed_bits(params, 0, results, forced)).accepted()


def test_a_wrapped_vector_of_small_coordinates_fails_half_of_its_checks() -> None:
    """Norm p + 1 as an integer, 1 mod p, no coordinate beyond 2^25: the case that needs Berry and Esseen."""
    params = small((1 << 14) + 12, 30_000_000)
    x, left = gl.zeros(params.dimension), P + 1
    for i in range(params.dimension):
        step = min(1 << 25, int(left**0.5))
        while step * step > left:
            step -= 1
        x[i], left = step, left - step * step
    assert left == 0
    assert gl.dot(x, x) == 1
    results = check_seed_results(params, x)
    inside = np.abs(gl.to_signed(results)) < params.wr_bound
    assert inside.sum() <= 65
    assert not statement(params, x, results, claimed_bits(params, 1, results, True)).accepted()


def test_a_lie_about_the_results_of_checks(rng: np.random.Generator) -> None:
    """The prover worked with results of its own; the verifiers compute the true ones."""
    params = small()
    made = honest(params, vector(rng, params))
    shifted = made.changed("results", 3, int(made.results[3]) + 1)
    lie = statement(
        params, made.x, shifted.results, claimed_bits(params, gl.dot(made.x, made.x), shifted.results, False)
    )
    assert lie.accepted()
    assert not replace(lie, results=made.results).accepted()


@pytest.mark.parametrize("part", ["joint", "points"])
def test_randomness_of_another_session(rng: np.random.Generator, part: str) -> None:
    params = small()
    made = honest(params, vector(rng, params))
    other = replace(made, **{part: expand(b"other".ljust(32), len(getattr(made, part)))})
    assert other.accepted() is (part == "points")
    assert other.proved().accepted()


def test_values_that_are_no_bits_but_add_up(rng: np.random.Generator) -> None:
    params = small()
    made = honest(params, vector(rng, params))
    start = 2 * params.norm_bits
    bits = made.bits.copy()
    where = next(i for i in range(start, start + params.wr_bits - 1) if (bits[i], bits[i + 1]) == (0, 1))
    bits[where], bits[where + 1] = 2, 0
    assert not statement(params, made.x, made.results, bits).accepted()


def test_one_bad_proof_among_good_ones(rng: np.random.Generator) -> None:
    params = small()
    made = honest(params, vector(rng, params))
    message, start = made.verifier(), 0
    for sizes in [params.norm_equality] * 2 + [params.valid] * 2:
        bad = message.copy()
        bad[start] = 1
        assert not decide(params, bad)
        start += sizes.verifier_length
    assert decide(params, message)


def test_the_wire_seeds_change_the_message_and_hide_the_vector(rng: np.random.Generator) -> None:
    params = small()
    made = honest(params, vector(rng, params))
    again = made.proved(b"n" * 32)
    assert again.accepted()
    first, second = made.verifier(), again.verifier()
    same = first == second
    assert np.flatnonzero(same).size == 4  # the outputs, all zero
    assert not first[same].any()


def test_shares_of_messages_decode_with_one_liar(rng: np.random.Generator) -> None:
    params, points = small(), range(1, 6)
    made = honest(params, vector(rng, params))
    shares = [shamir.share(part, 1, points, bytes([i]) * 32) for i, part in enumerate((made.x, made.bits, made.proof))]
    querier = Querier(params, made.points)
    messages = [
        querier.verifier(x, bits, check_seed_results(params, x), proof, made.joint)
        for x, bits, proof in zip(*shares, strict=True)
    ]
    messages[3] = expand(b"lie".ljust(32), params.verifier_length)
    decoded = robust.decode(points, messages, 1)
    assert np.array_equal(decoded.values, made.verifier())
    assert decoded.error_points == (4,)
    assert decide(params, decoded.values)


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("value", [1, P - 1])
def test_degenerate_query_points(rng: np.random.Generator, position: int, value: int) -> None:
    params = small()
    made = honest(params, vector(rng, params)).changed("points", position, value)
    with pytest.raises(ValueError, match="roots of unity"):
        made.verifier()


@pytest.mark.parametrize("part", ["x", "bits", "results", "joint", "points", "proof"])
def test_wrong_lengths(rng: np.random.Generator, part: str) -> None:
    params = small()
    made = honest(params, vector(rng, params))
    for wrong in (getattr(made, part)[:-1], np.append(getattr(made, part), np.uint64(0))):
        with pytest.raises(ValueError, match="elements were expected"):
            replace(made, **{part: wrong}).verifier()
    with pytest.raises(ValueError, match="elements were expected"):
        prove(params, made.x, made.bits, made.results, made.joint, made.proof)
    with pytest.raises(ValueError, match="elements were expected"):
        decide(params, made.verifier()[:-1])
    with pytest.raises(ValueError, match="elements were expected"):
        query(params, made.x.astype(np.int64), made.bits, made.results, made.proof, made.joint, made.points)


def test_circuits_check_their_randomness(rng: np.random.Generator) -> None:
    params = small()
    made = honest(params, vector(rng, params))
    meas = Measurement(params, made.x, made.bits, made.results)
    for circuit, joint in ((NormEquality(params), 1), (Valid(params), 2)):
        with pytest.raises(ValueError, match="joint randomness"):
            circuit.prove(meas, expand(b"s" * 32, circuit.sizes.arity), gl.zeros(joint))
