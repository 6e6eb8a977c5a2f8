"""Blobs on disk: whole and right, or not there at all."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.store.blobs import BlobCorrupt, BlobError, BlobMissing, BlobTooLarge, FileBlobStore, StoreFull

DATA = b"some data" * 100
DIGEST = hashlib.sha256(DATA).digest()


@pytest.fixture
def store(tmp_path: Path) -> FileBlobStore:
    return FileBlobStore(tmp_path / "blobs", max_total=10_000)


@given(pieces=st.lists(st.binary(max_size=50), max_size=8))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    store, data = FileBlobStore(tmp_path_factory.mktemp("blobs")), b"".join(pieces)
    with store.writer(hashlib.sha256(data).digest()) as writer:
        for piece in pieces:
            writer.write(piece)
        path = writer.commit()
    assert path.read_bytes() == data == store.read(hashlib.sha256(data).digest())
    assert store.used == len(data)


def test_blobs_survive_a_restart_and_leftovers_do_not(store: FileBlobStore) -> None:
    store.put(DATA, public=True)
    writer = store.writer()
    writer.write(b"half")
    again = FileBlobStore(store.root)
    assert again.has(DIGEST) and again.is_public(DIGEST)
    assert again.used == len(DATA)
    assert list((store.root / "partial").iterdir()) == []


def test_the_wrong_content_is_never_kept(store: FileBlobStore) -> None:
    with store.writer(DIGEST) as writer:
        writer.write(b"something else")
        with pytest.raises(BlobCorrupt):
            writer.commit()
    assert not store.has(DIGEST)
    assert store.used == 0
    assert list((store.root / "partial").iterdir()) == []


def test_a_writer_can_begin_again(store: FileBlobStore) -> None:
    with store.writer(DIGEST) as writer:
        writer.write(b"wrong")
        writer.restart()
        writer.write(DATA)
        writer.commit()
    assert store.read(DIGEST) == DATA
    assert store.used == len(DATA)


def test_leaving_without_commit_leaves_nothing(store: FileBlobStore) -> None:
    with pytest.raises(ZeroDivisionError), store.writer() as writer:
        writer.write(DATA)
        raise ZeroDivisionError
    assert store.used == 0
    assert list((store.root / "partial").iterdir()) == []


def test_public_and_private(store: FileBlobStore) -> None:
    store.put(DATA)
    assert not store.is_public(DIGEST)
    store.set_public(DIGEST, True)
    assert store.is_public(DIGEST)
    store.put(DATA)  # storing it again does not take it back, nor count it twice
    assert store.is_public(DIGEST)
    assert store.used == len(DATA)
    store.set_public(DIGEST, False)
    store.put(DATA, public=True)
    assert store.is_public(DIGEST)
    assert store.used == len(DATA)
    assert len(list((store.root / "private").iterdir())) == 0


def test_the_cap_holds_for_blobs_being_written_too(store: FileBlobStore) -> None:
    with store.writer() as one, store.writer() as two:
        one.write(b"x" * 6_000)
        with pytest.raises(StoreFull):
            two.write(b"x" * 6_000)
    two.discard()
    assert store.used == 0
    with store.writer(max_size=5) as writer, pytest.raises(BlobError, match="larger than 5"):
        writer.write(b"123456")


def test_missing_and_deleted_blobs(store: FileBlobStore) -> None:
    for ask in (store.path, store.size, store.open, store.read):
        with pytest.raises(BlobMissing):
            ask(DIGEST)
    for name in (b"", b"../../etc/passwd", b"x" * 31):
        assert not store.has(name)
        assert not store.is_public(name)
    store.put(DATA)
    store.delete(DIGEST)
    store.delete(DIGEST)
    assert not store.has(DIGEST)
    assert store.used == 0
    with pytest.raises(ValueError, match="32 bytes"):
        store.writer(b"short")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_says_so(store: FileBlobStore, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(handle: int) -> None:
        raise OSError(code, "refused")

    monkeypatch.setattr("omninode.store.blobs.os.fsync", refuse)
    with pytest.raises(StoreFull, match="refused"):
        store.put(DATA)
    assert not store.has(DIGEST)
    assert store.used == 0


def test_other_errors_of_the_disk_pass_through(store: FileBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("omninode.store.blobs.tempfile.mkstemp", refuse)
    with pytest.raises(OSError, match="broken"):
        store.writer()


def test_what_is_larger_than_expected_is_not_read(store: FileBlobStore) -> None:
    digest = store.put(b"x" * 100)
    assert store.read(digest, 100) == b"x" * 100
    assert store.check_size(digest, 100) == store.path(digest)
    with pytest.raises(BlobTooLarge, match="has 100 bytes, more than 99"):
        store.read(digest, 99)
    with pytest.raises(BlobMissing):
        store.read(bytes(32), 99)
