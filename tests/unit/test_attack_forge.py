"""Forged uploads pass everything up to the check that is there to stop them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from omninode.demo.forge import FORGERS, OFF_POINTS, claimed_bits
from omninode.learning import poison
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.encode import encode_bits, wr_results
from protocols.pine.opening import OpenedUpload, open_upload, verifier_share
from protocols.pine.params import choose
from protocols.pine.proof import Querier, decide
from protocols.pine.transcript import query_rand
from protocols.sharing.robust import Undecodable, decode
from protocols.wire.context import Context

D, BOUND, N, T = 60, 5000, 5, 1
PARAMS, CONTEXT, ADDRESS = choose(D, BOUND), Context(31337, bytes(range(20)), 7), bytes(range(20))


def honest() -> npt.NDArray[np.int64]:
    noise = np.random.default_rng(1).standard_normal(D)
    return np.trunc(noise * (0.99 * BOUND / np.linalg.norm(noise))).astype(np.int64)


def poisoned(name: str) -> npt.NDArray[np.int64]:
    return poison.ATTACKS[name].update(poison.Knowledge(honest() / 2.0**8, BOUND, 8, seed=3))


def opened(forger: str, update: npt.NDArray[np.int64]) -> list[OpenedUpload]:
    """What the provers hold: every piece is the one that was committed, or this raises."""
    root, pieces = FORGERS[forger](PARAMS, CONTEXT, ADDRESS, gl.from_signed(update), N, T, bytes(32))
    return [
        open_upload(PARAMS, CONTEXT, ADDRESS, i, N, root, piece.proof, piece.public, piece.plain)
        for i, piece in enumerate(pieces, start=1)
    ]


def verdict(uploads: list[OpenedUpload]) -> bool:
    querier = Querier(PARAMS, query_rand(PARAMS, CONTEXT, bytes(32)))
    shares = [verifier_share(querier, upload) for upload in uploads]
    decoded = decode(list(range(1, N + 1)), shares, T, 0, T)
    assert decoded.error_points == ()
    return decide(PARAMS, decoded.values)


def on_polynomial(uploads: list[OpenedUpload]) -> Vector:
    return decode(list(range(1, N + 1)), [upload.share for upload in uploads], T, 0, 0).values


def test_the_honest_one_passes() -> None:
    assert verdict(opened("honest", honest()))


@pytest.mark.parametrize("name", ["random", "scaled", "wrapped"])
def test_a_vector_beyond_the_bound_is_shared_and_refused(name: str) -> None:
    update = poisoned(name)
    uploads = opened("false-proof", update)
    assert np.array_equal(on_polynomial(uploads)[:D], gl.from_signed(update))
    assert not verdict(uploads)


def test_the_wrapped_one_claims_a_norm_that_is_true_in_the_field() -> None:
    x = gl.from_signed(poisoned("wrapped"))
    bits = claimed_bits(PARAMS, x, wr_results(PARAMS, bytes(32), x))[: PARAMS.norm_bits]
    assert sum(int(bit) << i for i, bit in enumerate(bits)) == gl.dot(x, x) <= BOUND**2


def test_claims_of_a_true_statement_are_the_honest_ones() -> None:
    x = gl.from_signed(honest())
    results = wr_results(PARAMS, bytes(32), x)
    assert np.array_equal(claimed_bits(PARAMS, x, results), encode_bits(PARAMS, x, results))


def test_the_proof_of_another_session_is_refused() -> None:
    uploads = opened("foreign-proof", honest())
    assert np.array_equal(on_polynomial(uploads)[:D], gl.from_signed(honest()))
    assert not verdict(uploads)


def test_inconsistent_pieces_are_committed_and_on_no_polynomial() -> None:
    uploads = opened("inconsistent", honest())
    assert len(OFF_POINTS) > T
    with pytest.raises(Undecodable):
        verdict(uploads)
