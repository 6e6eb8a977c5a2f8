"""The field of the whole system: integers mod p = 2^64 - 2^32 + 1 ("Goldilocks"), in vectors of 64-bit words.

A ``Vector`` is one-dimensional and canonical (every word < p); functions take such vectors and return such vectors.
Canonical form is checked where values enter (``vector``, ``from_bytes``), shapes and types everywhere (ValueError).
Values above p/2 stand for negative numbers. Nothing here holds the interpreter lock for long: call it from threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from protocols.fields import kernels

P: int = 2**64 - 2**32 + 1
"""The modulus."""

Vector = npt.NDArray[np.uint64]
"""(d,) canonical field elements."""

HALF: int = (P - 1) // 2
"""The largest positive number that an element stands for; the smallest is -HALF."""

BLOCK: int = 1 << 14
"""Elements worked on at once where several vectors are combined: a few such blocks stay in the second-level cache."""


def _check(*vectors: Vector) -> None:
    for v in vectors:
        if v.dtype != np.uint64 or v.ndim != 1:
            raise ValueError(f"not a one-dimensional vector of uint64: {v.dtype}, {v.ndim} dimensions")
        if len(v) != len(vectors[0]):
            raise ValueError(f"vectors of different lengths: {len(vectors[0])} and {len(v)}")


def _inputs(*vectors: Vector) -> list[Vector]:
    _check(*vectors)
    return [np.ascontiguousarray(v) for v in vectors]


def _accumulator(acc: Vector, x: Vector) -> Vector:
    _check(acc, x)
    if not (acc.flags.c_contiguous and acc.flags.writeable):
        raise ValueError("cannot add in place to a vector that is read-only or not contiguous")
    return np.ascontiguousarray(x)


def is_canonical(words: npt.NDArray[np.uint64]) -> bool:
    """Whether every word is < p."""
    return words.size == 0 or int(words.max()) < P


def zeros(n: int) -> Vector:
    """(n,) zeros."""
    return np.zeros(n, dtype=np.uint64)


def vector(values: Iterable[int]) -> Vector:
    """The given integers as a vector. ValueError unless each is in [0, p): nothing is reduced silently."""
    numbers = [int(v) for v in values]
    for i, v in enumerate(numbers):
        if not 0 <= v < P:
            raise ValueError(f"element {i} is not in [0, p): {v}")
    return np.array(numbers, dtype=np.uint64)


def add(a: Vector, b: Vector) -> Vector:
    """a + b, element by element, in a new vector."""
    a, b = _inputs(a, b)
    out = np.empty_like(a)
    kernels.add(a, b, out)
    return out


def sub(a: Vector, b: Vector) -> Vector:
    """a - b, element by element, in a new vector."""
    a, b = _inputs(a, b)
    out = np.empty_like(a)
    kernels.sub(a, b, out)
    return out


def neg(a: Vector) -> Vector:
    """-a, in a new vector."""
    return sub(np.zeros_like(a), a)


def mul(a: Vector, b: Vector) -> Vector:
    """a * b, element by element, in a new vector."""
    a, b = _inputs(a, b)
    out = np.empty_like(a)
    kernels.mul(a, b, out)
    return out


def scale(a: Vector, c: int) -> Vector:
    """c * a for any integer c (reduced mod p), in a new vector."""
    (a,) = _inputs(a)
    out = np.empty_like(a)
    kernels.scale(np.uint64(c % P), a, out)
    return out


def add_into(acc: Vector, x: Vector) -> None:
    """acc += x in place. ValueError if acc is read-only or strided."""
    kernels.add(acc, _accumulator(acc, x), acc)


def sub_into(acc: Vector, x: Vector) -> None:
    """acc -= x in place."""
    kernels.sub(acc, _accumulator(acc, x), acc)


def axpy(acc: Vector, c: int, x: Vector) -> None:
    """acc += c * x in place, for any integer c (reduced mod p)."""
    x = _accumulator(acc, x)
    c %= P
    if c == 1:
        kernels.add(acc, x, acc)
    elif c == P - 1:
        kernels.sub(acc, x, acc)
    elif c:
        kernels.axpy(np.uint64(c), x, acc)


def lincomb(coeffs: Sequence[int], vectors: Sequence[Vector]) -> Vector:
    """sum_k coeffs[k] * vectors[k], in a new vector. ValueError if there is none or the counts differ."""
    if len(coeffs) != len(vectors) or not vectors:
        raise ValueError(f"{len(coeffs)} coefficients for {len(vectors)} vectors")
    _check(*vectors)
    out = zeros(len(vectors[0]))
    for start in range(0, len(out), BLOCK):
        stop = start + BLOCK
        for c, v in zip(coeffs, vectors, strict=True):
            axpy(out[start:stop], c, v[start:stop])
    return out


def dot(a: Vector, b: Vector) -> int:
    """The inner product, in [0, p). Fewer than 2^32 elements."""
    a, b = _inputs(a, b)
    halves = zeros(2)
    kernels.dot(a, b, halves)
    return (int(halves[0]) + (int(halves[1]) << 32)) % P


def inv(c: int) -> int:
    """1 / c. ZeroDivisionError for a multiple of p."""
    if c % P == 0:
        raise ZeroDivisionError("0 has no inverse")
    return pow(c, -1, P)


def lift(c: int) -> int:
    """The number in [-(p-1)/2, (p-1)/2] that element c stands for."""
    return c - P if c > HALF else c


def from_signed(values: npt.NDArray[np.int64]) -> Vector:
    """Signed integers as elements (negative x becomes p + x). ValueError if one is beyond +-(p-1)/2."""
    if values.dtype != np.int64 or values.ndim != 1:
        raise ValueError(f"not a one-dimensional vector of int64: {values.dtype}, {values.ndim} dimensions")
    if values.size and (int(values.max()) > HALF or int(values.min()) < -HALF):
        raise ValueError("a value is beyond +-(p - 1)/2")
    out = np.empty(len(values), dtype=np.uint64)
    kernels.from_signed(np.ascontiguousarray(values), out)
    return out


def to_signed(v: Vector) -> npt.NDArray[np.int64]:
    """The numbers in [-(p-1)/2, (p-1)/2] that the elements stand for; they always fit."""
    (v,) = _inputs(v)
    out = np.empty(len(v), dtype=np.int64)
    kernels.to_signed(v, out)
    return out


def to_bytes(v: Vector) -> bytes:
    """8 bytes per element, little-endian."""
    _check(v)
    return v.astype("<u8", copy=False).tobytes()


def from_bytes(data: bytes) -> Vector:
    """Inverse of ``to_bytes``. ValueError if the length is no multiple of 8 or a word is not canonical."""
    if len(data) % 8:
        raise ValueError(f"{len(data)} bytes are not a whole number of field elements")
    words = np.frombuffer(data, dtype="<u8").astype(np.uint64)
    if not is_canonical(words):
        raise ValueError("a word is not in [0, p)")
    return words
