"""A key whose secret is known: the commitments of ``Key``, byte for byte, without sums of multiples.

For those whose work is not measured: with it a record takes a tenth of the time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from omninode.learning.precision import largest_bound
from protocols.bn254 import fr, g1, poly, srs
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Point
from protocols.zk.key import Key, make_key, padded, session_hash
from protocols.zk.params import NB_G, Statement, ZkParams, choose, norm_bits

LABEL = "benchmark"
CHAIN_ID, CONTRACT, SESSION = 31337, bytes(range(1, 21)), 1


@dataclass(frozen=True, eq=False, slots=True)
class KnownKey(Key):
    """tau: what the string was made of."""

    tau: int

    def commit(self, coefficients: Vector) -> Point:
        """[p(tau)]."""
        at = fr.single(poly.evaluate(coefficients, self.tau))
        return g1.to_integers(g1.multiply_fixed(g1.generator(), at))[0]

    def commit_values(self, values: Vector, blinders: Vector) -> Point:
        """The same of ``poly.blinded``."""
        return self.commit(poly.blinded(padded(values, self.params.size), blinders))


def known(key: Key) -> KnownKey:
    """The same key for who knows the secret of ``LABEL``; it works in one thread."""
    held = {field.name: getattr(key, field.name) for field in fields(Key)} | {"threads": 1}
    return KnownKey(**held, tau=srs.insecure_secret(LABEL))


def params_of(dimension: int) -> ZkParams:
    """Sizes of the proofs: the finest fixed point whose table has no more rows than the update, as in sessions."""
    return choose(dimension, largest_bound(dimension))


def key_of(dimension: int, statement: Statement, threads: int = 2) -> Key:
    """The key that everybody has, in Lagrange form."""
    params = params_of(dimension)
    string = srs.insecure(LABEL, params.powers)
    basis = srs.known_basis(srs.insecure_secret(LABEL), params.size, NB_G)
    bits = None if statement is Statement.GRAM else norm_bits(largest_bound(dimension))
    return make_key(params, string, bits, basis, threads)


def session_of(key: Key) -> bytes:
    """sess."""
    return session_hash(CHAIN_ID, CONTRACT, SESSION, 0, key.digest, largest_bound(key.params.dimension) ** 2)
