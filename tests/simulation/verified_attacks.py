"""Data owners that cheat with what they prove and share (mode verified). More forgers: ``omninode.demo.forge``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.demo.forge import Forger, Upload
from omninode.reproduce.stage.node import Node
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.encode import encode_bits, wr_results
from protocols.pine.params import PineParams
from protocols.pine.proof import prove
from protocols.pine.staging import StagedUpload
from protocols.pine.upload import make_upload
from protocols.sessions import verified_upload
from protocols.wire.context import Context


def forge(monkeypatch: pytest.MonkeyPatch, node: Node, forger: Forger) -> None:
    """``node`` makes its upload in another way, and does not mind the bound."""
    honest, norm = verified_upload.make_upload, verified_upload.squared_norm

    def make(
        params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
    ) -> Upload:
        maker = forger if address == node.address else honest
        return maker(params, context, address, x, committee, threshold, seed)

    def unminded(params: PineParams, x: Vector) -> int:
        own = node.update is not None and (gl.from_signed(node.update) == x).all()
        return 0 if own else norm(params, x)

    monkeypatch.setattr(verified_upload, "make_upload", make)
    monkeypatch.setattr(verified_upload, "squared_norm", unminded)


def inconsistent(points: list[int]) -> Forger:
    """Shares of the update at these points lie on no polynomial of degree t; all else is honest."""

    def forger(
        params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
    ) -> Upload:
        staged = StagedUpload(params, context, address, committee, threshold, seed)
        pieces = staged.deal("x", x)
        off = [gl.vector([7] * len(x)) if i + 1 in points else piece for i, piece in enumerate(pieces)]
        results = wr_results(params, staged.commit_x(off), x)
        return _finish(staged, x, results, 0)

    return forger


def wrong_proof(
    params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
) -> Upload:
    """An honest vector and a proof that is off by one everywhere."""
    staged = StagedUpload(params, context, address, committee, threshold, seed)
    return _finish(staged, x, wr_results(params, staged.commit_x(staged.deal("x", x)), x), 1)


def of_another_session(
    params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
) -> Upload:
    """What would be good in the session after this one."""
    other = replace(context, session=context.session + 1)
    return make_upload(params, other, address, x, committee, threshold, seed)


def _finish(staged: StagedUpload, x: Vector, results: Vector, off: int) -> Upload:
    bits = encode_bits(staged.params, x, results)
    joint_rand = staged.commit_bits(staged.deal("bits", bits))
    proof = prove(staged.params, x, bits, results, joint_rand, staged.prove_rand)
    proof = gl.add(proof, gl.vector([off] * len(proof)))
    return staged.commit_proof(staged.deal("proof", staged.sent_of(proof)))
