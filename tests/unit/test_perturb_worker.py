"""The worker's jobs for a perturbed model: three packed vectors, squared error before and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from omninode.learning import data, models, operations, perturb, weights
from omninode.learning import perturb_upload as upload
from omninode.learning.document import Perturbation, SessionDocument, TrainSpec
from omninode.learning.jobs import Job, Result
from omninode.learning.perturb_torch import squares, three_vectors
from omninode.learning.training import train
from tests.unit.perturb_kit import MLP, relative, some_samples

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
SECRETS = perturb.draw(MLP, bytes(32), b"")
HIDDEN = weights.to_bytes(perturb.perturb(MLP, SECRETS, models.initial(MLP, 0)))
BOUNDS = (3.0, 2.0, 5.0)
DOCUMENT = SessionDocument(
    model=MLP, weights=weights.digest(HIDDEN), train=perturb.SESSION, min_samples=20, frac_bits=24, bound=1 << 24,
    seed=7, perturbation=Perturbation(SECRETS.noise, BOUNDS),
)  # fmt: skip


def done(job: Job, before: np.ndarray | None = None) -> Result:
    return Result.unpack(operations.do(job.fields, before, CPU)[0])


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.npz"
    data.save(path, some_samples(MLP, 30))
    return path


def test_a_data_owners_update_are_its_three_vectors(own: Path) -> None:
    update = done(Job.train(DOCUMENT, HIDDEN, own, 3)).update
    assert update is not None and len(update) == DOCUMENT.parameters == 3 * MLP.parameters
    found = upload.unpack(update.astype(np.float64), BOUNDS, DOCUMENT.bound, DOCUMENT.frac_bits)
    hidden = weights.from_bytes(MLP, HIDDEN)
    wanted = three_vectors(MLP, hidden, SECRETS.noise, data.load(own))
    assert all(relative(a, b) < 1e-7 for a, b in zip(found, wanted, strict=True))


def test_too_few_samples_are_refused(own: Path) -> None:
    with pytest.raises(data.DataError, match="at least 31"):
        done(Job.train(replace(DOCUMENT, min_samples=31), HIDDEN, own, 3))


def test_a_diverged_model_is_refused(own: Path) -> None:
    blob = weights.to_bytes(np.full(MLP.parameters, 3e38, dtype=np.float32))
    with pytest.raises(FloatingPointError, match="diverged"):
        done(Job.train(DOCUMENT, blob, own, 3))


def test_the_owner_trains_with_squared_error_before_and_after(own: Path) -> None:
    how = TrainSpec(lr=0.05, momentum=0.5, batch=10, epochs=2)
    start, samples = models.initial(MLP, 5), data.load(own)
    first = done(Job.pretrain(MLP, own, 5, how, squared=True)).weights
    assert first == weights.to_bytes(train(MLP, start, samples, how, 5, loss=squares))
    assert first != done(Job.pretrain(MLP, own, 5, how)).weights
    adapted = done(Job.adapt(DOCUMENT, weights.to_bytes(start), own, 9)).weights
    assert adapted == weights.to_bytes(train(MLP, start, samples, perturb.ADAPT, DOCUMENT.seed, loss=squares))


def test_the_document_survives_its_bytes() -> None:
    assert SessionDocument.decode(DOCUMENT.encode()) == DOCUMENT
