"""Lengths of everything in PINE, as functions of a few numbers. Which numbers to take: ``params``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from protocols.fields.goldilocks import P as FIELD

ALPHA_NUM, ALPHA_DEN = 87, 10
"""alpha = 8.7: an honest wrap-around check is at most alpha times the bound but with probability 2^-108."""


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
