"""The two circuits of PINE (draft-chen-cfrg-vdaf-pine-01). Constants are not divided: one party, or Shamir shares.

A ``Measurement`` is the whole or a share of it. The formulas are linear in it (joint randomness is public), up to
constants, and Lagrange coefficients add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.kernels import combine
from protocols.pine import ntt
from protocols.pine.flp import Query, Wires, gadget_holds, gadget_polynomial, require
from protocols.pine.params import PineParams, Sizes


@dataclass(frozen=True)
class Measurement:
    """x: (d,).  bits: (bits_length,).  results: (checks,) of the wrap-around checks. Or shares of them.

    ValueError for wrong lengths. What all proofs of ``valid`` have in common is computed once.
    """

    params: PineParams
    x: Vector
    bits: Vector
    results: Vector

    def __post_init__(self) -> None:
        p = self.params
        for name, length in (("x", p.dimension), ("bits", p.bits_length), ("results", p.checks)):
            object.__setattr__(self, name, require(name, getattr(self, name), length))

    @cached_property
    def norm(self) -> int:
        """The squared norm that is claimed: v."""
        return self._number(0)

    @cached_property
    def norm_fault(self) -> int:
        """v + u - B^2."""
        return self.norm + self._number(self.params.norm_bits) - self.params.norm_bound

    def _number(self, start: int) -> int:
        count = self.params.norm_bits
        return gl.dot(self.bits[start : start + count], _bit_weights(count))

    @cached_property
    def _checks(self) -> Vector:
        """(checks, wr_bits + 1): per check the bits of v_c and g_c."""
        return self.bits[2 * self.params.norm_bits :].reshape(self.params.checks, -1)

    @cached_property
    def successes(self) -> Vector:
        """(checks,) g_c."""
        return np.ascontiguousarray(self._checks[:, -1])

    @cached_property
    def count_fault(self) -> int:
        """sum g_c - successes."""
        return gl.dot(self.successes, np.ones_like(self.successes)) - self.params.successes

    @cached_property
    def check_faults(self) -> Vector:
        """(checks,) result_c - (v_c - (W - 1))."""
        p, values = self.params, gl.zeros(self.params.checks)
        combine(_bit_weights(p.wr_bits), np.ascontiguousarray(self._checks[:, :-1].T), values)
        return gl.sub(gl.add(self.results, np.full(p.checks, p.wr_bound - 1, dtype=np.uint64)), values)

    @cached_property
    def right(self) -> Vector:
        """Right factors of the gadget's products: bit_i - 1, zeros up to the next call, g_c."""
        p = self.params
        right = gl.zeros(p.bit_calls * p.chunk + p.checks)
        right[: p.bits_length] = gl.sub(self.bits, np.ones_like(self.bits))
        right[p.bit_calls * p.chunk :] = self.successes
        return right

    def left(self, r1: int, r2: int) -> Vector:
        """Left factors: r1^i bit_i, zeros up to the next call, r2^c times the fault of check c."""
        p = self.params
        left = gl.zeros(p.bit_calls * p.chunk + p.checks)
        left[: p.bits_length] = gl.mul(self.bits, ntt.powers_from_zero(r1, p.bits_length))
        left[p.bit_calls * p.chunk :] = gl.mul(self.check_faults, ntt.powers_from_zero(r2, p.checks))
        return left


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
        output = (meas.norm - query.outputs(poly, 1, self.sizes.calls + 1)) % P
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
        output = (bits + r3 * meas.norm_fault + r3**2 * checks + r3**3 * meas.count_fault) % P
        return np.concatenate([gl.vector([output]), wires, gl.vector([query.gadget(poly)])])

    def decide(self, verifier: Vector) -> bool:
        """Whether a whole verifier message says yes. ValueError for another length."""
        verifier = require("verifier message", verifier, self.sizes.verifier_length)
        return gadget_holds(verifier, gl.dot(verifier[1:-1:2], verifier[2:-1:2]))

    def _wires(self, meas: Measurement, joint_rand: Vector) -> tuple[Wires, Wires]:
        width = self.params.chunk
        return Wires(meas.left(int(joint_rand[0]), int(joint_rand[1])), width), Wires(meas.right, width)


@lru_cache(maxsize=64)
def _bit_weights(count: int) -> Vector:
    """1, 2, 4, ..."""
    return np.left_shift(np.uint64(1), np.arange(count, dtype=np.uint64))
