"""The two circuits of PINE (draft-chen-cfrg-vdaf-pine-01). Constants are not divided: one party, or Shamir shares.

A ``Measurement`` is the whole or a share of it. The formulas are linear in it (joint randomness is public), up to
constants, and Lagrange coefficients add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.pine import ntt
from protocols.pine.flp import Query, Wires, gadget_holds, gadget_polynomial, require
from protocols.pine.params import PineParams, Sizes


@dataclass(frozen=True, slots=True)
class Measurement:
    """x: (d,).  bits: (bits_length,).  results: (checks,) of the wrap-around checks. Or shares of them."""

    x: Vector
    bits: Vector
    results: Vector

    def checked(self, params: PineParams) -> Measurement:
        """The same, contiguous. ValueError for wrong lengths."""
        return Measurement(
            require("vector", self.x, params.dimension),
            require("bits", self.bits, params.bits_length),
            require("results", self.results, params.checks),
        )


class NormEquality:
    """Squared norm of x = the number that the first bits spell. Gadget: sum of squares of ``chunk_norm`` inputs."""

    def __init__(self, params: PineParams) -> None:
        self.params = params
        self.sizes: Sizes = params.norm_equality

    def prove(self, meas: Measurement, prove_rand: Vector, joint_rand: Vector) -> Vector:
        """(proof_length,): wire seeds and gadget polynomial. joint_rand: empty."""
        require("joint randomness", joint_rand, 0)
        seeds = require("prove randomness", prove_rand, self.sizes.arity)
        wires = Wires(meas.x, self.sizes.arity)
        return np.concatenate([seeds, gadget_polynomial(self.sizes, wires.columns(seeds, self.sizes.points), None)])

    def query(self, query: Query, meas: Measurement, proof: Vector, joint_rand: Vector) -> Vector:
        """(verifier_length,) verifier message (or share of it)."""
        require("joint randomness", joint_rand, 0)
        seeds, poly = proof[: self.sizes.arity], proof[self.sizes.arity :]
        norm = gl.dot(meas.bits[: self.params.norm_bits], _bit_weights(self.params.norm_bits))
        output = (norm - query.outputs(poly, 1, self.sizes.calls + 1)) % P
        wires = Wires(meas.x, self.sizes.arity).at(seeds, query.weights)
        return np.concatenate([gl.vector([output]), wires, gl.vector([query.gadget(poly)])])

    def decide(self, verifier: Vector) -> bool:
        """Whether a whole verifier message says yes. ValueError for another length."""
        verifier = require("verifier message", verifier, self.sizes.verifier_length)
        return gadget_holds(verifier, gl.dot(verifier[1:-1], verifier[1:-1]))


class Valid:
    """Bits are bits, norm and bound agree, successful checks are in range, and there are enough of them.

    Gadget: sum of ``chunk`` products. First the pairs (r1^i bit_i, bit_i - 1), i from 0 (sum S1); then, from a new call
    on, (r2^c (result_c - (v_c - (W - 1))), g_c), c from 0 (sum S2). Output: S1 + r3 (v + u - B^2) + r3^2 S2 + r3^3
    (sum g_c - successes).
    """

    def __init__(self, params: PineParams) -> None:
        self.params = params
        self.sizes: Sizes = params.valid

    def prove(self, meas: Measurement, prove_rand: Vector, joint_rand: Vector) -> Vector:
        """(proof_length,): wire seeds (interleaved, as in the draft) and gadget polynomial. joint_rand: r1, r2, r3."""
        seeds = require("prove randomness", prove_rand, self.sizes.arity)
        left, right = self._wires(meas, require("joint randomness", joint_rand, 3))
        points = self.sizes.points
        columns = left.columns(seeds[0::2], points), right.columns(seeds[1::2], points)
        return np.concatenate([seeds, gadget_polynomial(self.sizes, *columns)])

    def query(self, query: Query, meas: Measurement, proof: Vector, joint_rand: Vector) -> Vector:
        """(verifier_length,) verifier message (or share of it)."""
        r3 = int(require("joint randomness", joint_rand, 3)[2])
        seeds, poly = proof[: self.sizes.arity], proof[self.sizes.arity :]
        left, right = self._wires(meas, joint_rand)
        wires = np.empty(self.sizes.arity, dtype=np.uint64)
        wires[0::2] = left.at(np.ascontiguousarray(seeds[0::2]), query.weights)
        wires[1::2] = right.at(np.ascontiguousarray(seeds[1::2]), query.weights)
        bit_calls = self.params.bit_calls
        bits = query.outputs(poly, 1, bit_calls + 1)
        checks = query.outputs(poly, bit_calls + 1, self.sizes.calls + 1)
        output = (bits + r3 * self._norm_fault(meas) + r3**2 * checks + r3**3 * self._count_fault(meas)) % P
        return np.concatenate([gl.vector([output]), wires, gl.vector([query.gadget(poly)])])

    def decide(self, verifier: Vector) -> bool:
        """Whether a whole verifier message says yes. ValueError for another length."""
        verifier = require("verifier message", verifier, self.sizes.verifier_length)
        return gadget_holds(verifier, gl.dot(verifier[1:-1:2], verifier[2:-1:2]))

    def _checks(self, meas: Measurement) -> Vector:
        """(checks, wr_bits + 1): per check the bits of v_c and g_c."""
        return meas.bits[2 * self.params.norm_bits :].reshape(self.params.checks, -1)

    def _norm_fault(self, meas: Measurement) -> int:
        """v + u - B^2."""
        weights = np.tile(_bit_weights(self.params.norm_bits), 2)
        return gl.dot(meas.bits[: len(weights)], weights) - self.params.norm_bound

    def _count_fault(self, meas: Measurement) -> int:
        """sum g_c - successes."""
        return gl.dot(self._checks(meas)[:, -1], np.ones(self.params.checks, dtype=np.uint64)) - self.params.successes

    def _wires(self, meas: Measurement, joint_rand: Vector) -> tuple[Wires, Wires]:
        p, bits = self.params, meas.bits
        r1, r2 = int(joint_rand[0]), int(joint_rand[1])
        start = p.bit_calls * p.chunk
        left, right = gl.zeros(start + p.checks), gl.zeros(start + p.checks)
        left[: len(bits)] = gl.mul(bits, ntt.powers_from_zero(r1, len(bits)))
        right[: len(bits)] = gl.sub(bits, np.ones_like(bits))
        checks = self._checks(meas)
        values = gl.lincomb([1 << k for k in range(p.wr_bits)], list(np.ascontiguousarray(checks[:, :-1].T)))
        faults = gl.sub(gl.add(meas.results, np.full(p.checks, p.wr_bound - 1, dtype=np.uint64)), values)
        left[start:] = gl.mul(faults, ntt.powers_from_zero(r2, p.checks))
        right[start:] = checks[:, -1]
        return Wires(left, p.chunk), Wires(right, p.chunk)


def _bit_weights(count: int) -> Vector:
    """1, 2, 4, ..."""
    return np.left_shift(np.uint64(1), np.arange(count, dtype=np.uint64))
