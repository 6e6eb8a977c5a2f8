"""A data owner's upload in one call, and what a prover does with its piece. Steps: ``staging``, ``opening``."""

from __future__ import annotations

from protocols.fields.goldilocks import Vector
from protocols.pine.encode import encode_bits, wr_results
from protocols.pine.opening import (
    OpenedUpload,
    open_upload,
    rebuilt_upload,
    verifier_share,
    verify_piece,
)
from protocols.pine.params import PineParams
from protocols.pine.pieces import largest_plain
from protocols.pine.proof import prove
from protocols.pine.staging import Piece, StagedUpload
from protocols.wire.context import Context

__all__ = [
    "OpenedUpload",
    "Piece",
    "StagedUpload",
    "largest_plain",
    "make_upload",
    "open_upload",
    "rebuilt_upload",
    "verifier_share",
    "verify_piece",
]


def make_upload(
    params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
) -> tuple[bytes, list[Piece]]:
    """Share, prove and commit a vector: the root for the chain and the pieces for the points 1 .. committee.

    x: (d,), integer norm at most ``params.bound``.  threshold: degree t.  seed: 32 bytes, fresh per session.
    encode.OutOfBound if the norm (or, with probability 2^-101, a check) does not fit; ValueError for other sizes.
    """
    staged = StagedUpload(params, context, address, committee, threshold, seed)
    results = wr_results(params, staged.commit_x(staged.deal("x", x)), x)
    bits = encode_bits(params, x, results)
    joint_rand = staged.commit_bits(staged.deal("bits", bits))
    proof = prove(params, x, bits, results, joint_rand, staged.prove_rand)
    return staged.commit_proof(staged.deal("proof", staged.sent_of(proof)))
