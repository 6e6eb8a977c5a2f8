"""The journal of a session: the seed once, every input in order, large ones in files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omninode.errors import StoreError
from omninode.store.db import Store
from omninode.store.journal import INLINE

BIG = b"x" * (INLINE + 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path)
    yield store
    store.close()


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "journal").glob("*"))


def test_the_first_seed_stays(store: Store) -> None:
    first, second = b"a" * 32, b"b" * 32
    assert store.begin(1, "prover", first) == first
    assert store.begin(1, "prover", second) == first
    assert store.begin(1, "data_owner", second) == second
    assert store.begin(2, "prover", second) == second
    with pytest.raises(ValueError, match="32 bytes"):
        store.begin(3, "prover", b"short")


def test_inputs_are_numbered_within_their_session_and_role(store: Store) -> None:
    assert store.append(1, "prover", "chain", b"a") == 0
    assert store.append(1, "prover", "tick", b"") == 1
    assert store.append(2, "prover", "chain", b"b") == 0
    assert store.append(1, "owner", "chain", b"c") == 0
    assert store.inputs(1, "prover") == [(0, "chain", b"a"), (1, "tick", b"")]
    assert store.inputs(9, "prover") == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(
    st.lists(st.tuples(st.sampled_from(["chain", "message"]), st.binary(max_size=50), st.integers(0, 3)), max_size=8)
)
def test_any_sequence_comes_back(store: Store, entries: list[tuple[str, bytes, int]]) -> None:
    store.forget_inputs(5, "prover")
    wanted = [(kind, part * (INLINE // 50 * size + 1)) for kind, part, size in entries]
    for kind, payload in wanted:
        store.append(5, "prover", kind, payload)
    assert [(kind, payload) for _, kind, payload in store.inputs(5, "prover")] == wanted


def test_only_large_payloads_become_files_and_equal_ones_share(store: Store, tmp_path: Path) -> None:
    store.append(1, "prover", "message", b"x" * INLINE)
    assert files(tmp_path) == []
    for _ in range(2):
        store.append(1, "prover", "message", BIG)
    assert files(tmp_path) == [hashlib.sha256(BIG).hexdigest()]
    assert [len(payload) for _, _, payload in store.inputs(1, "prover")] == [INLINE, INLINE + 1, INLINE + 1]


def test_a_damaged_or_missing_file_is_noticed(store: Store, tmp_path: Path) -> None:
    store.append(1, "prover", "message", BIG)
    path = tmp_path / "journal" / files(tmp_path)[0]
    path.write_bytes(b"y" + BIG[1:])
    with pytest.raises(StoreError, match="damaged"):
        store.inputs(1, "prover")
    path.unlink()
    with pytest.raises(StoreError, match="missing"):
        store.inputs(1, "prover")


def test_forgetting_keeps_files_that_others_need(store: Store, tmp_path: Path) -> None:
    store.begin(1, "prover", bytes(32))
    for session in (1, 2):
        store.append(session, "prover", "message", BIG)
    store.record_once(1, "k", b"v")
    store.append(1, "prover", "message", BIG + b"only here")
    store.forget_inputs(1, "prover")
    assert store.inputs(1, "prover") == []
    assert store.inputs(2, "prover") == [(0, "message", BIG)]
    assert files(tmp_path) == [hashlib.sha256(BIG).hexdigest()]
    store.forget_inputs(2, "prover")
    assert files(tmp_path) == []
    assert store.begin(1, "prover", b"z" * 32) == bytes(32)


def test_states(store: Store) -> None:
    store.begin(2, "prover", bytes(32))
    store.begin(1, "owner", bytes(32))
    assert store.sessions() == [(1, "owner", None), (2, "prover", None)]
    store.set_state(1, "owner", {"done": True, "list": [1, None, "é"]})
    store.set_state(1, "owner", {"done": False})
    assert store.sessions()[0] == (1, "owner", {"done": False})
    with pytest.raises(StoreError, match="never begun"):
        store.set_state(3, "owner", {})
