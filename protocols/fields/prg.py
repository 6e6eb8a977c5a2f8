"""Exactly uniform field elements, and random ternary matrices, from 32-byte seeds (AES-256 in counter mode)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.fields.goldilocks import P, Vector
from protocols.wire.context import tagged_hash

SEED_BYTES = 32
"""Length of every seed."""

_CHUNK = 1 << 16
_NOTHING = bytes(_CHUNK)
_SIGNS = np.array(
    [[((byte >> shift) & 1) + ((byte >> shift + 1) & 1) - 1 for shift in (0, 2, 4, 6)] for byte in range(256)],
    dtype=np.int8,
).view(np.uint32)[:, 0]  # byte -> its four entries


def _key(seed: bytes, label: bytes) -> bytes:
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    return tagged_hash("omninode/prg", label, seed) if label else seed


class _Keystream:
    """AES-256-CTR, counter from zero, read piece by piece."""

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def fill(self, out: npt.NDArray[np.uint8]) -> None:
        """Overwrite ``out`` with the next bytes of the stream."""
        view = out.data
        for start in range(0, len(out), _CHUNK):
            piece = view[start : start + _CHUNK]
            self._encryptor.update_into(_NOTHING[: len(piece)], piece)


def _accepted(stream: _Keystream, length: int) -> Iterator[Vector]:
    """Runs of accepted words until ``length`` are out; a word is refused with probability 2^-32."""
    while length:
        data = np.empty(8 * length, dtype=np.uint8)
        stream.fill(data)
        words = data.view("<u8").astype(np.uint64, copy=False)
        if int(words.max()) >= P:
            words = words[words < np.uint64(P)]
        length -= len(words)
        yield words


def expand(seed: bytes, length: int, label: bytes = b"") -> Vector:
    """(length,) independent, exactly uniform field elements.

    The AES-256-CTR keystream (counter block from zero) is read as 64-bit little-endian words; words >= p are skipped;
    the result is the first ``length`` words left. Key: the seed itself, or, with a label, tagged_hash("omninode/prg",
    label, seed). seed: 32 bytes. ValueError for another seed length or a negative ``length``.
    """
    if length < 0:
        raise ValueError(f"negative length {length}")
    runs = list(_accepted(_Keystream(_key(seed, label)), length))
    return runs[0] if len(runs) == 1 else np.concatenate([*runs, np.empty(0, dtype=np.uint64)])


def expand_int(seed: bytes, label: bytes) -> int:
    """One uniform field element: the first of ``expand(seed, 1, label)``."""
    return int(expand(seed, 1, label)[0])


def ternary(seed: bytes, count: int, length: int) -> npt.NDArray[np.int8]:
    """(count, length) independent entries: -1, 0, 1 with probability 1/4, 1/2, 1/4 (as PINE, 2311.10237, has them).

    Entries in row-major order take two bits each of the keystream (key: tagged_hash("omninode/prg", "ternary", seed)),
    four per byte from the low bits up: 00 is -1, 01 and 10 are 0, 11 is 1.
    """
    if count < 0 or length < 0:
        raise ValueError(f"negative shape ({count}, {length})")
    data = np.empty(-(-count * length // 4), dtype=np.uint8)
    _Keystream(_key(seed, b"ternary")).fill(data)
    return _SIGNS[data].view(np.int8)[: count * length].reshape(count, length)
