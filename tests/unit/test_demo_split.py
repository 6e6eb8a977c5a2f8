"""The demo's stage with public layers, and what its baseline starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from omninode.demo import stage
from omninode.demo.baseline import Baseline
from omninode.demo.loot import Folder
from omninode.demo.options import DemoOptions
from omninode.errors import UsageError
from omninode.learning.document import UNIT_LR, SessionDocument
from omninode.learning.jobs import Job, Result
from omninode.learning.presets import DIGITS
from omninode.learning.public_part import choose
from omninode.learning.weights import digest
from omninode.store.blobs import FileBlobStore

PART = choose(DIGITS.model, 2)
WHOLE = np.arange(PART.total, dtype=np.float32)


def owner_settings(options: DemoOptions) -> dict[str, Any]:
    (owner,) = [plan for plan in stage.build(options).plans if plan.role == "model_owner"]
    settings: dict[str, Any] = owner.settings["model_owner"]
    return settings


def test_layers_and_count_reach_the_owner(tmp_path: Path) -> None:
    assert owner_settings(DemoOptions(out=tmp_path, public_count=2))["public_layers"] == ("fc2", "fc3")
    assert owner_settings(DemoOptions(out=tmp_path, public_layers=("fc1",)))["public_layers"] == ("fc1",)
    assert owner_settings(DemoOptions(out=tmp_path))["public_layers"] == ()


def test_short_sums_are_allowed_where_the_demo_needs_them(tmp_path: Path) -> None:
    grouped = DemoOptions(out=tmp_path, mode="grouped")
    assert owner_settings(replace(grouped, public_count=2))["public_sums"]
    assert not owner_settings(grouped)["public_sums"]
    assert not owner_settings(DemoOptions(out=tmp_path, public_count=2))["public_sums"]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"public_layers": ("conv1",)}, "there is no layer 'conv1': the model has the layers fc1, fc2, fc3"),
        ({"public_count": 4}, "4 public layers"),
        ({"public_count": 1, "public_layers": ("fc1",)}, "both say what is public"),
    ],
)
def test_refusals_leave_nothing_behind(tmp_path: Path, chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        stage.build(DemoOptions(out=tmp_path, **chosen))
    assert list(tmp_path.iterdir()) == []


class KeepingTrainer:
    """Keeps the weights that the owner's epochs are to start from."""

    stepped = b""

    async def run(self, jobs: list[Job]) -> list[Result]:
        self.stepped = jobs[0].fields["weights"]
        return [Result(), Result(accuracy=0.5)]


@pytest.mark.parametrize("server_lr", [UNIT_LR, 2 * UNIT_LR])
async def test_the_baseline_steps_in_the_public_part_of_the_owners_weights(tmp_path: Path, server_lr: int) -> None:
    blobs, trainer = FileBlobStore(tmp_path / "blobs"), KeepingTrainer()
    blobs.put((WHOLE + 1).tobytes())  # of another session
    blobs.put(WHOLE.tobytes())
    published = PART.take(WHOLE).tobytes()
    document = SessionDocument(
        DIGITS.model, digest(published), DIGITS.train, 50, 16, 1 << 18, public_layers=PART.listed,
        initial=bytes(32), server_lr=server_lr,
    )  # fmt: skip
    blobs.put(document.encode(), public=True)
    blobs.put(published, public=True)
    baseline: Any = Baseline(DIGITS, tmp_path, tmp_path / "test.npz", Folder(tmp_path / "loot"), trainer)  # type: ignore[arg-type]
    view: Any = SimpleNamespace(p=SimpleNamespace(doc_digest=document.digest()))
    updates = [np.full(PART.dimension, 2.0), np.full(PART.dimension, 4.0)]
    assert await baseline._after(view, updates) == 0.5
    moved = PART.take(WHOLE) + np.float32(3 * server_lr / UNIT_LR)
    assert np.array_equal(np.frombuffer(trainer.stepped, "<f4"), PART.put(WHOLE, moved))
    blobs.delete(digest(WHOLE.tobytes()))
    assert await baseline._after(view, updates) is None
