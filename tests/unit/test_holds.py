"""Blobs that are here for sessions only: deleted with the last of them, also after a crash; our own never."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.store import holds as module
from omninode.store.blobs import FileBlobStore
from omninode.store.holds import Holds

LARGE = 100


@pytest.fixture
def store(tmp_path: Path) -> FileBlobStore:
    return FileBlobStore(tmp_path / "blobs")


def digest_of(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def fetch(store: FileBlobStore, holds: Holds, session: int, data: bytes) -> bytes:
    holds.take(session, digest_of(data), document=data.startswith(b"document"))
    return store.put(data)


def test_a_blob_goes_with_the_last_session_that_holds_it(store: FileBlobStore) -> None:
    holds = Holds(store)
    digest = fetch(store, holds, 1, b"a" * LARGE)
    fetch(store, holds, 2, b"a" * LARGE)
    holds.release(1)
    assert store.has(digest)
    holds.release(2)
    assert not store.has(digest)
    assert (store.used, holds.sessions()) == (0, set())
    holds.release(2)  # once more does nothing


def test_our_own_blobs_are_never_touched(store: FileBlobStore) -> None:
    holds, own = Holds(store), store.put(b"our secret")
    holds.take(1, own)
    assert holds.sessions() == set()
    holds.release(1)
    became = fetch(store, holds, 1, b"x" * LARGE)
    store.set_public(became, True)  # published by ourselves meanwhile
    holds.release(1)
    assert store.has(own) and store.has(became)


def test_what_a_crash_left_is_collected_at_the_next_start(store: FileBlobStore) -> None:
    holds = Holds(store)
    live, over = fetch(store, holds, 1, b"1" * LARGE), fetch(store, holds, 2, b"2" * LARGE)
    holds.take(3, bytes(32))  # died before it came
    (store.root / "holds" / "4").mkdir()  # died between the last mark and its folder
    again = FileBlobStore(store.root)
    assert Holds(again).collect(lambda: {1}) == [2, 3, 4]
    assert again.has(live) and not again.has(over)
    assert again.used == LARGE
    assert Holds(again).collect(list) == [1]


def test_a_blob_deleted_before_its_mark(store: FileBlobStore) -> None:
    """Killed in the middle of a release."""
    holds = Holds(store)
    digest = fetch(store, holds, 1, b"1" * LARGE)
    store.delete(digest)
    assert Holds(FileBlobStore(store.root)).collect(list) == [1]
    assert holds.sessions() == set()


def test_files_of_others_stop_nothing(store: FileBlobStore) -> None:
    holds = Holds(store)
    digest, document = fetch(store, holds, 1, b"1" * LARGE), fetch(store, holds, 1, b"document")
    root = store.root / "holds"
    for name in ("1/.nfs0001", "7", "\u00b2", "README"):
        (root / name).write_bytes(b"x")
    assert holds.sessions() == {1}
    assert holds.collect(list) == [1]
    assert not store.has(digest) and store.has(document)
    (root / "kept" / "Thumbs.db").write_bytes(b"")
    assert (holds.sessions(), holds.collect(list)) == (set(), [])  # the folder stays, nothing is held
    assert holds.sessions() == set()
    fetch(store, holds, 1, b"1" * LARGE)
    assert holds.collect(list) == [1]
    assert {p.name for p in (root / "1").iterdir()} == {".nfs0001"}


def test_what_is_taken_while_others_are_collected_stays(store: FileBlobStore) -> None:
    """A session that begins between the question who lives and the scan."""
    holds, live, taken = Holds(store), {1}, threading.Event()
    fetch(store, holds, 1, b"1" * LARGE)
    fetch(store, holds, 2, b"2" * LARGE)
    late = digest_of(b"3" * LARGE)

    def begin() -> None:
        live.add(3)
        holds.take(3, late)
        taken.set()

    def who() -> set[int]:
        threading.Thread(target=begin).start()
        assert not taken.wait(0.05)  # it waits for us
        return set(live)

    assert holds.collect(who) == [2]
    assert taken.wait(20)
    assert holds.sessions() == {1, 3}


def test_the_last_documents_of_ended_sessions_stay(store: FileBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_DOCUMENTS", 3)
    holds, documents = Holds(store), []
    for session in range(1, 6):
        documents.append(fetch(store, holds, session, b"document %d" % session))
        large = fetch(store, holds, session, b"%d" % session * LARGE)
        holds.release(session, keep_documents=True)
        assert not store.has(large)
    assert [store.has(digest) for digest in documents] == [False, False, True, True, True]
    fetch(store, holds, 9, b"document 5")  # held and kept at once
    holds.release(9)
    assert store.has(documents[4])
    refused = fetch(store, holds, 10, b"of a refused session")
    holds.release(10)
    assert not store.has(refused)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.integers(0, 3)), max_size=20))
def test_what_is_here_is_what_is_held(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int, int]]
) -> None:
    store = FileBlobStore(tmp_path_factory.mktemp("blobs"))
    own, holds = store.put(b"own"), Holds(store)
    held: dict[int, set[bytes]] = {}
    for takes, session, which in steps:
        if takes:
            held.setdefault(session, set()).add(fetch(store, holds, session, b"%d" % which * LARGE))
        else:
            holds.release(session)
            held.pop(session, None)
        everything = set().union(*held.values(), {own})
        assert {p.name for p in (store.root / "private").iterdir()} == {d.hex() for d in everything}
        assert holds.sessions() == set(held)
