"""Everything that is hashed, and where each part of a share vector is.

The order is what makes the proof sound: the checks are hashed from commitments to the shares of x, the joint randomness
from that and from commitments to the shares of the bits; the proofs are committed by the root on chain; then a beacon
gives the query points.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand, expand_int
from protocols.pine.params import PineParams, Sizes
from protocols.wire.context import Context

Stage = Literal["x", "bits", "proof"]
"""What a data owner shares and commits, in this order."""

STAGES: tuple[Stage, ...] = ("x", "bits", "proof")
HASH_BYTES = 32


def check_committee(committee: int, degree: int) -> None:
    """ValueError unless n >= 4 t + 1 (and n <= 255): fewer provers cannot decode a product with t liars."""
    if not 0 <= 4 * degree < committee <= 255:
        raise ValueError(f"a committee of {committee} does not go with sharings of degree {degree}")


@dataclass(frozen=True)
class Layout:
    """The vector that one data owner shares: x (d), bits, proofs, pad (1); ``params.share_length`` in all."""

    params: PineParams

    @cached_property
    def x(self) -> slice:
        """The update."""
        return slice(0, self.params.dimension)

    @cached_property
    def bits(self) -> slice:
        """Bits of norms and checks."""
        return slice(self.params.dimension, self.params.client_meas_len)

    @cached_property
    def proof(self) -> slice:
        """All proofs."""
        return slice(self.params.client_meas_len, self.params.share_length - 1)

    @cached_property
    def pad(self) -> slice:
        """The random coordinate of the consistency check; last."""
        return slice(self.params.share_length - 1, self.params.share_length)

    @cached_property
    def wires(self) -> npt.NDArray[np.bool_]:
        """(proof_length,): where in the proofs the wire seeds are."""
        p = self.params
        every = [p.norm_equality] * p.proofs_norm + [p.valid] * p.proofs
        return np.concatenate([np.arange(size.proof_length) < size.arity for size in every])


def stage_commitment(context: Context, address: bytes, point: int, stage: Stage, blind: bytes, data: bytes) -> bytes:
    """The commitment of one data owner to what prover ``point`` gets in a stage.

    address: 20 bytes.  blind: 32 random bytes.  data: the packed piece, a vector or the seed that it is expanded from:
    a seed determines its vector, so committing to it is as binding.
    """
    digest = hashlib.sha256(data).digest()
    return context.bind("pine-stage", stage.encode(), address, point.to_bytes(4, "big"), blind, digest)


def wr_seed(context: Context, address: bytes, commitments: Sequence[bytes]) -> bytes:
    """The seed of the wrap-around checks, from the commitments to the shares of x at the points 1 .. n. 32 bytes."""
    return context.bind("pine-checks", address, *commitments)


def joint_seed(context: Context, address: bytes, wr_seed: bytes, commitments: Sequence[bytes]) -> bytes:
    """The seed of the joint randomness: from ``wr_seed`` and the commitments to the shares of the bits. 32 bytes."""
    return context.bind("pine-joint", address, wr_seed, *commitments)


def joint_rand(params: PineParams, seed: bytes) -> Vector:
    """(joint_rand_length,) uniform elements. seed: from ``joint_seed``."""
    return expand(seed, params.joint_rand_length, b"pine joint randomness")


def query_rand(params: PineParams, context: Context, beacon: bytes) -> Vector:
    """(query_rand_length,) query points of a session, one per proof: uniform among those that a query takes.

    beacon: 32 bytes, drawn after every root was on chain. A point that is a root of unity for its proof (probability
    2^-54) is drawn again from the next label.
    """
    seed = context.bind("pine-query", beacon)
    every = [params.norm_equality] * params.proofs_norm + [params.valid] * params.proofs
    return gl.vector(_point(seed, number, sizes) for number, sizes in enumerate(every))


def _point(seed: bytes, number: int, sizes: Sizes) -> int:
    attempt = 0
    while True:
        point = expand_int(seed, b"pine query point %d, attempt %d" % (number, attempt))
        if pow(point, sizes.points, P) != 1:
            return point
        attempt += 1


def leaf(context: Context, address: bytes, point: int, commitments: Sequence[bytes]) -> bytes:
    """What the root says about prover ``point``: the commitments of its three stages, in order."""
    return context.bind("pine-leaf", address, point.to_bytes(4, "big"), *commitments)


def root(context: Context, address: bytes, leaves_root: bytes, public: bytes) -> bytes:
    """What goes on chain: over the Merkle root of the leaves and the public part, so that all provers hash alike."""
    return context.bind("pine-root", address, leaves_root, public)


def public_seeds(context: Context, address: bytes, committee: int, public: bytes) -> tuple[bytes, bytes]:
    """(wr_seed, joint_seed) from the public part: all commitments to shares of x, then all to shares of the bits.

    committee: n. ValueError for another length than 2 n 32 bytes.
    """
    if len(public) != 2 * committee * HASH_BYTES:
        raise ValueError(f"the public part has {2 * committee * HASH_BYTES} bytes, not {len(public)}")
    hashes = [public[i : i + HASH_BYTES] for i in range(0, len(public), HASH_BYTES)]
    checks = wr_seed(context, address, hashes[:committee])
    return checks, joint_seed(context, address, checks, hashes[committee:])
