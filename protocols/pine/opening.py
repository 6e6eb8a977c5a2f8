"""What a prover does with the piece that it was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from protocols.fields.goldilocks import Vector
from protocols.fields.prg import SEED_BYTES
from protocols.pine import transcript, wires
from protocols.pine.encode import wr_results
from protocols.pine.params import PineParams
from protocols.pine.proof import Querier
from protocols.pine.transcript import HASH_BYTES, STAGES, Layout
from protocols.secagg.upload import BLIND_BYTES, piece_bytes, unpack_piece
from protocols.sharing import merkle
from protocols.sharing.shamir import open_piece
from protocols.sharing.zero import Seeds
from protocols.wire.context import Context


@dataclass(frozen=True, slots=True)
class OpenedUpload:
    """share: (share_length,), see ``transcript.Layout``.  wr_seed, joint_seed: the same at every prover."""

    share: Vector = field(repr=False)
    wr_seed: bytes
    joint_seed: bytes


class _Reader:
    """Takes a sealed piece apart, from left to right."""

    def __init__(self, plain: bytes) -> None:
        self._rest = memoryview(plain)

    def take(self, name: str, count: int) -> bytes:
        if len(self._rest) < count:
            raise ValueError(f"{name}: {count} bytes were expected, {len(self._rest)} are left")
        taken, self._rest = bytes(self._rest[:count]), self._rest[count:]
        return taken

    def piece(self, name: str, length: int) -> bytes:
        """A packed vector of ``length`` or a packed seed: its first byte says which."""
        seeded = bytes(self._rest[:1]) == b"\x01"
        return self.take(name, 1 + SEED_BYTES if seeded else piece_bytes(length))

    def end(self) -> None:
        if len(self._rest):
            raise ValueError(f"{len(self._rest)} bytes follow the piece")


def _unpacked(name: str, data: bytes, length: int) -> Vector:
    try:
        return open_piece(unpack_piece(data, length), length)
    except ValueError as error:
        raise ValueError(f"share of {name}: {error}") from None


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
    reader = _Reader(plain)
    blinds = reader.take("blinds", len(STAGES) * BLIND_BYTES)
    leaves_root = reader.take("root of the leaves", HASH_BYTES)
    degree = reader.take("degree", 1)[0]
    transcript.check_committee(committee, degree)
    sent = params.proof_length - params.wires_length + 1
    x, bits = reader.piece("share of x", params.dimension), reader.piece("share of bits", params.bits_length)
    keys, rest = reader.take("wire keys", wires.keys_length(committee, degree)), reader.piece("share of proofs", sent)
    reader.end()
    commitments = [
        transcript.stage_commitment(
            context, address, point, stage, blinds[BLIND_BYTES * k : BLIND_BYTES * (k + 1)], data
        )
        for k, (stage, data) in enumerate(zip(STAGES, (x, bits, keys + rest), strict=True))
    ]
    for k, name in enumerate(("x", "bits")):
        place = HASH_BYTES * (k * committee + point - 1)
        if public[place : place + HASH_BYTES] != commitments[k]:
            raise ValueError(f"the commitment to the share of {name} in the public part is not that of the piece")
    if transcript.root(context, address, leaves_root, public) != root:
        raise ValueError("the root on chain is not that of the leaves and the public part")
    leaf = transcript.leaf(context, address, point, commitments)
    if not merkle.verify(leaves_root, leaf, point - 1, committee, proof):
        raise ValueError("the Merkle path does not lead from the piece to the root")
    return OpenedUpload(
        _share(params, point, committee, (x, bits, rest), wires.unpack_keys(keys, point, committee, degree)),
        wr_seed,
        joint_seed,
    )


def _share(params: PineParams, point: int, committee: int, packed: tuple[bytes, bytes, bytes], keys: Seeds) -> Vector:
    layout = Layout(params)
    share = np.empty(params.share_length, dtype=np.uint64)
    share[layout.x] = _unpacked("x", packed[0], params.dimension)
    share[layout.bits] = _unpacked("bits", packed[1], params.bits_length)
    sent = _unpacked("proofs", packed[2], params.proof_length - params.wires_length + 1)
    proofs = share[layout.proof]
    proofs[layout.wires] = wires.wire_share(keys, point, committee, params.wires_length)
    proofs[~layout.wires] = sent[:-1]
    share[layout.pad] = sent[-1:]
    return share


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
