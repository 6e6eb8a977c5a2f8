"""Vectors over Fr, the integers mod R that multiply points of BN254.

A ``Vector`` is (n, 4) words, C-contiguous: n elements in Montgomery form (x * 2^256 mod R, lowest word first), each
less than R. Functions take and return such vectors; single elements are Python integers. Shapes and types are checked
everywhere (ValueError), ranges where values enter. Nothing here holds the interpreter lock for long.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from protocols.bn254 import fr_kernels as kernels
from protocols.bn254.field import MONTGOMERY, R

Vector = npt.NDArray[np.uint64]
"""(n, 4) words: n elements of Fr in Montgomery form."""

BYTES = 32
"""Length of an element as bytes, big-endian."""

UNIFORM_BYTES = 48
"""Random bytes that become one element: uniform up to 2^-130."""

BLOCK = 1 << 11
"""Rows worked on at once where several vectors are combined: they stay in the second-level cache."""


def _checked(*vectors: Vector) -> list[Vector]:
    for v in vectors:
        if v.dtype != np.uint64 or v.ndim != 2 or v.shape[1] != 4:
            raise ValueError(f"not a vector over Fr: {v.dtype}, shape {v.shape}")
        if len(v) != len(vectors[0]):
            raise ValueError(f"vectors of different lengths: {len(vectors[0])} and {len(v)}")
    return [np.ascontiguousarray(v) for v in vectors]


def _target(acc: Vector) -> Vector:
    if not (acc.flags.c_contiguous and acc.flags.writeable):
        raise ValueError("cannot write to a vector that is read-only or not contiguous")
    return acc


def zeros(n: int) -> Vector:
    """(n, 4) zeros."""
    return np.zeros((n, 4), dtype=np.uint64)


def words_of(values: Iterable[int]) -> npt.NDArray[np.uint64]:
    """(n, 4) words, lowest first, of integers 0 <= x < 2^256 (OverflowError); not in Montgomery form."""
    data = b"".join(x.to_bytes(32, "little") for x in values)
    return np.frombuffer(data, dtype="<u8").reshape(-1, 4).astype(np.uint64)


def integers_of(words: npt.NDArray[np.uint64]) -> list[int]:
    """The inverse of ``words_of``."""
    data = words.astype("<u8").tobytes()
    return [int.from_bytes(data[i : i + 32], "little") for i in range(0, len(data), 32)]


def vector(values: Iterable[int]) -> Vector:
    """Integers of any size and sign, reduced mod R."""
    return from_words(words_of(x % R for x in values))


def from_words(words: npt.NDArray[np.uint64]) -> Vector:
    """(n, 4) words of integers 0 <= x < 2^256, lowest first, reduced mod R."""
    (words,) = _checked(words)
    out = np.empty_like(words)
    kernels.to_montgomery(words, out)
    return out


def single(x: int) -> Vector:
    """(1, 4): the element x mod R."""
    return words_of([x * MONTGOMERY % R])


def canonical(v: Vector) -> npt.NDArray[np.uint64]:
    """(n, 4) words of the integers 0 <= x < R that v stands for; not in Montgomery form."""
    (v,) = _checked(v)
    out = np.empty_like(v)
    kernels.from_montgomery(v, out)
    return out


def integers(v: Vector) -> list[int]:
    """The elements as integers 0 <= x < R."""
    return integers_of(canonical(v))


def from_signed(x: npt.NDArray[np.int64]) -> Vector:
    """64-bit integers; negative ones become R + x."""
    if x.dtype != np.int64 or x.ndim != 1:
        raise ValueError(f"not a one-dimensional vector of int64: {x.dtype}, {x.ndim} dimensions")
    out = zeros(len(x))
    kernels.from_signed(np.ascontiguousarray(x), out)
    return out


def to_signed(v: Vector) -> npt.NDArray[np.int64]:
    """Elements read as integers from -(R - 1)/2 to (R - 1)/2. ValueError if one is 2^63 or more in absolute value."""
    (v,) = _checked(v)
    out = np.empty(len(v), dtype=np.int64)
    if (bad := int(kernels.to_signed(v, out))) < len(v):
        raise ValueError(f"element {bad} is not a 64-bit integer")
    return out


def signed(x: int) -> int:
    """x as an integer from -(R - 1)/2 to (R - 1)/2, for 0 <= x < R."""
    return x - R if x > R // 2 else x


def from_bytes(data: bytes | memoryview) -> Vector:
    """Big-endian words of 32 bytes. ValueError for another length or a word that is R or more."""
    if len(data) % BYTES:
        raise ValueError(f"{len(data)} bytes are not a number of elements of {BYTES} bytes")
    words = _words_from_bytes(data, BYTES)
    if (bad := int(kernels.first_large(words))) < len(words):
        raise ValueError(f"element {bad} is not less than R")
    kernels.to_montgomery(words, words)
    return words


def _words_from_bytes(data: bytes | memoryview, size: int) -> npt.NDArray[np.uint64]:
    """(n, size / 8) words, lowest first, of big-endian numbers of ``size`` bytes."""
    return np.ascontiguousarray(np.frombuffer(data, dtype=">u8").reshape(-1, size // 8)[:, ::-1]).astype(np.uint64)


def to_bytes(v: Vector) -> bytes:
    """Big-endian words of 32 bytes."""
    return canonical(v)[:, ::-1].astype(">u8").tobytes()


def from_uniform_bytes(data: bytes | memoryview) -> Vector:
    """One element per 48 bytes, big-endian, mod R: uniform up to 2^-130 if the bytes are. ValueError: other length."""
    if len(data) % UNIFORM_BYTES:
        raise ValueError(f"{len(data)} bytes are not a number of elements of {UNIFORM_BYTES} bytes")
    parts = _words_from_bytes(data, UNIFORM_BYTES)
    low, high = np.ascontiguousarray(parts[:, :4]), zeros(len(parts))
    high[:, :2] = parts[:, 4:]
    kernels.to_montgomery_wide(low, high, low)
    return low


def expand(data: bytes, count: int) -> Vector:
    """(count, 4): uniform elements that follow from the data, 48 bytes of SHAKE256 of it each."""
    return from_uniform_bytes(hashlib.shake_256(data).digest(UNIFORM_BYTES * count))


def add(a: Vector, b: Vector) -> Vector:
    """a + b."""
    a, b = _checked(a, b)
    out = np.empty_like(a)
    kernels.add(a, b, out)
    return out


def add_into(acc: Vector, x: Vector) -> None:
    """acc += x, in place."""
    _, x = _checked(acc, x)
    kernels.add(acc, x, _target(acc))


def sub(a: Vector, b: Vector) -> Vector:
    """a - b."""
    a, b = _checked(a, b)
    out = np.empty_like(a)
    kernels.sub(a, b, out)
    return out


def neg(a: Vector) -> Vector:
    """-a."""
    return sub(zeros(len(a)), a)


def mul(a: Vector, b: Vector) -> Vector:
    """a * b, element by element."""
    a, b = _checked(a, b)
    out = np.empty_like(a)
    kernels.mul(a, b, out)
    return out


def scale(c: int, x: Vector) -> Vector:
    """c * x."""
    (x,) = _checked(x)
    out = np.empty_like(x)
    kernels.scale(single(c), x, out)
    return out


def add_scaled(acc: Vector, c: int, x: Vector) -> None:
    """acc += c * x, in place."""
    _, x = _checked(acc, x)
    kernels.axpy(single(c), x, _target(acc))


def shift(x: Vector, c: int) -> Vector:
    """x + c in every element."""
    return add(x, np.broadcast_to(single(c), x.shape))


def inverse(v: Vector) -> Vector:
    """1/v, element by element. ValueError if an element is zero."""
    (v,) = _checked(v)
    if not v.any(axis=1).all():
        raise ValueError("zero has no inverse")
    out = np.empty_like(v)
    kernels.invert(v, np.empty_like(v), out)
    return out


def inner(a: Vector, b: Vector) -> int:
    """sum a[i] * b[i]."""
    a, b = _checked(a, b)
    out = zeros(1)
    kernels.dot(a, b, out)
    return integers(out)[0]


def prefix_sums(x: Vector) -> Vector:
    """out[i] = x[0] + .. + x[i]."""
    (x,) = _checked(x)
    out = np.empty_like(x)
    kernels.prefix_sums(x, out)
    return out


def total(x: Vector) -> int:
    """The sum of all elements; 0 for none."""
    return integers(prefix_sums(x)[-1:])[0] if len(x) else 0


def powers(base: int, count: int, first: int = 1) -> Vector:
    """(count, 4): first * base^i."""
    out = zeros(count)
    kernels.powers(single(base), single(first), out)
    return out


def combine(weights: Sequence[int], vectors: Sequence[Vector]) -> Vector:
    """sum_k weights[k] * vectors[k]. ValueError for no vectors or different numbers of weights and vectors."""
    if not vectors or len(weights) != len(vectors):
        raise ValueError(f"{len(weights)} weights for {len(vectors)} vectors")
    checked, factors = _checked(*vectors), [single(c) for c in weights]
    out = zeros(len(checked[0]))
    for start in range(0, len(out), BLOCK):
        rows = slice(start, start + BLOCK)
        for factor, v in zip(factors, checked, strict=True):
            kernels.axpy(factor, v[rows], out[rows])
    return out
