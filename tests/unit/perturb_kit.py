"""What the tests of perturbation share: small models, samples, and one thread of torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from omninode.learning.data import Samples
from omninode.learning.model_spec import ModelSpec

MLP = ModelSpec("mlp", (12, 9, 7, 4), (12,), bias=False)
FLAT = ModelSpec("mlp", (6, 3), (6,), bias=False)
CNN = ModelSpec("cnn", (3, 4, 12, 8, 5), (2, 16, 16), bias=False)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small get slower with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def some_samples(spec: ModelSpec, count: int, seed: int = 0) -> Samples:
    """Standard normal features, uniform labels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, spec.features)).astype(np.float32)
    return Samples(x, rng.integers(0, spec.classes, count))


def relative(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Relative error in the L2 norm."""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
