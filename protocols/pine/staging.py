"""The data owner's side of an upload, step by step: shares of the vector, its bits and its proofs, each committed.

Pieces of the first t points are seeds. Each stage has its own, so that what a stage commits to is fixed before the next
begins. The bytes that a prover gets: ``pieces``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from protocols.fields.goldilocks import Vector
from protocols.fields.prg import SEED_BYTES, expand
from protocols.pine import transcript, wires
from protocols.pine.params import PineParams
from protocols.pine.transcript import STAGES, Layout, Stage
from protocols.secagg.upload import pack_piece
from protocols.sharing import merkle
from protocols.sharing.shamir import deal
from protocols.wire.context import Context, tagged_hash


@dataclass(frozen=True, slots=True)
class Piece:
    """What one prover gets. blind (96 bytes) and data are secret; proof: Merkle path; public: the same for all."""

    blind: bytes = field(repr=False)
    data: bytes = field(repr=False)
    proof: tuple[bytes, ...]
    public: bytes = field(repr=False)

    @property
    def plain(self) -> bytes:
        """What is sealed."""
        return self.blind + self.data


@dataclass
class StagedUpload:
    """The steps of an upload; each must follow the one before.

    ``upload.make_upload`` is the honest sequence. address: 20 bytes.  committee: n.  threshold: degree t, n >= 4 t + 1.
    seed: 32 bytes, the only randomness: the same seed and vector give the same bytes again.
    """

    params: PineParams
    context: Context
    address: bytes
    committee: int
    threshold: int
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(self.seed)}")
        transcript.check_committee(self.committee, self.threshold)
        self._own = self.context.bind("pine-upload", self.address, self.seed)
        self._keys = wires.make_keys(self._derive("wires"), self.committee, self.threshold)
        self._packed: dict[Stage, list[bytes]] = {}
        self._commitments: dict[Stage, list[bytes]] = {}
        self._wr_seed = b""

    def _derive(self, purpose: str, number: int = 0) -> bytes:
        return tagged_hash("omninode/pine/" + purpose, number.to_bytes(4, "big"), self._own)

    @property
    def prove_rand(self) -> Vector:
        """(prove_rand_length,) the wire seeds."""
        return wires.wire_seeds(self._keys, self.params.wires_length)

    def deal(self, stage: Stage, secret: Vector) -> list[Vector | bytes]:
        """The pieces of x, of the bits, or of gadget polynomials and pad for the points 1 .. n."""
        return deal(secret, self.threshold, range(1, self.committee + 1), self._derive("deal " + stage))

    def _blind(self, stage: Stage, point: int) -> bytes:
        return self._derive("blind " + stage, point)

    def _commit(self, stage: Stage, packed: list[bytes]) -> list[bytes]:
        self._packed[stage] = packed
        self._commitments[stage] = [
            transcript.stage_commitment(self.context, self.address, i, stage, self._blind(stage, i), data)
            for i, data in enumerate(packed, start=1)
        ]
        return self._commitments[stage]

    def commit_x(self, pieces: Sequence[Vector | bytes]) -> bytes:
        """Returns the seed of the wrap-around checks."""
        commitments = self._commit("x", [pack_piece(piece) for piece in pieces])
        self._wr_seed = transcript.wr_seed(self.context, self.address, commitments)
        return self._wr_seed

    def commit_bits(self, pieces: Sequence[Vector | bytes]) -> Vector:
        """Returns the joint randomness."""
        commitments = self._commit("bits", [pack_piece(piece) for piece in pieces])
        seed = transcript.joint_seed(self.context, self.address, self._wr_seed, commitments)
        return transcript.joint_rand(self.params, seed)

    def sent_of(self, proof: Vector) -> Vector:
        """What is shared of the proofs: gadget polynomials, then the pad. Wire seeds are not sent."""
        return np.concatenate([proof[~Layout(self.params).wires], expand(self._derive("pad"), 1)])

    def commit_proof(self, pieces: Sequence[Vector | bytes]) -> tuple[bytes, list[Piece]]:
        """Returns the root for the chain and the piece of each prover."""
        head = bytes([self.threshold])
        keys = [head + wires.pack_keys(self._keys, point) for point in range(1, self.committee + 1)]
        self._commit("proof", [own + pack_piece(piece) for own, piece in zip(keys, pieces, strict=True)])
        public = b"".join(self._commitments["x"] + self._commitments["bits"])
        leaves = [
            transcript.leaf(self.context, self.address, i, [self._commitments[stage][i - 1] for stage in STAGES])
            for i in range(1, self.committee + 1)
        ]
        leaves_root, paths = merkle.root(leaves), merkle.proofs(leaves)
        made = [
            Piece(
                b"".join(self._blind(stage, i + 1) for stage in STAGES),
                b"".join([leaves_root, *(self._packed[stage][i] for stage in STAGES)]),
                tuple(path),
                public,
            )
            for i, path in enumerate(paths)
        ]
        return transcript.root(self.context, self.address, leaves_root, public), made
