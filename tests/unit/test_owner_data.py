"""The model owner's data in two: the root set is in no training, restart after restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omninode.errors import RefusedError
from omninode.learning import data as local_data
from omninode.learning.data import Samples
from omninode.roles.owner_data import prepare


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """40 samples that are told apart by their first feature, sorted by label."""
    x = np.arange(80, dtype=np.float32).reshape(40, 2)
    path = tmp_path / "data.npz"
    local_data.save(path, Samples(x, np.repeat(np.arange(4), 10).astype(np.int64)))
    return path


def firsts(path: Path) -> list[float]:
    return [float(value) for value in local_data.load(path).x[:, 0]]


def test_the_parts_are_disjoint_and_complete(file: Path, tmp_path: Path) -> None:
    parts = prepare(str(file), tmp_path, 12, seed=3)
    assert parts.root is not None
    own, root = firsts(parts.own), firsts(parts.root)
    assert (len(own), len(root)) == (28, 12)
    assert sorted(own + root) == firsts(file)


def test_a_sorted_file_gives_a_mixed_root_set(file: Path, tmp_path: Path) -> None:
    parts = prepare(str(file), tmp_path, 12, seed=3)
    assert parts.root is not None
    assert len(set(local_data.load(parts.root).y.tolist())) > 2


def test_the_same_root_set_after_a_restart(file: Path, tmp_path: Path) -> None:
    first = prepare(str(file), tmp_path, 12, seed=3)
    assert first.root is not None
    before = firsts(first.root)
    again = prepare(str(file), tmp_path, 12, seed=3)
    assert again == first
    assert firsts(first.root) == before


def test_without_a_root_set_all_is_for_training(file: Path, tmp_path: Path) -> None:
    parts = prepare(str(file), tmp_path, 0, seed=3)
    assert (parts.own, parts.root) == (file, None)
    assert not (tmp_path / "owner-data").exists()


def test_nobody_else_can_read_it(file: Path, tmp_path: Path) -> None:
    prepare(str(file), tmp_path, 12, seed=3)
    assert (tmp_path / "owner-data").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("root_images", [40, 1000])
def test_too_few_samples(file: Path, tmp_path: Path, root_images: int) -> None:
    with pytest.raises(RefusedError, match=r"data\.npz") as caught:
        prepare(str(file), tmp_path, root_images, seed=3)
    assert "root_images" in caught.value.cure


def test_no_data_at_all(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        prepare("", tmp_path, 30, seed=0)
    with pytest.raises(RefusedError):
        prepare(str(tmp_path / "absent.npz"), tmp_path, 30, seed=0)
