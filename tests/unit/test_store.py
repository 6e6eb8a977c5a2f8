"""The store as a whole: opening, versions, threads, and disks that do not cooperate."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from omninode.errors import Exit, SafetyError, StoreError
from omninode.store.connection import VERSION, Database
from omninode.store.db import DATABASE, Store

SEED = bytes(range(32))


def test_everything_survives_closing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "new")
    store.begin(7, "prover", SEED)
    store.append(7, "prover", "chain", b"one")
    store.record_once(7, "prover/u", b"set")
    store.meta_put("chain/resume-block", "12")
    store.set_state(7, "prover", {"phase": "KEYS", "n": 3})
    store.close()
    store.close()
    store = Store.open(tmp_path / "new")
    assert store.begin(7, "prover", bytes(32)) == SEED
    assert store.inputs(7, "prover") == [(0, "chain", b"one")]
    assert store.meta_get("chain/resume-block") == "12"
    assert store.sessions() == [(7, "prover", {"phase": "KEYS", "n": 3})]
    with pytest.raises(SafetyError):
        store.record_once(7, "prover/u", b"another")
    store.close()


def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "new")
    store.begin(1, "prover", SEED)
    store.append(1, "prover", "message", bytes(100_000))
    for path in [tmp_path / "new", *(tmp_path / "new").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    store.close()


def test_it_syncs_what_it_writes(tmp_path: Path) -> None:
    database = Database(tmp_path / DATABASE)
    with database.reading() as sql:
        assert sql.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert sql.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    database.close()


def test_meta_is_none_then_text_then_replaced(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert store.meta_get("k") is None
    store.meta_put("k", "a")
    store.meta_put("k", "b")
    assert store.meta_get("k") == "b"
    store.close()


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / DATABASE) as sql:
        sql.execute("INSERT INTO migrations VALUES (?)", (VERSION + 1,))
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreError, match="newer omninode") as caught:
        Store.open(tmp_path)
    assert "start the newer version" in caught.value.cure
    assert (tmp_path / DATABASE).read_bytes() == before


def test_a_half_done_migration_is_done_again(tmp_path: Path) -> None:
    """Killed between creating the file and the first migration."""
    with sqlite3.connect(tmp_path / DATABASE) as sql:
        sql.execute("CREATE TABLE migrations (version INTEGER PRIMARY KEY)")
    store = Store.open(tmp_path)
    assert store.sessions() == []
    store.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"garbage " * 1000)
    with pytest.raises(StoreError, match="is damaged") as caught:
        Store.open(tmp_path)
    assert caught.value.exit_code == Exit.STORE == 4


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / DATABASE).mkdir()
    with pytest.raises(StoreError):
        Store.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        Store.open(tmp_path / "file")


def test_after_close_it_says_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.meta_get("k")


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.begin(1, "prover", SEED)
    store.append(1, "prover", "message", b"before")
    with store._database.reading() as sql:
        pages = sql.execute("PRAGMA page_count").fetchone()[0]
        sql.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="is full") as caught:
        for _ in range(100):
            store.append(1, "prover", "message", bytes(60_000))
    assert "free some space" in caught.value.cure
    assert (0, "message", b"before") in store.inputs(1, "prover")
    store.close()


def test_a_large_payload_on_a_full_disk(tmp_path: Path) -> None:
    """A limit on file sizes stands in for the full disk; the signal that comes with it is ignored."""
    store = Store.open(tmp_path)
    store.begin(1, "prover", SEED)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(StoreError):
            store.append(1, "prover", "message", bytes(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert store.inputs(1, "prover") == []
    assert list((tmp_path / "journal").iterdir()) == []
    store.append(1, "prover", "message", bytes(1 << 20))
    store.close()


def test_a_read_only_database_is_named(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with store._database.reading() as sql:
        sql.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        store.meta_put("k", "v")
    assert "permissions" in caught.value.cure
    store.close()


def test_many_threads_share_it(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.begin(1, "prover", SEED)
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(10):
                store.append(1, "prover", f"{number}", bytes([i]))
                store.record_once(1, f"{number}/{i}", b"v")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    entries = store.inputs(1, "prover")
    assert [seq for seq, _, _ in entries] == list(range(40))
    for n in range(4):
        assert [payload[0] for _, kind, payload in entries if kind == str(n)] == list(range(10))
    store.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from omninode.store.db import Store
store = Store.open(Path(sys.argv[1]))
store.begin(1, "prover", bytes(32))
for i in range(5):
    store.append(1, "prover", "message", bytes([i]) * 70_000)
    store.record_once(1, f"said/{i}", b"v")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_returned_is_there_after_sigkill(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=60, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    store = Store.open(tmp_path)
    assert [payload[0] for _, _, payload in store.inputs(1, "prover")] == list(range(5))
    with pytest.raises(SafetyError):
        store.record_once(1, "said/4", b"w")
    store.close()
