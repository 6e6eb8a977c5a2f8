"""The owner's reference: held out, scaled to the bound, trained as data owners train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omninode.learning.data import DataError, Samples
from omninode.learning.document import SessionDocument
from omninode.learning.fixed_point import FixedPointError, norm_squared
from omninode.learning.presets import DIGITS
from omninode.learning.reference import ROOT_SAMPLES, hold_out, reference_job, reference_update


def samples(count: int) -> Samples:
    return Samples(np.arange(count, dtype=np.float32)[:, None], np.arange(count) % 10)


def test_the_root_set_is_the_tail_and_never_trained_on() -> None:
    own, root = hold_out(samples(60))
    assert len(root) == ROOT_SAMPLES
    assert own.x[:, 0].tolist() == list(range(30)) and root.x[:, 0].tolist() == list(range(30, 60))


@pytest.mark.parametrize(("count", "root"), [(30, 30), (10, 30), (10, 0), (10, -1)])
def test_something_must_be_left_to_train_on(count: int, root: int) -> None:
    with pytest.raises(DataError, match="root set"):
        hold_out(samples(count), root)


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e4])
def test_the_reference_is_as_long_as_the_bound(length: float) -> None:
    """Short ones too: a cap is a share of B^2 whatever the reference's own length."""
    real = np.random.default_rng(1).standard_normal(5000)
    real *= length / np.linalg.norm(real)
    bound = 3 << 16
    encoded = reference_update(real, bound, 16)
    assert encoded.dtype == np.int64
    assert 0.999 * bound**2 < norm_squared(encoded) <= bound**2
    assert encoded @ real / np.linalg.norm(encoded) / length > 0.9999


def test_no_update_no_reference() -> None:
    assert not reference_update(np.zeros(10), 1 << 16, 16).any()
    for bad in (np.nan, np.inf):
        with pytest.raises(FixedPointError):
            reference_update(np.array([1.0, bad]), 1 << 16, 16)


def test_the_job_trains_as_long_as_data_owners_do() -> None:
    document = SessionDocument(DIGITS.model, bytes(32), DIGITS.train, DIGITS.min_samples, 16, 1 << 17, 9)
    fields = reference_job(document, b"weights", Path("root.npz")).fields
    assert fields["train"]["epochs"] == DIGITS.train.epochs and fields["seed"] == 9
    assert fields["min_samples"] == 1 and fields["data"].endswith("root.npz")
