"""The model owner's own data in two: what its model is trained on, and the root set that only its reference sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from omninode.errors import RefusedError, disk_error
from omninode.learning import data as local_data
from omninode.learning.data import Samples
from omninode.learning.reference import hold_out

FOLDER = "owner-data"


@dataclass(frozen=True, slots=True)
class OwnerData:
    """Files. own: for all training.  root: the root set, None where none is held out."""

    own: Path
    root: Path | None


def prepare(path: str, data_dir: Path, root_images: int, seed: int) -> OwnerData:
    """Hold ``root_images`` samples of ``path`` out and write both parts below ``data_dir``; 0: all are for training.

    The samples are shuffled first (a file may be sorted by label), the same way each time: what was held out once is
    not trained on after a restart. Raises RefusedError where that cannot be, StoreError where it cannot be written.
    """
    if not path:
        raise RefusedError("a model owner needs some data of its own", "set data.path in the configuration")
    if not root_images:
        return OwnerData(Path(path), None)
    own, root = _split(Path(path), root_images, seed)
    return OwnerData(_kept(data_dir, "own.npz", own), _kept(data_dir, "root.npz", root))


def halves(own: Path, data_dir: Path, seed: int) -> tuple[Path, Path, int]:
    """Files of two halves of ``own``, shuffled, below ``data_dir``, and how many samples the second, smaller one has.

    Raises RefusedError for fewer than two samples or a file that cannot be read, StoreError.
    """
    base, probe = _split(own, 0, seed)
    return _kept(data_dir, "base.npz", base), _kept(data_dir, "probe.npz", probe), len(probe)


def _kept(data_dir: Path, name: str, part: Samples) -> Path:
    folder = data_dir / FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        local_data.save(folder / name, part)
    except OSError as error:
        raise disk_error(error, folder) from error
    return folder / name


def _split(path: Path, held_out: int, seed: int) -> tuple[Samples, Samples]:
    """The samples of a file, shuffled, in two; half of them are held out where ``held_out`` is 0."""
    try:
        samples = local_data.load(path)
    except local_data.DataError as error:
        raise RefusedError(str(error), "correct data.path") from error
    order = np.random.default_rng(seed).permutation(len(samples)).astype(np.int64)
    try:
        return hold_out(samples.take(order), held_out or len(samples) // 2)
    except local_data.DataError as error:
        cure = "give the model owner more data"
        cure += ", or set model_owner.root_images lower" if held_out else ""
        raise RefusedError(f"{path}: {error}", cure) from error
