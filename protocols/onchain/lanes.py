"""Models as the baseline's contracts hold them: 1e8 times each parameter, mod 2^64, four to a word, 250 to a chunk.

The paper keeps one number per storage slot; four share one here, which makes the baseline cheaper than the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SCALE = 10**8
"""What a parameter is multiplied by (the paper's)."""
PER_WORD = 4
PER_CHUNK = 250
"""Parameters in one chunk contract (the paper's)."""
LIMIT = 1 << 63

Lanes = NDArray[np.uint64]
Words = tuple[int, ...]


class LaneOverflow(ValueError):
    """A parameter is so large (or no number at all) that sums of it could wrap around."""


def chunk_count(dimension: int) -> int:
    """Chunk contracts of a model. ValueError for an empty one."""
    if dimension < 1:
        raise ValueError(f"a model of {dimension} parameters")
    return -(-dimension // PER_CHUNK)


def chunk_size(dimension: int, chunk: int) -> int:
    """Parameters in one chunk: 250, fewer in the last. ValueError for a chunk that there is not."""
    if not 0 <= chunk < chunk_count(dimension):
        raise ValueError(f"chunk {chunk} of a model of {chunk_count(dimension)} chunks")
    return min(PER_CHUNK, dimension - PER_CHUNK * chunk)


def word_count(size: int) -> int:
    """Words that hold ``size`` lanes; what is left of the last one is padding."""
    return -(-size // PER_WORD)


def encode(model: NDArray[np.floating], parties: int) -> Lanes:
    """Real numbers (d,) as lanes, rounded. parties: how many models may be summed, N R.

    Raises LaneOverflow where |x| 1e8 parties could reach 2^63: a sum would come out as another number.
    """
    scaled = np.rint(np.asarray(model, dtype=np.float64) * SCALE)
    if not np.isfinite(scaled).all() or (len(scaled) and float(np.abs(scaled).max()) * parties >= LIMIT):
        most = LIMIT / SCALE / parties
        raise LaneOverflow(f"a parameter is no number or beyond {most:.4g}: sums of {parties} models would overflow")
    return scaled.astype(np.int64).view(np.uint64)


def decode_mean(lanes: Lanes, count: int) -> NDArray[np.float64]:
    """The mean (d,) of ``count`` models from their sum mod 2^64. ValueError for a count below 1."""
    if count < 1:
        raise ValueError("a mean of no models")
    return lanes.view(np.int64).astype(np.float64) / (float(SCALE) * count)


def pack(lanes: Lanes) -> Words:
    """Lanes (n,) as words below 2^256, the first lane most significant; lanes behind the last are 0."""
    padded = np.zeros(word_count(len(lanes)) * PER_WORD, dtype=">u8")
    padded[: len(lanes)] = lanes
    data = padded.tobytes()
    return tuple(int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32))


def unpack(words: Sequence[int], size: int) -> Lanes:
    """The first ``size`` lanes. ValueError where there are more or fewer words than they need."""
    if len(words) != word_count(size):
        raise ValueError(f"{len(words)} words for {size} parameters")
    data = b"".join(word.to_bytes(32, "big") for word in words)
    return np.frombuffer(data, dtype=">u8")[:size].astype(np.uint64)


def chunks(lanes: Lanes) -> tuple[Words, ...]:
    """All chunks of a model, each packed."""
    return tuple(pack(lanes[i : i + PER_CHUNK]) for i in range(0, len(lanes), PER_CHUNK))


def join(parts: Sequence[Sequence[int]], dimension: int) -> Lanes:
    """The inverse of ``chunks``. ValueError where a chunk is missing or of another size."""
    if len(parts) != chunk_count(dimension):
        raise ValueError(f"{len(parts)} chunks of {chunk_count(dimension)}")
    return np.concatenate([unpack(words, chunk_size(dimension, c)) for c, words in enumerate(parts)])
