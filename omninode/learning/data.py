"""Data sets, their split among the parties, and the check before a party registers. NumPy only; no torch.

A party's data is one ``.npz`` with ``x`` float32 (m, features) and ``y`` int64 (m,), never pickled objects.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_IMAGES = "-images-idx3-ubyte"
_LABELS = "-labels-idx1-ubyte"
_MAX_IDX_BYTES = 1 << 30
_MNIST_MEAN, _MNIST_DEVIATION = 0.1307, 0.3081  # without it, 40 images teach the owner's CNN nothing in 20 epochs


class DataError(Exception):
    """The data cannot be used; the text says which file and why."""


@dataclass(frozen=True, slots=True)
class Samples:
    """x: float32 (m, features).  y: int64 (m,), labels from 0."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: NDArray[np.int64]) -> Samples:
        """The samples at ``rows``, copied."""
        return Samples(self.x[rows], self.y[rows])


@dataclass(frozen=True, slots=True)
class Split:
    """Disjoint parts of one data set, each drawn uniformly: the owner's, one per data owner, the held-out test set."""

    owner: Samples
    parties: list[Samples]
    test: Samples

    def pooled(self) -> Samples:
        """Owner's and parties' samples together: what nobody has, the yardstick."""
        parts = [self.owner, *self.parties]
        return Samples(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))


@dataclass(frozen=True, slots=True)
class Report:
    """What ``check`` found: number of samples and how many there are of each class (classes,)."""

    samples: int
    per_class: tuple[int, ...]


def load_digits() -> Samples:
    """Scikit-learn's bundled handwritten digits (1,797 of 8x8, UCI 1998), scaled to [0, 1]."""
    from sklearn.datasets import load_digits as bundled  # 1 s of import: only who splits the data pays it

    bunch = bundled()
    return Samples((bunch.data / 16).astype(np.float32), bunch.target.astype(np.int64))


def load_idx(folder: Path) -> Samples:
    """Every pair ``*-images-idx3-ubyte[.gz]`` and ``*-labels-idx1-ubyte[.gz]`` in ``folder``, in order of name.

    Pixels are standardised with MNIST's mean and deviation. Raises DataError naming what is missing or broken.
    """
    images = sorted(p for p in _listing(folder) if p.name.removesuffix(".gz").endswith(_IMAGES))
    if not images:
        raise DataError(f"{folder}: no file named *{_IMAGES} or *{_IMAGES}.gz (MNIST's IDX format)")
    parts: dict[str, Samples] = {}
    for path in images:
        stem = path.name.removesuffix(".gz").removesuffix(_IMAGES)
        if stem not in parts:  # the same set plain and compressed counts once
            parts[stem] = _load_pair(path, stem)
    if len({part.x.shape[1] for part in parts.values()}) > 1:
        raise DataError(f"{folder}: the image files have different image sizes")
    return Samples(np.concatenate([p.x for p in parts.values()]), np.concatenate([p.y for p in parts.values()]))


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder}: {error.strerror}; wanted a folder with *{_IMAGES}[.gz] and *{_LABELS}[.gz]"
        ) from None


def _load_pair(images: Path, stem: str) -> Samples:
    for name in (stem + _LABELS, stem + _LABELS + ".gz"):
        if (labels := images.with_name(name)).exists():
            break
    else:
        raise DataError(f"{images.parent}: {images.name} lacks its labels, {stem}{_LABELS} or {stem}{_LABELS}.gz")
    x, y = _read_idx(images, 3), _read_idx(labels, 1)
    if len(x) != len(y):
        raise DataError(f"{images.name} has {len(x)} images, {labels.name} has {len(y)} labels")
    if not len(x):
        raise DataError(f"{images} holds no images")
    pixels = x.reshape(len(x), -1).astype(np.float32) / np.float32(255)
    return Samples((pixels - np.float32(_MNIST_MEAN)) / np.float32(_MNIST_DEVIATION), y.astype(np.int64))


def _read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(_MAX_IDX_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    head = 4 + 4 * dimensions
    if len(raw) < head or raw[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(f"{path}: not an IDX file of unsigned bytes with {dimensions} dimension(s)")
    shape = struct.unpack(f">{dimensions}I", raw[4:head])
    if len(raw) != head + math.prod(shape):
        raise DataError(f"{path}: header says {math.prod(shape)} values, the file has {len(raw) - head}")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)


def split(
    samples: Samples, seed: int, owner: int = 30, per_party: int = 60, parties: int = 12, test_fraction: float = 0.25
) -> Split:
    """Deal ``samples`` at random (IID): ``owner`` samples, ``parties`` times ``per_party``, and the test set.

    Raises DataError if there are too few.
    """
    test = math.ceil(len(samples) * test_fraction)
    wanted = owner + parties * per_party
    if wanted + test > len(samples):
        raise DataError(
            f"{len(samples)} samples are too few: {test} held out, {owner} for the owner and "
            f"{parties} x {per_party} for the data owners make {wanted + test}"
        )
    order = np.random.default_rng(seed).permutation(len(samples)).astype(np.int64)
    edges = [0, test, *(test + owner + k * per_party for k in range(parties + 1))]
    parts = [samples.take(order[a:b]) for a, b in pairwise(edges)]
    return Split(owner=parts[1], parties=parts[2:], test=parts[0])


def save(path: Path, samples: Samples) -> None:
    """Write ``.npz`` next to its place, then rename, so that a reader never sees half a file."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, x=samples.x, y=samples.y)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path) -> Samples:
    """Read a party's ``.npz``. Raises DataError unless it holds numeric ``x`` (m, ...) and integer ``y`` (m,)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            x, y = archive["x"], archive["y"]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; wanted an .npz with x (samples, features) and y (samples,)") from None
    except KeyError as error:
        raise DataError(f"{path}: the array {error} is missing; wanted x and y") from None
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not an .npz of plain arrays ({error})") from None
    if x.dtype.kind not in "fiu" or y.dtype.kind not in "iu":
        raise DataError(f"{path}: x must hold numbers and y integers, not {x.dtype} and {y.dtype}")
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise DataError(f"{path}: x has shape {x.shape} and y {y.shape}; wanted (samples, features) and (samples,)")
    flat = x.reshape(len(x), math.prod(x.shape[1:]))
    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, which check() refuses with its place
        return Samples(flat.astype(np.float32), y.astype(np.int64))


def check(path: Path, features: int, classes: int, min_samples: int) -> Report:
    """Refuse data that would spoil a session, before anything is registered or paid.

    Raises DataError for too few samples (M0), a wrong number of features, NaN or infinity, labels out of range.
    """
    samples = load(path)
    if len(samples) < min_samples:
        raise DataError(f"{path}: {len(samples)} samples, the session asks for at least {min_samples}")
    if samples.x.shape[1] != features:
        raise DataError(f"{path}: {samples.x.shape[1]} features per sample, the model takes {features}")
    if not np.isfinite(samples.x).all():
        row, column = np.argwhere(~np.isfinite(samples.x))[0]
        raise DataError(f"{path}: sample {row}, feature {column} is not a finite number")
    if samples.y.min() < 0 or samples.y.max() >= classes:
        row = int(np.flatnonzero((samples.y < 0) | (samples.y >= classes))[0])
        raise DataError(f"{path}: sample {row} has label {samples.y[row]}, the model knows 0 to {classes - 1}")
    return Report(len(samples), tuple(int(n) for n in np.bincount(samples.y, minlength=classes)))
