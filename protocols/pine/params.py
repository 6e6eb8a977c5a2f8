"""Which sizes of PINE to take: how large a bound may be, and what is sound and short."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import isqrt

from protocols.fields.goldilocks import P as FIELD
from protocols.pine.sizes import ALPHA_DEN, ALPHA_NUM, PineParams, Sizes

__all__ = ["MOST_DIMENSION", "MOST_UPDATES", "PineParams", "Sizes", "choose", "largest_bound"]

WIDEST_CHECK = 1 << 28
"""The largest bound W of a wrap-around check for which the soundness argument of ``largest_bound`` holds."""
MOST_DIMENSION = (1 << 24) - 1
MOST_UPDATES = 256
"""Updates that may be added up without overflow."""


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
