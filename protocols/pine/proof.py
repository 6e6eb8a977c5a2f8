"""Everything that is proved about one vector: both circuits, each several times, one proof after the other.

Order everywhere: the proofs of ``norm_equality``, then those of ``valid``. Proofs of one circuit differ in their
randomness only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from protocols.fields.goldilocks import Vector
from protocols.pine.circuits import Measurement, NormEquality, Valid
from protocols.pine.flp import Query, require
from protocols.pine.params import PineParams


def _circuits(params: PineParams) -> Iterator[NormEquality | Valid]:
    for _ in range(params.proofs_norm):
        yield NormEquality(params)
    for _ in range(params.proofs):
        yield Valid(params)


class _Cursor:
    """Reads a vector from left to right."""

    def __init__(self, vector: Vector) -> None:
        self._vector, self._next = vector, 0

    def take(self, count: int) -> Vector:
        self._next += count
        return self._vector[self._next - count : self._next]


def prove(
    params: PineParams, x: Vector, bits: Vector, results: Vector, joint_rand: Vector, prove_rand: Vector
) -> Vector:
    """(proof_length,) all proofs. The statement is not checked here: a false one gives proofs that are refused.

    x: (d,).  bits: from ``encode_bits``.  results: from ``wr_results``.  joint_rand: (joint_rand_length,), drawn after
    x and bits were committed.  prove_rand: (prove_rand_length,) uniform, secret; hides the vector. ValueError for other
    lengths.
    """
    meas = Measurement(params, x, bits, results)
    joint = _Cursor(require("joint randomness", joint_rand, params.joint_rand_length))
    own = _Cursor(require("prove randomness", prove_rand, params.prove_rand_length))
    return np.concatenate(
        [c.prove(meas, own.take(c.sizes.arity), joint.take(c.sizes.joint)) for c in _circuits(params)]
    )


class Querier:
    """A verifier with its query points: one for all data owners of a session, since weights depend on these only.

    query_rand: (query_rand_length,), drawn after the proofs were committed. ValueError for another length, or if a
    point is one of the roots of unity of its proof (``transcript.query_rand`` never gives one).
    """

    def __init__(self, params: PineParams, query_rand: Vector) -> None:
        points = require("query randomness", query_rand, params.query_rand_length)
        self.params = params
        self._queries = [(c, Query(c.sizes, int(t))) for c, t in zip(_circuits(params), points, strict=True)]

    def verifier(self, x: Vector, bits: Vector, results: Vector, proof: Vector, joint_rand: Vector) -> Vector:
        """(verifier_length,) verifier message, or a share of it where all but joint_rand are shares.

        Lengths as in ``prove`` (ValueError). Affine: combining shares with Lagrange weights gives the message.
        """
        meas = Measurement(self.params, x, bits, results)
        proofs = _Cursor(require("proof", proof, self.params.proof_length))
        joint = _Cursor(require("joint randomness", joint_rand, self.params.joint_rand_length))
        return np.concatenate(
            [
                c.query(query, meas, proofs.take(c.sizes.proof_length), joint.take(c.sizes.joint))
                for c, query in self._queries
            ]
        )


def query(
    params: PineParams,
    x_share: Vector,
    bits_share: Vector,
    results_share: Vector,
    proof_share: Vector,
    joint_rand: Vector,
    query_rand: Vector,
) -> Vector:
    """``Querier.verifier`` for one data owner alone."""
    return Querier(params, query_rand).verifier(x_share, bits_share, results_share, proof_share, joint_rand)


def decide(params: PineParams, verifier: Vector) -> bool:
    """Whether a whole verifier message accepts: every proof must. ValueError for another length."""
    messages = _Cursor(require("verifier message", verifier, params.verifier_length))
    return all([c.decide(messages.take(c.sizes.verifier_length)) for c in _circuits(params)])
