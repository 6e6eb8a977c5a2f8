"""How an attacker makes an upload that its own node would refuse to make: every forgery passes all that it can pass.

No honest node loads this module. Each forger takes what ``protocols.pine.upload.make_upload`` takes and gives what it
gives: the root for the chain and one piece per prover.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.encode import encode_bits, wr_results
from protocols.pine.params import PineParams
from protocols.pine.proof import prove
from protocols.pine.staging import Piece, StagedUpload
from protocols.pine.upload import make_upload
from protocols.wire.context import Context

Upload = tuple[bytes, list[Piece]]
Forger = Callable[[PineParams, Context, bytes, Vector, int, int, bytes], Upload]

OFF_POINTS = (3, 4)
"""Provers (points) that get pieces off the polynomial: more than t = 1, so that nobody can say whose fault it is but
the data owner's."""


def false_proof(
    params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
) -> Upload:
    """A vector beyond the bound, with bits that claim what fits best: a false statement, otherwise honestly proved.

    The norm in the field is claimed where it is within the bound (a wrapped-around vector), else the bound itself;
    checks that leave their range are claimed to be in it.
    """
    staged = StagedUpload(params, context, address, committee, threshold, seed)
    results = wr_results(params, staged.commit_x(staged.deal("x", x)), x)
    bits = claimed_bits(params, x, results)
    joint_rand = staged.commit_bits(staged.deal("bits", bits))
    proof = prove(params, x, bits, results, joint_rand, staged.prove_rand)
    return staged.commit_proof(staged.deal("proof", staged.sent_of(proof)))


def claimed_bits(params: PineParams, x: Vector, results: Vector) -> Vector:
    """(bits_length,) zeros and ones, laid out as by ``encode.encode_bits``, whatever x is."""
    norm = min(gl.dot(x, x), params.norm_bound)
    shifted = gl.add(results, np.full(params.checks, params.wr_bound - 1, dtype=np.uint64))
    shifted = np.minimum(shifted, np.uint64(2 * params.wr_bound - 1))
    norms = _bits(gl.vector([norm, params.norm_bound - norm]), params.norm_bits)
    checks = np.column_stack([_bits(shifted, params.wr_bits), np.ones(params.checks, dtype=np.uint64)])
    return np.concatenate([norms.ravel(), checks.ravel()])


def foreign_proof(
    params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
) -> Upload:
    """Everything true and committed here, but the proof is the one of the session before (its joint randomness)."""
    staged = StagedUpload(params, context, address, committee, threshold, seed)
    before = StagedUpload(params, replace(context, session=context.session - 1), address, committee, threshold, seed)
    results = wr_results(params, staged.commit_x(staged.deal("x", x)), x)
    before.commit_x(before.deal("x", x))
    bits = encode_bits(params, x, results)
    staged.commit_bits(staged.deal("bits", bits))
    joint_rand = before.commit_bits(before.deal("bits", bits))
    proof = prove(params, x, bits, results, joint_rand, staged.prove_rand)
    return staged.commit_proof(staged.deal("proof", staged.sent_of(proof)))


def inconsistent(
    params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
) -> Upload:
    """An honest proof, but the pieces of x at OFF_POINTS are off the polynomial of the others; all are committed."""
    staged = StagedUpload(params, context, address, committee, threshold, seed)
    results = wr_results(params, staged.commit_x(_off(staged.deal("x", x))), x)
    bits = encode_bits(params, x, results)
    joint_rand = staged.commit_bits(staged.deal("bits", bits))
    proof = prove(params, x, bits, results, joint_rand, staged.prove_rand)
    return staged.commit_proof(staged.deal("proof", staged.sent_of(proof)))


FORGERS: dict[str, Forger] = {
    "honest": make_upload,
    "false-proof": false_proof,
    "foreign-proof": foreign_proof,
    "inconsistent": inconsistent,
}


def _off(pieces: list[Vector | bytes]) -> list[Vector | bytes]:
    off = list(pieces)
    for point in OFF_POINTS:
        piece = off[point - 1]
        assert isinstance(piece, np.ndarray)  # only the first t pieces are seeds
        off[point - 1] = gl.add(piece, gl.vector([point] * len(piece)))
    return off


def _bits(values: Vector, count: int) -> Vector:
    """(n,) -> (n, count) bits, lowest first."""
    return np.asarray((values[:, None] >> np.arange(count, dtype=np.uint64)) & np.uint64(1), dtype=np.uint64)
