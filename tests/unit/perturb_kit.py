"""What the tests of perturbation share: small models, samples, and one thread of torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omninode.learning import perturb
from omninode.learning.data import Samples
from omninode.learning.model_spec import ModelSpec
from omninode.learning.perturb import Secrets

MLP = ModelSpec("mlp", (12, 9, 7, 4), (12,), bias=False)
FLAT = ModelSpec("mlp", (6, 3), (6,), bias=False)
CNN = ModelSpec("cnn", (3, 4, 12, 8, 5), (2, 16, 16), bias=False)


def some_samples(spec: ModelSpec, count: int, seed: int = 0) -> Samples:
    """Standard normal features, uniform labels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, spec.features)).astype(np.float32)
    return Samples(x, rng.integers(0, spec.classes, count))


def relative(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Relative error in the L2 norm."""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def restore(model: ModelSpec, secrets: Secrets, perturbed: NDArray[np.floating]) -> NDArray[np.float64]:
    """W, the inverse of ``perturb``: each vector (d,) is the perturbation of one model, rounded to float32 or not."""
    added = perturb.perturb(model, secrets, np.zeros(model.parameters))
    return np.asarray((perturbed.astype(np.float64) - added) / perturb.ratios(model, secrets), dtype=np.float64)
