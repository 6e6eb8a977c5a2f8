"""Data sets, splits and the check before registration."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from omninode.learning.data import DataError, Samples, check, load, load_digits, load_idx, save, split


def samples(count: int = 100, features: int = 4, classes: int = 3) -> Samples:
    rng = np.random.default_rng(0)
    return Samples(rng.random((count, features), dtype=np.float32), np.arange(count, dtype=np.int64) % classes)


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_pair(folder: Path, stem: str, count: int, zipped: bool, first: int = 0) -> None:
    images = np.full((count, 2, 3), 255, np.uint8)
    labels = (np.arange(count) + first).astype(np.uint8)
    for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        raw = idx(array)
        (folder / f"{stem}-{name}{'.gz' if zipped else ''}").write_bytes(gzip.compress(raw) if zipped else raw)


def test_digits_are_the_bundled_ones() -> None:
    digits = load_digits()
    assert digits.x.shape == (1797, 64)
    assert digits.x.dtype == np.float32
    assert (digits.x.min(), digits.x.max()) == (0.0, 1.0)
    assert set(digits.y.tolist()) == set(range(10))


def test_split_is_disjoint_reproducible_and_complete() -> None:
    whole = Samples(np.arange(1797, dtype=np.float32)[:, None], np.zeros(1797, np.int64))
    parts = split(whole, seed=3)
    assert (len(parts.owner), [len(p) for p in parts.parties], len(parts.test)) == (30, [60] * 12, 450)
    rows = np.concatenate([parts.owner.x, parts.test.x, *(p.x for p in parts.parties)])
    assert len(np.unique(rows)) == len(rows)
    assert np.array_equal(split(whole, seed=3).owner.x, parts.owner.x)
    assert not np.array_equal(split(whole, seed=4).owner.x, parts.owner.x)
    assert len(parts.pooled()) == 30 + 12 * 60


def test_too_few_samples_to_split() -> None:
    with pytest.raises(DataError, match="100 samples are too few: 25 held out"):
        split(samples(100), seed=0)


def test_idx_pairs_are_combined_and_standardised(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 3, zipped=False)
    write_pair(tmp_path, "t10k", 2, zipped=True, first=5)
    loaded = load_idx(tmp_path)
    assert loaded.x.shape == (5, 6)
    assert loaded.y.tolist() == [5, 6, 0, 1, 2]
    assert np.allclose(loaded.x, (1 - 0.1307) / 0.3081)


def test_the_same_set_plain_and_zipped_counts_once(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 3, zipped=False)
    write_pair(tmp_path, "train", 3, zipped=True)
    assert len(load_idx(tmp_path)) == 3


def test_idx_errors_name_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file named \*-images-idx3-ubyte"):
        load_idx(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        load_idx(tmp_path / "absent")
    write_pair(tmp_path, "train", 3, zipped=False)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(2, np.uint8)))
    with pytest.raises(DataError, match=r"3 images, .* has 2 labels"):
        load_idx(tmp_path)
    labels.unlink()
    with pytest.raises(DataError, match="lacks its labels, train-labels-idx1-ubyte or"):
        load_idx(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x0b\x03" + bytes(12), "not an IDX file"),
        (idx(np.zeros((2, 2, 3), np.uint8))[:-1], "header says 12 values, the file has 11"),
        (bytes((0, 0, 8, 3)) + b"\xff" * 12, "header says"),
    ],
)
def test_broken_idx_files(tmp_path: Path, content: bytes, words: str) -> None:
    write_pair(tmp_path, "train", 3, zipped=False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_idx(tmp_path)


def test_truncated_gzip(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 30, zipped=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        load_idx(tmp_path)


def test_images_of_two_sizes(tmp_path: Path) -> None:
    write_pair(tmp_path, "a", 2, zipped=False)
    write_pair(tmp_path, "b", 2, zipped=False)
    (tmp_path / "b-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 5, 5), np.uint8)))
    with pytest.raises(DataError, match="different image sizes"):
        load_idx(tmp_path)


def test_save_load_and_check(tmp_path: Path) -> None:
    path = tmp_path / "party.npz"
    save(path, samples(60))
    assert np.array_equal(load(path).x, samples(60).x)
    report = check(path, features=4, classes=3, min_samples=60)
    assert (report.samples, report.per_class) == (60, (20, 20, 20))
    assert [p.name for p in tmp_path.iterdir()] == ["party.npz"]


def spoiled(path: Path, what: str) -> None:
    good = samples(60)
    x, y = good.x.copy(), good.y.copy()
    if what == "nan":
        x[5, 2] = np.nan
    elif what == "overflow":
        x = x.astype(np.float64)
        x[5, 2] = 1e300
    elif what == "label":
        y[9] = 3
    elif what == "negative":
        y[9] = -1
    arrays = {
        "objects": {"x": x.astype(object), "y": y},
        "missing": {"x": x},
        "lengths": {"x": x, "y": y[:-1]},
        "flat": {"x": x[:, 0], "y": y},
        "float labels": {"x": x, "y": y.astype(float)},
        "complex": {"x": x.astype(complex), "y": y},
        "empty": {"x": x[:0], "y": y[:0]},
    }.get(what, {"x": x, "y": y})
    np.savez(path, allow_pickle=True, **arrays)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nan", "sample 5, feature 2 is not a finite number"),
        ("overflow", "sample 5, feature 2 is not a finite number"),
        ("label", "sample 9 has label 3, the model knows 0 to 2"),
        ("negative", "sample 9 has label -1"),
        ("objects", "not an .npz of plain arrays"),
        ("missing", "'y.*is missing"),
        ("lengths", r"x has shape \(60, 4\) and y \(59,\)"),
        ("flat", "wanted \\(samples, features\\)"),
        ("float labels", "y integers, not float32 and float64"),
        ("complex", "x must hold numbers"),
        ("empty", "0 samples, the session asks for at least 60"),
    ],
)
def test_bad_data_is_refused_with_its_place(tmp_path: Path, what: str, words: str) -> None:
    path = tmp_path / "party.npz"
    spoiled(path, what)
    with pytest.raises(DataError, match=words) as caught:
        check(path, features=4, classes=3, min_samples=60)
    assert str(path) in str(caught.value)


def test_wrong_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "party.npz"
    save(path, samples(60))
    with pytest.raises(DataError, match="60 samples, the session asks for at least 61"):
        check(path, features=4, classes=3, min_samples=61)
    with pytest.raises(DataError, match="4 features per sample, the model takes 5"):
        check(path, features=5, classes=3, min_samples=1)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 broken"])
def test_files_that_are_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "party.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not an \.npz"):
        load(path)
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "absent.npz")


def test_images_are_flattened(tmp_path: Path) -> None:
    path = tmp_path / "party.npz"
    np.savez(path, x=np.zeros((7, 2, 3), np.uint8), y=np.zeros(7, np.uint8))
    assert load(path).x.shape == (7, 6)
    assert load(path).x.dtype == np.float32
