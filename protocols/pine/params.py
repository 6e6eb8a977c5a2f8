"""Sizes of PINE, and which to take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isqrt

from protocols.fields.goldilocks import P as FIELD

ALPHA_NUM, ALPHA_DEN = 87, 10
"""alpha = 8.7: an honest wrap-around check is at most alpha times the bound but with probability 2^-108."""
WIDEST_CHECK = 1 << 28
"""The largest bound W of a wrap-around check for which the soundness argument of ``largest_bound`` holds."""
MOST_DIMENSION = (1 << 24) - 1
MOST_UPDATES = 256
"""Updates that may be added up without overflow."""


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Sizes:
    """One circuit. arity: inputs of its gadget (degree 2).  calls: of the gadget.  joint: joint randomness elements."""

    arity: int
    calls: int
    joint: int

    @property
    def points(self) -> int:
        """P: the roots of unity on which wire polynomials are given."""
        return _power_of_two(1 + self.calls)

    @property
    def coefficients(self) -> int:
        """Of the gadget polynomial."""
        return 2 * self.points - 1

    @property
    def proof_length(self) -> int:
        """Wire seeds, then the gadget polynomial's coefficients."""
        return self.arity + self.coefficients

    @property
    def verifier_length(self) -> int:
        """Circuit output, wire polynomials and gadget polynomial at the query point."""
        return self.arity + 2


@dataclass(frozen=True)
class PineParams:
    """What prover and verifiers agree on. Lengths count field elements; names follow the draft.

    dimension d; bound B: of the integer L2 norm; chunk, chunk_norm: gadget width of the circuits ``valid`` and
    ``norm_equality``; proofs, proofs_norm: how often each is proved; checks, successes: of the wrap-around test.
    ValueError unless all are positive, successes <= checks, and the bit-checked numbers stay below p.
    """

    dimension: int
    bound: int
    chunk: int
    chunk_norm: int
    proofs: int
    proofs_norm: int
    checks: int = 100
    successes: int = 100

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 1 or self.successes > self.checks:
            raise ValueError(f"sizes of a proof must be positive, with successes <= checks: {self}")
        if 4 * self.norm_bound >= FIELD // 2 or 2 * self.wr_bound >= FIELD // 2:
            raise ValueError(f"bound {self.bound} is too large for the field: its square must stay below p/8")

    @cached_property
    def norm_bound(self) -> int:
        """B^2."""
        return self.bound**2

    @cached_property
    def norm_bits(self) -> int:
        """Bits of a squared norm."""
        return self.norm_bound.bit_length()

    @cached_property
    def wr_bound(self) -> int:
        """W: an honest wrap-around check is in [-(W - 1), W]. The power of two from ceil(alpha B) + 1 on."""
        return _power_of_two(-(-ALPHA_NUM * self.bound // ALPHA_DEN) + 1)

    @cached_property
    def wr_bits(self) -> int:
        """Bits of a check's result plus W - 1."""
        return (2 * self.wr_bound - 1).bit_length()

    @cached_property
    def bits_length(self) -> int:
        """Bit-checked elements: two squared norms, then the bits and the success bit of each check."""
        return 2 * self.norm_bits + (self.wr_bits + 1) * self.checks

    @cached_property
    def meas_len(self) -> int:
        """Vector, bits and results of the checks."""
        return self.client_meas_len + self.checks

    @cached_property
    def client_meas_len(self) -> int:
        """What the data owner sends of it: the results are recomputed by the verifiers."""
        return self.dimension + self.bits_length

    @cached_property
    def norm_equality(self) -> Sizes:
        """Of the circuit that ties the claimed squared norm to the vector."""
        return Sizes(self.chunk_norm, -(-self.dimension // self.chunk_norm), 0)

    @cached_property
    def bit_calls(self) -> int:
        """Calls of the gadget of ``valid`` that check bits; they come before those for the wrap-around checks."""
        return -(-self.bits_length // self.chunk)

    @cached_property
    def valid(self) -> Sizes:
        """Of the circuit that checks bits, ranges and the wrap-around test."""
        return Sizes(2 * self.chunk, self.bit_calls + -(-self.checks // self.chunk), 3)

    def _total(self, of_norm: int, of_valid: int) -> int:
        return self.proofs_norm * of_norm + self.proofs * of_valid

    @cached_property
    def wires_length(self) -> int:
        """All wire seeds."""
        return self._total(self.norm_equality.arity, self.valid.arity)

    @property
    def prove_rand_length(self) -> int:
        """One element per wire of each proof."""
        return self.wires_length

    @cached_property
    def joint_rand_length(self) -> int:
        """Three elements per proof of ``valid``."""
        return self._total(self.norm_equality.joint, self.valid.joint)

    @cached_property
    def query_rand_length(self) -> int:
        """One point per proof."""
        return self._total(1, 1)

    @cached_property
    def proof_length(self) -> int:
        """All proofs: those of ``norm_equality``, then those of ``valid``."""
        return self._total(self.norm_equality.proof_length, self.valid.proof_length)

    @cached_property
    def verifier_length(self) -> int:
        """All verifier messages, in the same order."""
        return self._total(self.norm_equality.verifier_length, self.valid.verifier_length)

    @cached_property
    def share_length(self) -> int:
        """What is shared: vector, bits, proofs and one random pad for the consistency check."""
        return self.client_meas_len + self.proof_length + 1


def largest_bound(dimension: int) -> int:
    """The largest bound B (integer norm) that can be proved for vectors of ``dimension``; 0 if none.

    The committee learns the squared norm mod p only. Let x be the signed representatives, ||x|| > B, yet ||x||^2 mod p
    in [0, B^2]: then ||x||^2 >= p. Let W be the bound of a wrap-around check, B < W / 8.7. If W <= 2^28 and (2 d + 1) W
    < p, a check <z, x> mod p, z in {-1, 0, 1}^d with probability 1/4, 1/2, 1/4, falls into [-(W - 1), W] with
    probability at most 1/2 (PINE's argument, 2311.10237, with constants as in ``gram.projections``):
      some |x_i| >= 2W: given the rest of z the outcome is c with probability 1/2, else c + x_i or c - x_i. If c is
        inside, both others are outside, since 2W <= |x_i| <= p - 2W; if c is not, only they can be inside.
      all |x_i| < 2W: nothing wraps, since 2 d W + W < p. Berry-Esseen (constant 0.56), variance s^2 = ||x||^2 / 2 >=
        p/2, sum E|z_i x_i|^3 <= 2W s^2: at most (0.80 + 2.24) W / s < 3.04 2^28 / 2^31.49 < 1/2.
    Further, honest numbers stay below p/2 with room: B^2, inner products (B^2), squared distances (4 B^2), claimed
    squared norms (two of them below 4 B^2 in sum) and coordinates of the sum of 256 updates.
    """
    if not 1 <= dimension <= MOST_DIMENSION:
        return 0
    window = min(WIDEST_CHECK, 1 << ((FIELD - 1) // (2 * dimension + 1)).bit_length() - 1)
    by_checks = (window - 1) * ALPHA_DEN // ALPHA_NUM
    by_norm = isqrt((FIELD // 2 - 1) // 4)
    by_sum = (FIELD // 2) // MOST_UPDATES
    return max(0, min(by_checks, by_norm, by_sum))


def _cheapest(options: Iterable[tuple[Sizes, int]]) -> int:
    # An element that a data owner uploads counts as two that provers, who are servers, exchange.
    return min((2 * size.coefficients + size.verifier_length, width) for size, width in options)[1]


def _chunk_norm(dimension: int) -> int:
    widths = {-(-dimension // ((1 << k) - 1)) for k in range(1, 25)}
    return _cheapest((Sizes(width, -(-dimension // width), 0), width) for width in widths)


def _chunk(bits: int, checks: int) -> int:
    widths = range(1, bits + 1)
    return _cheapest((Sizes(2 * width, -(-bits // width) + -(-checks // width), 3), width) for width in widths)


@lru_cache(maxsize=64)
def choose(dimension: int, bound: int) -> PineParams:
    """Parameters with a soundness error of 2^-100 per attempt. ValueError if the bound does not fit the field.

    A false statement is accepted if (with m bits, N = P of a circuit, p = 2^64):
      all 100 wrap-around checks of a wrapped vector pass: 2^-100 (``largest_bound``). z is hashed from commitments.
      ``valid``, each of 2 proofs: the joint randomness hides the fault: (m + 100 + 3) / p < 2^-52 (m < 3600), hashed
        from commitments; or the query point does: (2 N - 2) / (p - N) < 2^-57.
      ``norm_equality``, each of 2 proofs: (2 N - 2) / (p - N): 2^-56 at d = 10^5, 2^-54 at 10^6.
    All proofs of a circuit have to lie at once: 2^-100 + 2^-104 + 2^-108 per attempt.
    Grinding: hashed randomness can be tried again by changing a blind. After 2^60 trials 2^-40 is left of the
    wrap-around test and 2^-44 of ``valid`` (one joint randomness hit, certain by then, leaves 2^-57 for the other
    proof). Query points come from a beacon after the commitments are on chain: they cannot be tried, and 2^-108 stays
    (2^-106 with the one bit that a block proposer has over a beacon).
    Why 2 proofs of ``valid``: one falls to 2^52 hashes; a third would not help, as the wrap-around test is weaker.
    Chunks: smallest 2 uploaded + exchanged elements. Wire seeds count as exchanged only, see ``pine.wires``.
    """
    most = largest_bound(dimension)
    if not 1 <= dimension <= MOST_DIMENSION:
        raise ValueError(f"dimension is {dimension}; it must be between 1 and {MOST_DIMENSION}")
    if not 1 <= bound <= most:
        raise ValueError(
            f"bound is {bound}; the largest that can be proved for {dimension} coordinates is {most} (lower frac_bits "
            "or the bound itself)"
        )
    bits = PineParams(dimension, bound, 1, 1, 1, 1).bits_length
    return PineParams(dimension, bound, _chunk(bits, 100), _chunk_norm(dimension), 2, 2)
