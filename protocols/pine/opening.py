"""What a prover does with the piece that it was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocols.fields.goldilocks import Vector
from protocols.pine import transcript
from protocols.pine.encode import wr_results
from protocols.pine.flp import require
from protocols.pine.params import PineParams
from protocols.pine.pieces import SealedPiece
from protocols.pine.proof import Querier
from protocols.pine.transcript import HASH_BYTES, STAGES, Layout
from protocols.sharing import merkle
from protocols.wire.context import Context


@dataclass(frozen=True, slots=True)
class OpenedUpload:
    """share: (share_length,), see ``transcript.Layout``. The rest is the same at every prover."""

    share: Vector = field(repr=False)
    wr_seed: bytes
    joint_seed: bytes
    leaves_root: bytes


def open_upload(
    params: PineParams,
    context: Context,
    address: bytes,
    point: int,
    committee: int,
    root: bytes,
    proof: Sequence[bytes],
    public: bytes,
    plain: bytes,
) -> OpenedUpload:
    """The share of prover ``point`` (1 .. committee) in what the data owner sealed, sent and put on chain.

    address: 20 bytes.  root: from the chain.  proof: Merkle path.  public: all commitments of the first two stages.
    plain: what was sealed. ValueError, naming what is wrong, unless all of it is what the root committed to. Only
    the consistency check tells whether the shares of different provers fit together.
    """
    if not 1 <= point <= committee:
        raise ValueError(f"point {point} is not in 1 .. {committee}")
    wr_seed, joint_seed = transcript.public_seeds(context, address, committee, public)
    piece = SealedPiece.parse(params, committee, plain)
    commitments = [
        transcript.stage_commitment(context, address, point, stage, blind, data)
        for stage, blind, data in zip(STAGES, piece.blinds, piece.data, strict=True)
    ]
    for k, name in enumerate(("x", "bits")):
        place = HASH_BYTES * (k * committee + point - 1)
        if public[place : place + HASH_BYTES] != commitments[k]:
            raise ValueError(f"the commitment to the share of {name} in the public part is not that of the piece")
    _check_root(context, address, root, piece.leaves_root, public)
    leaf = transcript.leaf(context, address, point, commitments)
    if not merkle.verify(piece.leaves_root, leaf, point - 1, committee, proof):
        raise ValueError("the Merkle path does not lead from the piece to the root")
    return OpenedUpload(piece.share(params, point, committee), wr_seed, joint_seed, piece.leaves_root)


def _check_root(context: Context, address: bytes, root: bytes, leaves_root: bytes, public: bytes) -> None:
    if transcript.root(context, address, leaves_root, public) != root:
        raise ValueError("the root on chain is not that of the leaves and the public part")


def rebuilt_upload(
    params: PineParams,
    context: Context,
    address: bytes,
    committee: int,
    root: bytes,
    leaves_root: bytes,
    public: bytes,
    share: Vector,
) -> OpenedUpload:
    """For a prover without a piece: its share as rebuilt with the others, leaves_root and public from any of them.

    ValueError unless these two are what the root on chain says, and for a share of another length.
    """
    _check_root(context, address, root, leaves_root, public)
    seeds = transcript.public_seeds(context, address, committee, public)
    return OpenedUpload(require("share", share, params.share_length), *seeds, leaves_root)


def verify_piece(
    params: PineParams,
    context: Context,
    address: bytes,
    point: int,
    committee: int,
    root: bytes,
    proof: Sequence[bytes],
    public: bytes,
    plain: bytes,
) -> bool:
    """Whether a published piece is what the data owner committed to for prover ``point``. Any garbage gives False."""
    try:
        open_upload(params, context, address, point, committee, root, proof, public, plain)
    except ValueError:
        return False
    return True


def verifier_share(querier: Querier, opened: OpenedUpload) -> Vector:
    """(verifier_length,) the share of the verifier message that a prover opens. The checks are computed anew."""
    params, layout = querier.params, Layout(querier.params)
    x = opened.share[layout.x]
    return querier.verifier(
        x,
        opened.share[layout.bits],
        wr_results(params, opened.wr_seed, x),
        opened.share[layout.proof],
        transcript.joint_rand(params, opened.joint_seed),
    )
