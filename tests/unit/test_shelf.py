"""The prover's shelf: bytes come back as they were, without a copy; nothing of it outlives its session."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.errors import StoreError
from omninode.store.shelf import FOLDER, DiskShelf, clear, shelf_of


@pytest.fixture
def shelf(tmp_path: Path) -> DiskShelf:
    return shelf_of(tmp_path, 7)


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=20), st.binary(max_size=100), max_size=5))
def test_what_is_put_comes_back(tmp_path_factory: pytest.TempPathFactory, things: dict[str, bytes]) -> None:
    shelf = shelf_of(tmp_path_factory.mktemp("shelf"), 1)
    for name, data in things.items():
        shelf.put(name, data)
    assert {name: bytes(shelf.get(name)) for name in things} == things


def test_a_vector_is_mapped_and_read_only(shelf: DiskShelf) -> None:
    values = np.arange(1000, dtype="<u8")
    shelf.put("piece/3", values.tobytes())
    back = np.frombuffer(shelf.get("piece/3"), dtype="<u8")
    assert np.array_equal(back, values)
    assert not back.flags.owndata
    assert not back.flags.writeable


def test_what_is_not_there_is_a_key_error(shelf: DiskShelf) -> None:
    with pytest.raises(KeyError):
        shelf.get("nothing")
    shelf.drop("nothing")
    shelf.put("a", b"1")
    shelf.drop("a")
    with pytest.raises(KeyError):
        shelf.get("a")


def test_views_outlive_what_replaces_them(shelf: DiskShelf) -> None:
    shelf.put("a", b"first")
    view = shelf.get("a")
    shelf.put("a", b"second")
    assert (bytes(view), bytes(shelf.get("a"))) == (b"first", b"second")
    shelf.drop("a")
    shelf.close()
    assert bytes(view) == b"first"


def test_names_are_no_paths(shelf: DiskShelf, tmp_path: Path) -> None:
    for name in ("../../escaped", "..", ".", "", "a/b", "/etc/passwd"):
        shelf.put(name, name.encode())
        assert bytes(shelf.get(name)) == name.encode()
    inside = {path.parent for path in tmp_path.rglob("*") if path.is_file()}
    assert inside == {tmp_path / FOLDER / "7"}


def test_nobody_else_can_read_it(shelf: DiskShelf, tmp_path: Path) -> None:
    shelf.put("a", b"1")
    for path in (tmp_path / FOLDER).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (tmp_path / FOLDER).stat().st_mode & 0o077 == 0


def test_it_goes_with_its_session_and_at_the_next_start(shelf: DiskShelf, tmp_path: Path) -> None:
    shelf.put("a", b"1")
    other = shelf_of(tmp_path, 8)
    other.put("a", b"2")
    shelf.close()
    shelf.close()
    assert not (tmp_path / FOLDER / "7").exists()
    assert bytes(other.get("a")) == b"2"
    shelf.put("b", b"3")  # usable again
    with pytest.raises(KeyError):
        shelf_of(tmp_path, 7).get("b")  # a new run of the session begins with nothing
    clear(tmp_path)
    clear(tmp_path)
    assert not (tmp_path / FOLDER).exists()


def test_a_full_disk_is_a_store_error_and_leaves_no_half(
    shelf: DiskShelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shelf.put("a", b"1")

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(StoreError, match="full"):
        shelf.put("b", b"22")
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / FOLDER / "7").iterdir()] == ["a.bin"]
