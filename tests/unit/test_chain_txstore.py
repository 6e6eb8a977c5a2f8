"""Fee offers and the record of transactions on disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.chain.cursorstore import SqliteCursorStore
from omninode.chain.fees import GWEI, FeePolicy
from omninode.chain.interface import Log
from omninode.chain.transaction import Receipt, TxRecord, TxState
from omninode.chain.txstore import SqliteTxStore, StoreFailed
from omninode.chain.wallet import Wallet

WALLET = Wallet(b"\7" * 32)


def record(key: str, nonce: int = 0, data: bytes = b"\1\2") -> TxRecord:
    made = TxRecord(key, "poke", nonce, b"\3" * 20, 2**90, data, 21_000)
    made.offer(WALLET.sign_digest, 31337, 1, 2)
    return made


RECEIPT = Receipt(
    b"\4" * 32,
    7,
    21_000,
    GWEI,
    True,
    b"",
    True,
    (Log(b"\5" * 20, (b"\6" * 32, b"\7" * 32), b"xyz", 7, b"\x08" * 32, 0),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tx.sqlite"


def test_what_is_saved_comes_back_after_reopening(path: Path) -> None:
    store = SqliteTxStore(path)
    first, second, third = record("a", 5), record("b", 4), record("c", 3)
    second.offer(WALLET.sign_digest, 31337, 3, 4)
    second.receipt, second.state, second.reason, second.error = RECEIPT, TxState.MINED, "why", "Name"
    third.state = TxState.FINAL
    for made in (first, second, third):
        store.save("me", made)
    store.save("other", record("a", 9))
    store.close()
    store = SqliteTxStore(path)
    assert store.unsettled("me") == [second, first]
    assert store.find("me", "c") == third and store.find("me", "z") is None
    assert store.find("other", "a") == record("a", 9)
    first.nonce = 77
    store.save("me", first)
    assert store.find("me", "a") == first
    store.close()


def test_shares_a_file_and_is_durable(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    store = SqliteTxStore(path)
    store.save("me", record("a"))
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()
    other.close()


def test_a_store_that_cannot_write_says_so(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="cannot open"):
        SqliteTxStore(tmp_path / "absent" / "tx.sqlite")
    store = SqliteTxStore(path)
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreFailed, match="transaction a could not be recorded"):
        store.save("me", record("a"))
    assert store.find("me", "a") is None
    store.close()


def test_cursor_store(path: Path) -> None:
    store = SqliteCursorStore(path, "one")
    assert store.load() == []
    store.save([(1, b"\1" * 32), (3, b"\3" * 32)])
    store.save([(3, b"\3" * 32), (9, b"\x09" * 32)])
    store.close()
    store, other = SqliteCursorStore(path, "one"), SqliteCursorStore(path, "two")
    assert store.load() == [(3, b"\3" * 32), (9, b"\x09" * 32)] and other.load() == []
    store.close()
    other.close()


def test_first_offer_survives_a_doubling_and_respects_the_cap() -> None:
    policy = FeePolicy(tip=GWEI, cap=100 * GWEI)
    assert policy.first(10 * GWEI) == (GWEI, 21 * GWEI)
    assert policy.first(90 * GWEI) == (GWEI, 100 * GWEI)
    assert FeePolicy(tip=GWEI, cap=GWEI // 2).first(0) == (GWEI // 2, GWEI // 2)


@given(st.integers(0, 10**13), st.integers(1, 10**11), st.integers(0, 10**13), st.integers(0, 10**11))
def test_every_bump_is_one_that_nodes_take(base: int, tip: int, later: int, suggested: int) -> None:
    policy = FeePolicy(tip=tip, cap=10**14)
    old = policy.first(base)
    new = policy.bumped(*old, later, suggested)
    if new is None:
        return
    assert all(after * 10 >= before * 11 for before, after in zip(old, new, strict=True))
    assert new[0] <= new[1] <= policy.cap


def test_bumping_ends_at_the_cap() -> None:
    policy, offer, steps = FeePolicy(tip=GWEI, cap=100 * GWEI), (GWEI, 3 * GWEI), 0
    while (higher := policy.bumped(*offer, GWEI)) is not None:
        offer, steps = higher, steps + 1
    assert steps > 5 and offer[1] <= 100 * GWEI


def test_bumping_follows_a_base_fee_that_ran_away() -> None:
    bumped = FeePolicy().bumped(GWEI, 3 * GWEI, 50 * GWEI)
    assert bumped is not None and bumped[1] >= 100 * GWEI
