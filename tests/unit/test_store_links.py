"""Links, seals and ends of journals: what is written with each entry, and stores of the version before."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from omninode.errors import StoreError
from omninode.store.connection import MIGRATIONS
from omninode.store.db import DATABASE, Store
from omninode.store.journal import INLINE
from omninode.store.links import first_link, next_link

BIG = b"x" * (INLINE + 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path)
    store.begin(1, "prover", bytes(32))
    yield store
    store.close()


def digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()


def test_each_link_binds_all_before_it(store: Store) -> None:
    link = first_link(1, "prover")
    for seq, (kind, payload) in enumerate([("chain", b"a"), ("message", BIG), ("chain", b"a")]):
        store.append(1, "prover", kind, payload)
        link = next_link(link, kind, digest(payload))
        transcript = store.transcript(1, "prover")
        assert transcript.entries[seq].link == link
        assert (transcript.count, transcript.link) == (seq + 1, link)
        assert store.payload(1, "prover", seq) == (payload, digest(payload))
    assert len({entry.link for entry in transcript.entries}) == 3
    assert transcript.seed == bytes(32)


def test_the_links_of_another_session_role_kind_or_place_are_others() -> None:
    first = first_link(1, "prover")
    assert len({first, first_link(2, "prover"), first_link(1, "data_owner")}) == 3
    links = {next_link(first, kind, digest(p)) for kind in ("chain", "tick") for p in (b"", b"a")}
    assert len(links) == 4
    assert next_link(next(iter(links)), "chain", digest(b"a")) not in links


def test_a_safety_record_seals_the_journal_of_its_role_once(store: Store) -> None:
    store.record_once(1, "prover/early", b"v")
    store.append(1, "prover", "chain", b"a")
    store.append(1, "data_owner", "chain", b"b")
    store.record_once(1, "prover/batch", b"w")
    sealed = store.transcript(1, "prover").link
    store.append(1, "prover", "chain", b"c")
    store.record_once(1, "prover/batch", b"w")
    store.record_once(1, "proverb/batch", b"not ours")
    seals = store.transcript(1, "prover").seals
    assert [(s.key, s.value, s.entries, s.link) for s in seals] == [
        ("early", b"v", None, None), ("batch", b"w", 1, sealed),
    ]  # fmt: skip


def test_what_was_never_begun_is_empty(store: Store) -> None:
    transcript = store.transcript(9, "prover")
    assert (transcript.seed, transcript.entries, transcript.seals, transcript.count) == (None, (), (), None)
    with pytest.raises(StoreError, match="no entry 0"):
        store.payload(9, "prover", 0)


def test_a_journal_that_was_forgotten_begins_anew(store: Store) -> None:
    store.append(1, "prover", "chain", b"a")
    store.forget_inputs(1, "prover")
    transcript = store.transcript(1, "prover")
    assert (transcript.entries, transcript.count, transcript.link) == ((), None, None)
    store.append(1, "prover", "chain", b"b")
    assert store.transcript(1, "prover").entries[0].link == next_link(first_link(1, "prover"), "chain", digest(b"b"))


def test_a_store_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    """What it holds stays as it is, without links; what comes after has them."""
    with sqlite3.connect(tmp_path / DATABASE) as sql:
        sql.executescript("CREATE TABLE migrations (version INTEGER PRIMARY KEY);" + MIGRATIONS[0])
        sql.execute("INSERT INTO migrations VALUES (1)")
        sql.execute("INSERT INTO sessions VALUES (4, 'prover', ?, NULL)", (b"s" * 32,))
        sql.execute("INSERT INTO inputs VALUES (4, 'prover', 0, 'chain', ?, NULL)", (b"old",))
        sql.execute("INSERT INTO safety VALUES (4, 'prover/k', ?)", (b"v",))
    sql.close()
    store = Store.open(tmp_path)
    assert store.begin(4, "prover", bytes(32)) == b"s" * 32
    assert store.append(4, "prover", "chain", b"new") == 1
    store.record_once(4, "prover/k", b"v")
    transcript = store.transcript(4, "prover")
    fresh = next_link(first_link(4, "prover"), "chain", digest(b"new"))
    assert [entry.link for entry in transcript.entries] == [None, fresh]
    assert (transcript.count, transcript.link) == (2, fresh)
    assert [(seal.entries, seal.link) for seal in transcript.seals] == [(None, None)]
    assert store.inputs(4, "prover") == [(0, "chain", b"old"), (1, "chain", b"new")]
    store.close()
