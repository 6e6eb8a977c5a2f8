"""The peer book: survives restarts, bounded, indifferent to nonsense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.net.book import MAX_ADDRESSES, PeerBook
from omninode.net.keys import peer_id_of

A, B, C = (bytes([n]) * 32 for n in (1, 2, 3))
HOME = "/ip4/127.0.0.1/tcp/4001"
AWAY = "/ip4/10.0.0.1/tcp/4001"


@pytest.fixture
def book(tmp_path: Path) -> PeerBook:
    return PeerBook(tmp_path / "book.json")


def test_addresses_survive_a_restart(book: PeerBook) -> None:
    assert book.know(A, [HOME, f"{AWAY}/p2p/{peer_id_of(A)}"], 5.0, b"record")
    book.ban(B)
    book.save()
    again = PeerBook(book.path)
    assert again.addrs(A) == [HOME, AWAY]
    assert again.records() == [b"record"]
    assert again.banned(B)
    assert not again.dirty


def test_later_news_replace_earlier_ones_only(book: PeerBook) -> None:
    assert book.know(A, [HOME], 5.0)
    assert not book.know(A, [AWAY], 4.0)
    assert book.addrs(A) == [HOME]
    assert book.know(A, [AWAY], 6.0)
    assert book.addrs(A) == [AWAY]


def test_addresses_of_another_key_and_nonsense_are_ignored(book: PeerBook) -> None:
    assert not book.know(A, [f"{HOME}/p2p/{peer_id_of(B)}", "nonsense", "/ip4/0.0.0.0/tcp/1"], 1.0)
    assert not book.know(b"short", [HOME], 1.0)
    assert not book.know(A, [], 1.0)
    assert book.peers() == []


def test_banned_peers_have_no_addresses(book: PeerBook) -> None:
    book.know(A, [HOME], 1.0)
    book.ban(A)
    assert (book.addrs(A), book.peers(), book.banned(A)) == ([], [], True)
    book.know(A, [AWAY], 2.0)
    assert book.addrs(A) == []
    book.unban(A)
    assert book.addrs(A) == [AWAY]


def test_the_longest_unseen_go_first_and_bans_stay(tmp_path: Path) -> None:
    book = PeerBook(tmp_path / "book", limit=3)
    book.ban(A)
    for n in range(10, 60):
        book.know(bytes([n]) * 32, [HOME], float(n))
    assert book.banned(A)
    assert book.peers() == [bytes([59]) * 32, bytes([58]) * 32]


def test_invented_peers_do_not_crowd_out_those_that_the_chain_names(tmp_path: Path) -> None:
    book = PeerBook(tmp_path / "book", limit=8)
    for key in (A, B):
        book.pin(key)
        book.know(key, [HOME], 1.0)
    for n in range(10, 60):
        book.know(bytes([n]) * 32, [HOME], float(n))
    assert {A, B} < set(book.peers())
    assert len(book.peers()) == 8
    for n in range(10, 60):
        book.pin(bytes([n]) * 32)
    for n in range(60, 70):
        book.know(bytes([n]) * 32, [HOME], float(n))
    assert not {A, B} & set(book.peers())  # pins are bounded too


def test_addresses_per_peer_are_bounded_and_the_working_one_is_first(book: PeerBook) -> None:
    book.know(A, [f"/ip4/10.0.0.{n}/tcp/1" for n in range(1, 30)], 1.0)
    assert len(book.addrs(A)) == MAX_ADDRESSES
    book.worked(A, "/ip4/10.0.0.5/tcp/1")
    assert book.addrs(A)[0] == "/ip4/10.0.0.5/tcp/1"
    book.worked(A, "/ip4/10.0.0.99/tcp/1")
    assert len(book.addrs(A)) == MAX_ADDRESSES


def test_nothing_is_written_when_nothing_changed(book: PeerBook) -> None:
    book.save()
    assert not book.path.exists()
    book.know(A, [HOME], 1.0)
    assert book.snapshot() is not None
    assert book.snapshot() is None


def test_a_disk_that_refuses_leaves_the_book_dirty_and_the_file_whole(book: PeerBook, tmp_path: Path) -> None:
    blocked = PeerBook(tmp_path / "file" / "book.json")
    (tmp_path / "file").write_text("not a directory")
    blocked.know(A, [HOME], 1.0)
    with pytest.raises(OSError):
        blocked.save()
    assert blocked.dirty


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"version": 1}',
        b'{"version": 2, "peers": {}}',
        b'{"version": 1, "peers": []}',
        b'{"version": 1, "peers": {"zz": {}}}',
        b"[" * 3_000,  # beyond Python's recursion limit, within the C stack where a library has raised that
    ],
)
def test_a_damaged_file_is_an_empty_book(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "book"
    path.write_bytes(content)
    assert PeerBook(path).peers() == []


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(damage=_json, field=st.sampled_from(["addrs", "seen", "banned", "record"]))
def test_one_damaged_entry_leaves_the_others(
    tmp_path_factory: pytest.TempPathFactory, damage: object, field: str
) -> None:
    path = tmp_path_factory.mktemp("book") / "book"
    book = PeerBook(path)
    book.know(A, [HOME], 1.0)
    book.know(B, [AWAY], 1.0)
    book.save()
    document = json.loads(path.read_bytes())
    document["peers"][B.hex()][field] = damage
    path.write_text(json.dumps(document))
    assert PeerBook(path).addrs(A) == [HOME]
