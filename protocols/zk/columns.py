"""What a data owner looks up and adds up: integer columns and running sums of the range and norm proofs.

Lookup by logarithmic derivatives (Haboeck 2022): every value is in the table iff sum 1/(alpha + g_i) over the rows
equals sum m_i/(alpha + T_i) for the numbers m_i of times that the table's entries occur.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.bn254 import fr
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.zk.key import padded
from protocols.zk.params import ZkParams

Integers = npt.NDArray[np.int64]

_BLOCK = 1 << 16  # squares of 24-bit numbers that a 64-bit sum holds


class Collision(Exception):
    """A challenge meets the table, with probability 2^b/r: the owner starts again with fresh blinders."""


def check_values(params: ZkParams, values: Integers) -> None:
    """ValueError unless there are d integers in [-2^(b-1), 2^(b-1)). Nothing is clipped."""
    if values.dtype != np.int64 or values.shape != (params.dimension,):
        raise ValueError(f"{params.dimension} integers of 64 bits are needed, not {values.shape} of {values.dtype}")
    half = 1 << params.bits - 1
    if bad := int(np.count_nonzero((values < -half) | (values >= half))):
        raise ValueError(f"{bad} coordinates are not in [-{half}, {half})")


def multiplicities(params: ZkParams, values: Integers) -> Integers:
    """(N,): how often each entry of the table occurs in the N rows; padding rows hold zeros."""
    half = 1 << params.bits - 1
    counts = np.zeros(params.size, dtype=np.int64)
    counts[: 2 * half] = np.bincount(values + half, minlength=2 * half)
    counts[half] += params.size - params.dimension
    return counts


def running_sum(params: ZkParams, values: Integers, counts: Integers, alpha: int) -> Vector:
    """(N, 4): s_0 = 0, s_(i+1) = s_i + 1/(alpha + g_i) - m_i/(alpha + T_i). Collision if alpha is in -T."""
    half = 1 << params.bits - 1
    table = fr.shift(fr.from_signed(np.arange(-half, half, dtype=np.int64)), alpha)
    if not table.any(axis=1).all():
        raise Collision
    inverses = fr.inverse(table)
    steps = np.empty((params.size, 4), dtype=np.uint64)
    steps[: params.dimension] = inverses.take(values + half, axis=0)
    steps[params.dimension :] = inverses[half]
    low = steps[: 2 * half]
    low[:] = fr.sub(low, fr.mul(fr.from_signed(counts[: 2 * half]), inverses))
    return cyclic(steps)


def cyclic(steps: Vector) -> Vector:
    """out_0 = 0, out_(i+1) = out_i + steps_i. ValueError unless the last step leads back to 0."""
    sums = fr.prefix_sums(steps)
    if sums[-1].any():
        raise ValueError("the column does not add up to zero")
    out = np.empty_like(sums)
    out[0], out[1:] = 0, sums[:-1]
    return out


def squared_norm(values: Integers) -> int:
    """||g||^2 of values below 2^23."""
    return sum(int(np.dot(v, v)) for v in np.split(values, range(_BLOCK, len(values), _BLOCK)))


def slack_bits(params: ZkParams, values: Integers, bound_squared: int, count: int) -> Integers:
    """(N,): the lowest ``count`` bits of B^2 - ||g||^2, then zeros. ValueError if the norm exceeds the bound."""
    slack = bound_squared - squared_norm(values)
    if slack < 0 or slack >> count:
        raise ValueError(f"the squared norm is {bound_squared - slack}, more than {bound_squared}")
    out = np.zeros(params.size, dtype=np.int64)
    out[:count] = [slack >> j & 1 for j in range(count)]
    return out


def norm_sum(params: ZkParams, values: Integers, bits: Integers, bound_squared: int) -> Vector:
    """(N, 4): nn_0 = 0, nn_(i+1) = nn_i + g_i^2 + 2^i e_i - B^2/N. ValueError if it does not close."""
    steps = padded(fr.from_signed(values * values), params.size)
    slack = fr.vector(int(bit) << j for j, bit in enumerate(bits[:127]))
    steps[: len(slack)] = fr.add(steps[: len(slack)], slack)
    return cyclic(fr.shift(steps, -bound_squared * pow(params.size, -1, R) % R))
