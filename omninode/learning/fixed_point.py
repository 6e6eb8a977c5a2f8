"""Real update to bounded integers and back (design: ROUNDS, "Fixed point"). NumPy only.

Rounding alone breaks the L2 bound in most trials, so the integers are shrunk until their exact norm obeys it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MAX_MAGNITUDE = 1 << 62  # integers stay below p/2 of Goldilocks, and int64 never wraps
_LIMB = 21
_CHUNK = 1 << 20
_TRIES = 8


class FixedPointError(ValueError):
    """The update cannot be encoded; ``coordinate`` is the first one at fault (-1: the whole vector)."""

    def __init__(self, coordinate: int, detail: str) -> None:
        self.coordinate = coordinate
        super().__init__(f"update[{coordinate}] {detail}" if coordinate >= 0 else detail)


def norm_squared(vector: NDArray[np.int64]) -> int:
    """Exact squared L2 norm, a Python int, of integers below 2**62 in magnitude.

    Three limbs of 21 bits: a limb product has 42 bits, so 2**20 of them add up within int64.
    """
    total = 0
    for start in range(0, len(vector), _CHUNK):
        rest = np.abs(vector[start : start + _CHUNK])
        limbs = []
        while rest.any():
            limbs.append(rest & ((1 << _LIMB) - 1))
            rest = rest >> _LIMB
        total += sum(int(a @ b) << _LIMB * (i + j) for i, a in enumerate(limbs) for j, b in enumerate(limbs))
    return total


def encode(update: NDArray[np.float64], bound: int, frac_bits: int) -> NDArray[np.int64]:
    """Integers (d,) near ``update * 2**frac_bits`` whose exact L2 norm is at most ``bound``.

    update: real (d,), new weights minus old.  bound: floor(B * 2**frac_bits).  A longer update is scaled down to B
    (that clip is the protocol's). Raises FixedPointError, naming the coordinate, for NaN, infinity or a value that
    does not fit 62 bits; ValueError for wrong arguments.
    """
    x = np.asarray(update, dtype=np.float64)
    if x.ndim != 1 or not 1 <= bound < MAX_MAGNITUDE or not 0 <= frac_bits <= 48:
        raise ValueError(f"need a vector, 1 <= bound < 2**62, 0 <= frac_bits <= 48; got {(x.shape, bound, frac_bits)}")
    _refuse(x, ~np.isfinite(x), "is not a finite number")
    _refuse(x, np.abs(x) >= MAX_MAGNITUDE / 2**frac_bits, f"does not fit 62 bits with {frac_bits} of them fractional")
    scaled = x * float(2**frac_bits)
    scaled *= min(1.0, bound / max(float(np.linalg.norm(scaled)), 1e-300))
    rounded = np.rint(scaled).astype(np.int64)
    for _ in range(_TRIES):
        if (squared := norm_squared(rounded)) <= bound * bound:
            return rounded
        scaled *= bound / math.sqrt(squared) * (1 - 2**-40)
        rounded = np.rint(scaled).astype(np.int64)
    # Rounding dominates (a bound below about sqrt(d)): towards zero never lengthens the vector; 2**-40 pays for float.
    return np.trunc(scaled * (1 - 2**-40)).astype(np.int64)


def _refuse(x: NDArray[np.float64], bad: NDArray[np.bool_], why: str) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise FixedPointError(first, f"= {x[first]!r} {why}")


def decode_sum(total: NDArray[np.int64], frac_bits: int, count: int) -> NDArray[np.float64]:
    """Mean update (d,) of ``count`` parties from the integer sum of their encodings. Raises ValueError if count < 1."""
    if count < 1:
        raise ValueError(f"a mean over {count} parties does not exist")
    return np.asarray(total, dtype=np.float64) / (float(2**frac_bits) * count)
