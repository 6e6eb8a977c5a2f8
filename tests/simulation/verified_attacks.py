"""Data owners that cheat with what they prove and share (mode verified)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.encode import encode_bits, wr_results
from protocols.pine.params import PineParams
from protocols.pine.proof import prove
from protocols.pine.staging import Piece, StagedUpload
from protocols.sessions import verified_upload
from protocols.wire.context import Context
from tests.simulation.node import Node

Made = tuple[bytes, list[Piece]]
Forger = Callable[[StagedUpload, Vector], Made]


def forge(monkeypatch: pytest.MonkeyPatch, node: Node, forger: Forger) -> None:
    """``node`` makes its upload in another way, and does not mind the bound."""
    honest, norm = verified_upload.make_upload, verified_upload.squared_norm

    def make(
        params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
    ) -> Made:
        if address != node.address:
            return honest(params, context, address, x, committee, threshold, seed)
        return forger(StagedUpload(params, context, address, committee, threshold, seed), x)

    def unminded(params: PineParams, x: Vector) -> int:
        own = node.update is not None and (gl.from_signed(node.update) == x).all()
        return 0 if own else norm(params, x)

    monkeypatch.setattr(verified_upload, "make_upload", make)
    monkeypatch.setattr(verified_upload, "squared_norm", unminded)


def _finish(staged: StagedUpload, x: Vector, bits: Vector, results: Vector, wrong: bool = False) -> Made:
    joint_rand = staged.commit_bits(staged.deal("bits", bits))
    proof = prove(staged.params, x, bits, results, joint_rand, staged.prove_rand)
    if wrong:
        proof = gl.add(proof, gl.vector([1] * len(proof)))
    return staged.commit_proof(staged.deal("proof", staged.sent_of(proof)))


def inconsistent(points: list[int]) -> Forger:
    """Shares of the update at these points lie on no polynomial of degree t; all else is honest."""

    def forger(staged: StagedUpload, x: Vector) -> Made:
        pieces = staged.deal("x", x)
        off = [gl.vector([7] * len(x)) if i + 1 in points else piece for i, piece in enumerate(pieces)]
        results = wr_results(staged.params, staged.commit_x(off), x)
        return _finish(staged, x, encode_bits(staged.params, x, results), results)

    return forger


def too_long(staged: StagedUpload, x: Vector) -> Made:
    """Bits that would fit a vector of zeros, whatever the vector is."""
    results = wr_results(staged.params, staged.commit_x(staged.deal("x", x)), x)
    nothing = gl.zeros(len(x))
    return _finish(staged, x, encode_bits(staged.params, nothing, gl.zeros(len(results))), results)


def wrong_proof(staged: StagedUpload, x: Vector) -> Made:
    """An honest vector and an invented proof."""
    results = wr_results(staged.params, staged.commit_x(staged.deal("x", x)), x)
    return _finish(staged, x, encode_bits(staged.params, x, results), results, wrong=True)


def of_another_session(staged: StagedUpload, x: Vector) -> Made:
    """What would have been good in the session after this one."""
    context = staged.context
    other = Context(context.chain_id, context.contract, context.session + 1)
    staged = replace(staged, context=other)
    results = wr_results(staged.params, staged.commit_x(staged.deal("x", x)), x)
    return _finish(staged, x, encode_bits(staged.params, x, results), results)
