"""What a worker does before a data owner promises anything: the check of a session's task against its own data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from omninode.learning import data, foreign, operations
from omninode.learning.data import DataError, Samples
from omninode.learning.document import Perturbation, SessionDocument, TrainSpec
from omninode.learning.jobs import Job
from omninode.learning.model_spec import ForeignModel, ModelSpec
from omninode.learning.public_part import choose

MODEL = ModelSpec("mlp", (4, 3, 2), (4,))
PART = choose(MODEL, ("fc2",))
PLAIN = SessionDocument(MODEL, bytes(32), TrainSpec(0.1, 0.0, 8, 50), 10, 16, 1 << 18)
SPLIT = replace(PLAIN, public_layers=("fc2",), initial=bytes(32))
FOREIGN = replace(PLAIN, model=ForeignModel("module", "a:b", 0, (4,), 2, (("w", (2, 4)),)))
ZEROS = bytes(4 * MODEL.parameters)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Nineteen samples: two batches of eight, and three more."""
    rng = np.random.default_rng(0)
    samples = Samples(rng.standard_normal((19, 4)).astype(np.float32), rng.integers(0, 2, 19))
    data.save(tmp_path / "data.npz", samples)
    return tmp_path / "data.npz"


def do(job: Job) -> None:
    answer, _ = operations.do(job.fields, None, torch.device("cpu"))
    assert answer == {"weights": None, "update": None, "accuracy": None, "model": None}


def numbers(count: int, last: float = 0.0) -> bytes:
    vector = np.zeros(count, "<f4")
    vector[-1] = last
    return vector.tobytes()


def test_a_task_that_can_be_trained(path: Path) -> None:
    do(Job.check(PLAIN, path, ZEROS))
    do(Job.check(SPLIT, path, bytes(4 * PART.dimension), ZEROS))
    bare = replace(MODEL, bias=False)
    hidden = replace(PLAIN, model=bare, perturbation=Perturbation((0.5, 0.5), (1.0, 2.0, 3.0)))
    do(Job.check(hidden, path, numbers(bare.parameters, 1.0)))
    do(Job.load(MODEL))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="is not a finite number"):
        do(Job.check(PLAIN, path, numbers(MODEL.parameters, value)))
    with pytest.raises(ValueError, match="is not a finite number"):
        do(Job.check(SPLIT, path, bytes(4 * PART.dimension), numbers(MODEL.parameters, value)))
    with pytest.raises(ValueError, match="is not a finite number"):
        do(Job.check(SPLIT, path, numbers(PART.dimension, value), ZEROS))


def test_tasks_that_do_not_fit(path: Path) -> None:
    with pytest.raises(DataError, match="at least 20"):
        do(Job.check(replace(PLAIN, min_samples=20), path, ZEROS))
    with pytest.raises(ValueError, match="weights blob has"):
        do(Job.check(PLAIN, path, ZEROS[:-4]))
    with pytest.raises(FloatingPointError, match="diverged"):
        start = np.full(MODEL.parameters, 3e38, "<f4").tobytes()
        do(Job.check(PLAIN, path, start))


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A model of somebody else, which notes what it is asked; an exception put in first is raised at the end."""
    seen: list[Any] = []

    def net(flat: Tensor, samples: Tensor) -> Tensor:
        seen.append((float(flat.detach()[0]), samples.clone()))
        if len(samples) == 3 and isinstance(seen[0], Exception):
            raise seen[0]
        return samples @ flat.view(2, 4).T

    monkeypatch.setattr(foreign, "load", lambda model, file, allowed: net)
    yield seen


def test_the_check_trains_on_the_first_and_on_the_last_batch(path: Path, theirs: list[Any]) -> None:
    """From the session's own weights, on this node's own samples."""
    do(Job.check(FOREIGN, path, np.full(8, 0.25, "<f4").tobytes()))
    assert [len(samples) for _, samples in theirs] == [8, 3] and theirs[0][0] == 0.25
    own = {tuple(row) for row in data.load(path).x.tolist()}
    assert {tuple(row) for _, samples in theirs for row in samples.tolist()} <= own


@pytest.mark.parametrize("error", [RuntimeError("no memory\nframes"), KeyError("x"), ZeroDivisionError()])
def test_whatever_their_model_raises_is_a_sentence(path: Path, theirs: list[Any], error: Exception) -> None:
    theirs.append(error)
    with pytest.raises(ValueError, match="the model cannot be trained: ") as caught:
        do(Job.check(FOREIGN, path, bytes(32)))
    assert "frames" not in str(caught.value)
