"""PINE: what is true is accepted, and nothing else, whatever is changed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand
from protocols.pine import ntt
from protocols.pine.encode import encode_bits, wr_results
from protocols.pine.params import PineParams, choose
from protocols.pine.proof import Querier, decide
from protocols.pine.upload import make_upload, open_upload, verifier_share
from protocols.sharing import robust, shamir
from tests.unit.pine_kit import ADDRESS, CONTEXT, Instance, claimed_bits, honest, small, statement

elements = st.integers(0, P - 1)
seeds = st.binary(min_size=32, max_size=32)
dimensions = st.sampled_from([1, 2, 5, 16, 33])
PARAMS = small(24, 200)
HONEST = honest(PARAMS, gl.from_signed(np.arange(-12, 12, dtype=np.int64)))


@st.composite
def in_bound(draw: st.DrawFn, params: PineParams) -> Vector:
    """A vector of norm at most the bound: any signs, any shape, up to the bound itself."""
    left, values = params.norm_bound, []
    for _ in range(params.dimension):
        most = int(left**0.5)
        value = draw(st.integers(-most, most) | st.sampled_from([0, most]))
        left -= value * value
        values.append(value % P)
    return gl.vector(draw(st.permutations(values)))


@given(st.data(), dimensions, st.sampled_from([1, 2, 100, 65536, 30_854_650]), seeds)
def test_honest_is_always_accepted(data: st.DataObject, dimension: int, bound: int, seed: bytes) -> None:
    params = choose(dimension, bound)
    x = data.draw(in_bound(params))
    results = wr_results(params, seed, x)
    made = statement(params, x, results, encode_bits(params, x, results)).proved(seed)
    assert made.accepted()


PARTS = {"x": 24, "bits": PARAMS.bits_length, "results": 100, "proof": PARAMS.proof_length}


@settings(max_examples=100)
@given(st.data(), st.sampled_from(sorted(PARTS)), elements)
def test_any_changed_element_is_refused(data: st.DataObject, part: str, value: int) -> None:
    index = data.draw(st.integers(0, PARTS[part] - 1))
    changed = HONEST.changed(part, index, value)
    same = int(getattr(HONEST, part)[index]) == value
    assert changed.accepted() is same


@settings(max_examples=100)
@given(st.integers(0, PARAMS.bits_length - 1))
def test_any_flipped_bit_is_refused_though_proved_honestly(index: int) -> None:
    flipped = HONEST.changed("bits", index, 1 - int(HONEST.bits[index]))
    assert not flipped.accepted()
    assert not flipped.proved().accepted()


@given(st.integers(0, PARAMS.verifier_length - 1), elements)
def test_any_changed_element_of_the_message_is_refused(index: int, value: int) -> None:
    message = HONEST.verifier()
    same = int(message[index]) == value or int(message[index]) == (P - value) % P
    message[index] = value
    if not same:  # the negative of a wire of norm_equality is as good: it is squared
        assert not decide(PARAMS, message)


@given(st.lists(elements, min_size=24, max_size=24), st.booleans(), st.integers(0, PARAMS.norm_bound))
def test_vectors_out_of_bound_are_refused_whatever_they_claim(values: list[int], forced: bool, claim: int) -> None:
    x = gl.vector(values)
    if sum(gl.lift(v) ** 2 for v in values) <= PARAMS.norm_bound:
        return
    results = wr_results(PARAMS, b"w" * 32, x)
    assert not statement(PARAMS, x, results, claimed_bits(PARAMS, claim, results, forced)).accepted()


@given(st.integers(1, P - 1), st.lists(st.integers(-9, 9), min_size=22, max_size=22))
def test_wrapped_vectors_are_refused(size: int, rest: list[int]) -> None:
    """(v, r v, small numbers) with r^2 = -1: the norm mod p is that of the small numbers."""
    root = pow(7, (P - 1) // 4, P)
    x = gl.vector([size, root * size % P, *(v % P for v in rest)])
    norm = gl.dot(x, x)
    assert norm == sum(v * v for v in rest) <= PARAMS.norm_bound
    results = wr_results(PARAMS, b"w" * 32, x)
    for forced in (True, False):
        assert not statement(PARAMS, x, results, claimed_bits(PARAMS, norm, results, forced)).accepted()


@given(seeds)
def test_joint_randomness_of_another_session_is_refused(seed: bytes) -> None:
    other = Instance(**{**vars(HONEST), "joint": expand(seed, PARAMS.joint_rand_length)})
    assert not other.accepted()


@given(st.integers(1, 5), seeds, st.integers(0, PARAMS.verifier_length - 1), st.booleans())
def test_shares_decode_with_one_liar(liar: int, seed: bytes, index: int, everywhere: bool) -> None:
    points, querier = range(1, 6), Querier(PARAMS, HONEST.points)
    x, bits, proof = (
        shamir.share(part, 1, points, bytes([i]) + seed[1:])
        for i, part in enumerate((HONEST.x, HONEST.bits, HONEST.proof))
    )
    shares = [
        querier.verifier(x[i], bits[i], wr_results(PARAMS, b"w" * 32, x[i]), proof[i], HONEST.joint) for i in range(5)
    ]
    if everywhere:
        shares[liar - 1] = expand(seed, PARAMS.verifier_length)
    else:
        shares[liar - 1][index] = (int(shares[liar - 1][index]) + 1) % P
    decoded = robust.decode(points, shares, 1)
    assert decoded.error_points == (liar,)
    assert np.array_equal(decoded.values, HONEST.verifier())


@settings(max_examples=10)
@given(st.data(), seeds, st.sampled_from([(5, 1), (6, 1), (9, 2)]))
def test_uploads_are_accepted_from_any_shares(data: st.DataObject, seed: bytes, committee: tuple[int, int]) -> None:
    n, t = committee
    x = data.draw(in_bound(PARAMS))
    root, pieces = make_upload(PARAMS, CONTEXT, ADDRESS, x, n, t, seed)
    querier = Querier(PARAMS, HONEST.points)
    chosen = data.draw(st.permutations(range(1, n + 1)))[: t + 1]
    shares = []
    for point in chosen:
        p = pieces[point - 1]
        opened = open_upload(PARAMS, CONTEXT, ADDRESS, point, n, root, p.proof, p.public, p.plain)
        shares.append(verifier_share(querier, opened))
    assert decide(PARAMS, shamir.combine(chosen, shares))


@given(st.sampled_from([1, 2, 8, 64]), seeds, elements)
def test_two_ways_to_evaluate(n: int, seed: bytes, at: int) -> None:
    """Lagrange weights on values and powers on coefficients agree at any point."""
    coefficients = expand(seed, n)
    values = ntt.evaluate_all(coefficients.reshape(n, 1))[:, 0]
    if pow(at, n, P) == 1:
        return
    weights = ntt.lagrange(n, at)
    assert gl.dot(weights, values) == gl.dot(coefficients, ntt.powers_from_zero(at, n))
