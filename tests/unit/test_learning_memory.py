"""A worker's memory is bounded while it runs a model of somebody else, and free again afterwards."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from omninode.learning import memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts all private memory on Linux only")
ROOM, LARGE = 1 << 26, 1 << 28


def test_more_than_the_room_is_an_error() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory.bounded(ROOM):
        assert len(np.ones(1 << 20)) == 1 << 20
        with pytest.raises(MemoryError):
            np.ones(LARGE // 8)
        with pytest.raises(RuntimeError, match="allocate memory"):
            torch.ones(LARGE // 4)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(np.empty(LARGE // 8)) == LARGE // 8


def test_it_ends_with_an_error_too() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(KeyError), memory.bounded(ROOM):
        raise KeyError
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_where_proc_does_not_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_SELF", tmp_path / "none")
    memory.first_to_go()
    with memory.bounded():
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] == memory.FOREIGN_BYTES


def test_the_worker_is_the_first_to_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_SELF", tmp_path)
    memory.first_to_go()
    assert int((tmp_path / "oom_score_adj").read_text()) >= 500
