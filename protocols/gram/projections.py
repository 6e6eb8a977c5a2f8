"""The wrap-around test of a group's sum: random ternary projections (PINE, arXiv 2311.10237; design: ROUNDS, step 6).

The committee sees the inner product G = <v, v> of a group's sum v mod p only, which says nothing if the integer norm
passed p. So 64 projections <z, v>, z in {-1, 0, 1}^d with P(0) = 1/2, drawn from a beacon after v was committed, must
also stay within w = 8.7 U B, where U B bounds the L2 norm of an honest sum (U members, bound B each, in units of the
fixed point).

Honest sums pass: E exp(s z x) = cosh(s x/2)^2 <= exp(s^2 x^2/4), hence P(|<z, v>| > a ||v||) <= 2 exp(-a^2), which is
2^-108 at a = 8.7 and 2^-102 for all 64 projections together.

Others fail. Let v be the signed representatives, ||v|| > U B, yet G lifted in [0, (U B)^2]: then ||v||^2 >= p. If
``fits`` holds, one projection stays inside [-w, w] with probability at most 1/2:
  some |v_i| > 2w: given the rest of z the outcome mod p is c with probability 1/2, else c + v_i or c - v_i. If c is
    inside, the two others are outside; if not, at most they are inside. Either way at most 1/2.
  all |v_i| <= 2w: no projection wraps, since d 2w + w < p. Berry-Esseen (constant 0.56) with variance s^2 = ||v||^2/2
    >= p/2 and sum_i E|z_i v_i|^3 <= 2w s^2 gives P(|<z, v>| <= w) <= (2/sqrt(2 pi) + 2.24) w/s < 3.04 w/s <= 1/2 for w
    <= 2^28.
All 64 pass with probability 2^-64 at most (2^-63 with the one bit that a block proposer has over a beacon).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.jit import SIGNED_OUT, SMALL_TABLE, VOID, WORDS, kernel

WRAP_ALPHA_NUM = 87
WRAP_ALPHA_DEN = 10
"""alpha = 8.7: an honest projection is at most alpha times the norm bound."""
PROJECTIONS = 64
"""Projections per group."""
WIDEST_WINDOW = 1 << 28
"""The largest alpha U B for which the soundness argument above holds."""

_COLUMNS = 1 << 13  # of the vector at once: 64 KiB, stays in the first caches while all rows pass over it
_LOW = np.uint64(0xFFFF_FFFF)
_32 = np.uint64(32)


@kernel(VOID(WORDS, SMALL_TABLE, SIGNED_OUT, SIGNED_OUT))
def _project(vector: Vector, z: npt.NDArray[np.int8], low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> None:
    """low[r], high[r] = sums of z[r, i] times the low and high 32 bits of vector[i]; exact below 2^24 coordinates."""
    for start in range(0, len(vector), _COLUMNS):
        stop = min(start + _COLUMNS, len(vector))
        for r in range(z.shape[0]):
            a, b = np.int64(0), np.int64(0)
            for i in range(start, stop):
                sign = np.int64(z[r, i])
                a += sign * np.int64(vector[i] & _LOW)
                b += sign * np.int64(vector[i] >> _32)
            low[r] += a
            high[r] += b


def project(vector: Vector, z: npt.NDArray[np.int8]) -> Vector:
    """(m,) projections <z[r], vector> mod p. vector: (d,), d < 2^24.  z: (m, d), see ``prg.ternary``.

    Linear, so provers project their shares. Exact: the two halves of a word are summed apart as 64-bit integers.
    ValueError for other shapes, types or lengths.
    """
    if vector.ndim != 1 or vector.dtype != np.uint64 or z.dtype != np.int8 or z.ndim != 2 or z.shape[1] != len(vector):
        raise ValueError(f"z of shape {z.shape} does not go with a vector of shape {vector.shape}")
    if len(vector) >= 1 << 24:
        raise ValueError(f"{len(vector)} coordinates are too many to sum without overflow")
    low, high = np.zeros(len(z), dtype=np.int64), np.zeros(len(z), dtype=np.int64)
    _project(np.ascontiguousarray(vector), np.ascontiguousarray(z), low, high)
    result = gl.from_signed(low)
    gl.axpy(result, 1 << 32, gl.from_signed(high))
    return result


def within_wrap_bound(value_signed: int, survivors: int, bound: int) -> bool:
    """|<z, A_r>| <= 8.7 |U_r| B, in integers. value_signed: lifted.  bound: floor(B 2^frac_bits)."""
    return abs(value_signed) * WRAP_ALPHA_DEN <= WRAP_ALPHA_NUM * survivors * bound


def within_norm_bound(g_rr: int, survivors: int, bound: int) -> bool:
    """0 <= G_rr <= (|U_r| B)^2. g_rr: lifted."""
    return 0 <= g_rr <= (survivors * bound) ** 2


def fits(dimension: int, members: int, bound: int) -> bool:
    """Whether a session may have these numbers: the soundness argument holds and no honest sum or product reaches p/2.

    members: the most that one group may have (2N - 1 for the last).  bound: floor(B 2^frac_bits).
    """
    window = -(-WRAP_ALPHA_NUM * members * bound // WRAP_ALPHA_DEN)
    return 0 < window <= WIDEST_WINDOW and 0 < dimension < 1 << 24 and (2 * dimension + 1) * window < P
