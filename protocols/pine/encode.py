"""From a vector to what is proved about it: wrap-around checks, and the bits of norms and checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.fields.prg import SEED_BYTES
from protocols.pine import kernels
from protocols.pine.kernels import Bytes
from protocols.pine.params import MOST_DIMENSION, PineParams
from protocols.wire.context import tagged_hash

_PIECE = 1 << 16
_NOTHING = bytes(_PIECE)
_SQUARES = 1 << 12  # squares below 2^50 that are added up in 64 bits


class OutOfBound(ValueError):
    """The vector is too long for the bound, or (with probability 2^-101) unlucky in its wrap-around checks."""


def check_bytes(params: PineParams) -> int:
    """Bytes of randomness per wrap-around check: two bits per coordinate, four coordinates per byte."""
    return -(-params.dimension // 4)


def wr_stream(params: PineParams, seed: bytes) -> Iterator[Bytes]:
    """The randomness of the checks in order, (k, ceil(d/4)) bytes for k at once, in one buffer that is written again.

    AES-256-CTR keystream, counter from zero, key tagged_hash("omninode/prg", "pine checks", seed). seed: 32 bytes
    (ValueError).
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    key = tagged_hash("omninode/prg", b"pine checks", seed)
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    run = check_bytes(params)
    together = max(1, _PIECE // run)
    buffer = np.empty(together * run, dtype=np.uint8)
    for done in range(0, params.checks, together):
        count = min(together, params.checks - done)
        view = buffer.data[: count * run]
        for start in range(0, len(view), _PIECE):
            piece = view[start : start + _PIECE]
            encryptor.update_into(_NOTHING[: len(piece)], piece)
        yield buffer[: count * run].reshape(count, run)


def wr_results(params: PineParams, seed: bytes, x: Vector) -> Vector:
    """(checks,) inner products of x with the random vectors of a 32-byte seed. x: (d,).

    Linear: shares of x give shares of the results. ValueError for another length of seed or vector.
    """
    return wr_results_of(params, wr_stream(params, seed), x)


def wr_results_of(params: PineParams, streams: Iterable[Bytes], x: Vector) -> Vector:
    """``wr_results`` from the random bytes: (k, ceil(d/4)) for k checks after k checks, each used before the next.

    Coordinate j takes the bits 2 (j mod 4) and 2 (j mod 4) + 1 of byte j // 4: 00 is -1, 01 and 10 are 0, 11 is 1.
    """
    if x.shape != (params.dimension,) or x.dtype != np.uint64 or len(x) > MOST_DIMENSION:
        raise ValueError(f"a vector of {params.dimension} elements was expected, not one of shape {x.shape}")
    padded = x if len(x) % 4 == 0 else np.concatenate([x, gl.zeros(-len(x) % 4)])
    padded, run = np.ascontiguousarray(padded), check_bytes(params)
    sums = np.empty((params.checks, 2), dtype=np.uint64)
    done = 0
    for stream in streams:
        if stream.ndim != 2 or stream.shape[1] != run or done + len(stream) > params.checks:
            raise ValueError(f"{params.checks} checks take {run} random bytes each")
        kernels.wrap_dots(np.ascontiguousarray(stream), padded, sums[done : done + len(stream)])
        done += len(stream)
    if done != params.checks:
        raise ValueError(f"{params.checks} checks, but randomness for {done}")
    high = np.ascontiguousarray(sums[:, 1])
    low = sums[:, 0] - (high << np.uint64(32))  # a sum of low halves: signed and small, hence exact
    result = gl.from_signed(low.view(np.int64))
    gl.axpy(result, 1 << 32, gl.from_signed(high.view(np.int64)))
    return result


def squared_norm(params: PineParams, x: Vector) -> int:
    """The integer squared norm. OutOfBound if the vector is longer than the bound."""
    signed = gl.to_signed(x)
    if len(signed) and max(int(signed.max()), -int(signed.min())) > params.bound:
        raise OutOfBound(f"a coordinate alone is beyond the bound {params.bound}")
    norm = sum(int(np.dot(part, part)) for part in np.array_split(signed, -(-len(signed) // _SQUARES)))
    if norm > params.norm_bound:
        raise OutOfBound(f"the squared norm {norm} is above the square of the bound, {params.norm_bound}")
    return norm


def _bits(values: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.uint64]:
    """(n,) -> (n, count) bits, lowest first."""
    return (values[:, None] >> np.arange(count, dtype=np.uint64)) & np.uint64(1)


def encode_bits(params: PineParams, x: Vector, results: Vector) -> Vector:
    """(bits_length,) zeros and ones: bits of v = ||x||^2, of B^2 - v, then per check of v_c = result + W - 1, and g_c.

    x: (d,).  results: (checks,), from ``wr_results``. g_c marks the first ``successes`` checks in range.
    OutOfBound if the norm or too many checks do not fit. ValueError for other lengths.
    """
    if x.shape != (params.dimension,) or results.shape != (params.checks,):
        raise ValueError(f"{params.dimension} elements and {params.checks} results were expected")
    norm = squared_norm(params, x)
    shifted = gl.add(results, np.full(params.checks, params.wr_bound - 1, dtype=np.uint64))
    inside = shifted < np.uint64(2 * params.wr_bound)
    if int(inside.sum()) < params.successes:
        raise OutOfBound(f"only {int(inside.sum())} of {params.successes} wrap-around checks are in range")
    success = inside & (np.cumsum(inside) <= params.successes)
    norms = _bits(gl.vector([norm, params.norm_bound - norm]), params.norm_bits)
    checks = _bits(np.where(inside, shifted, np.uint64(0)), params.wr_bits)
    return np.concatenate([norms.ravel(), np.column_stack([checks, success.astype(np.uint64)]).ravel()])
