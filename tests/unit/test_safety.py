"""The safety journal: said once, never said differently."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from omninode.errors import Exit, SafetyError, StoreError
from omninode.store.db import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path)
    yield store
    store.close()


def test_the_same_value_again_is_fine(store: Store) -> None:
    for _ in range(3):
        store.record_once(1, "unmask/ab", b"self")


@pytest.mark.parametrize("value", [b"key", b"", b"self\x00", b"Self"])
def test_another_value_is_refused_for_good(store: Store, value: bytes) -> None:
    store.record_once(1, "unmask/ab", b"self")
    for _ in range(2):
        with pytest.raises(SafetyError, match="another value for unmask/ab") as caught:
            store.record_once(1, "unmask/ab", value)
        assert caught.value.exit_code == Exit.STORE
        assert isinstance(caught.value, StoreError)
    store.record_once(1, "unmask/ab", b"self")


def test_values_are_not_in_the_message(store: Store) -> None:
    store.record_once(1, "k", b"first-value")
    with pytest.raises(SafetyError) as caught:
        store.record_once(1, "k", b"second-value")
    assert "first-value" not in str(caught.value)
    assert "second-value" not in str(caught.value)


def test_keys_and_sessions_are_apart(store: Store) -> None:
    store.record_once(1, "k", b"a")
    store.record_once(2, "k", b"b")
    store.record_once(1, "K", b"c")


def test_two_processes_cannot_disagree(tmp_path: Path) -> None:
    """Two stores on one file, as after a copied lock: the second sees what the first wrote."""
    one, two = Store.open(tmp_path), Store.open(tmp_path)
    one.record_once(1, "k", b"a")
    with pytest.raises(SafetyError):
        two.record_once(1, "k", b"b")
    one.close()
    two.close()
