"""Small instances of PINE for tests: an honest data owner, and the randomness that a session would draw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand
from protocols.pine.encode import encode_bits, wr_results
from protocols.pine.params import PineParams, choose
from protocols.pine.proof import decide, prove, query
from protocols.pine.transcript import joint_rand, query_rand
from protocols.wire.context import Context

CONTEXT = Context(31337, b"\x11" * 20, 7)
ADDRESS = b"o" * 20
BEACON = b"b" * 32
COMMITTEE, DEGREE = 5, 1


def vector(rng: np.random.Generator, params: PineParams, part: float = 0.9) -> Vector:
    """(d,) of integer norm about ``part`` of the bound."""
    values = rng.standard_normal(params.dimension)
    values *= part * params.bound / np.linalg.norm(values)
    return gl.from_signed(np.trunc(values).astype(np.int64))


@dataclass(frozen=True)
class Instance:
    """A measurement, the randomness that it is proved and checked with, and the proofs."""

    params: PineParams
    x: Vector
    bits: Vector
    results: Vector
    joint: Vector
    points: Vector
    proof: Vector

    def verifier(self) -> Vector:
        """The whole verifier message."""
        return query(self.params, self.x, self.bits, self.results, self.proof, self.joint, self.points)

    def accepted(self) -> bool:
        """Query and decide."""
        return decide(self.params, self.verifier())

    def changed(self, part: str, index: int, value: int) -> Instance:
        """The same with one element replaced; nothing is proved again."""
        patched = getattr(self, part).copy()
        patched[index] = value % P
        return replace(self, **{part: patched})

    def proved(self, seed: bytes = b"again".ljust(32)) -> Instance:
        """The same with honest proofs of whatever the measurement is."""
        rand = expand(seed, self.params.prove_rand_length)
        return replace(self, proof=prove(self.params, self.x, self.bits, self.results, self.joint, rand))


def statement(params: PineParams, x: Vector, results: Vector, bits: Vector) -> Instance:
    """Any statement, true or false, with proofs made as an honest prover makes them."""
    joint = joint_rand(params, b"j" * 32)
    empty = gl.zeros(params.proof_length)
    return Instance(params, x, bits, results, joint, query_rand(params, CONTEXT, BEACON), empty).proved()


def honest(params: PineParams, x: Vector, seed: bytes = b"w" * 32) -> Instance:
    """A true statement."""
    results = wr_results(params, seed, x)
    return statement(params, x, results, encode_bits(params, x, results))


def small(dimension: int = 20, bound: int = 300) -> PineParams:
    """Parameters of a session."""
    return choose(dimension, bound)


def bits_of(value: int, count: int) -> list[int]:
    """Lowest first."""
    return [value >> k & 1 for k in range(count)]


def claimed_bits(params: PineParams, norm: int, results: Vector, forced: bool) -> Vector:
    """What a liar would send: any squared norm, checks in range or not. forced: success bits set all the same."""
    bits = bits_of(norm, params.norm_bits) + bits_of(params.norm_bound - norm, params.norm_bits)
    for result in results:
        shifted = (int(result) + params.wr_bound - 1) % P
        inside = shifted < 2 * params.wr_bound
        bits += [*bits_of(shifted, params.wr_bits), int(inside or forced)]
    return gl.vector(bits)


def wrapped(params: PineParams) -> Vector:
    """A vector whose squared norm is 0 mod p and far beyond p as an integer: (v, r v, 0, ...), r^2 = -1."""
    root = pow(7, (P - 1) // 4, P)
    x = gl.zeros(params.dimension)
    x[0], x[-1] = 1 << 40, root * (1 << 40) % P
    return x
