"""A data owner's three vectors for a perturbed model, by autograd in float64 (torch). Workers and simulations only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from omninode.learning.data import Samples
from omninode.learning.document import VECTORS
from omninode.learning.model_spec import Model, ModelSpec
from omninode.learning.models import forward, state_dict
from omninode.learning.perturb import Real, check_model

_CHUNK = 256  # samples whose activations are held at a time


def squares(outputs: Tensor, labels: Tensor) -> Tensor:
    """Half the squared error against one-hot targets, summed over classes, mean over samples: the only loss here."""
    targets = functional.one_hot(labels, outputs.shape[1]).to(outputs.dtype)
    return 0.5 * (outputs - targets).square().sum(1).mean()


def three_vectors(
    model: Model,
    weights: NDArray[np.floating],
    noise: Sequence[float],
    samples: Samples,
    device: torch.device | None = None,
) -> Real:
    """grad, sigma and beta (3, d), means over ``samples``: gradients of 1/2 |e|^2, alpha <r^a, e> and 1/2 alpha^2.

    weights: the perturbed ones (d,).  noise: r^a (classes,).  By the product rule these are the paper's
    sigma = alpha sum_c r_c d yhat_c + <r, e> d alpha and beta = alpha d alpha, with zero in the last layer.
    Raises ValueError for a model that cannot be perturbed, FloatingPointError if a number is not finite.
    """
    spec = check_model(model)
    where = device or torch.device("cpu")
    flat = torch.tensor(np.asarray(weights, dtype=np.float64), device=where, requires_grad=True)
    added = torch.tensor(list(noise), dtype=torch.float64, device=where)
    total = torch.zeros(VECTORS, spec.parameters, dtype=torch.float64, device=where)
    for x, targets in _chunks(spec, samples, where):
        outputs, alpha = outputs_and_sum(spec, flat, x)
        errors = outputs - targets
        scalars = (0.5 * errors.square().sum(), (alpha * (errors @ added)).sum(), 0.5 * alpha.square().sum())
        for row, scalar in enumerate(scalars):
            (gradient,) = torch.autograd.grad(scalar, flat, retain_graph=row + 1 < VECTORS)
            total[row] += gradient
    return _finite(total / len(samples))


def gradient(model: Model, weights: NDArray[np.floating], samples: Samples, device: torch.device | None = None) -> Real:
    """The plain gradient (d,) of ``squares``, in float64: what de-noising has to give back."""
    found: Real = three_vectors(model, weights, [1.0] * model.classes, samples, device)[0]
    return found


def outputs_and_sum(spec: ModelSpec, flat: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (m, classes) and alpha (m,), the sum of the last hidden layer: one more output, with weights of 1."""
    state = state_dict(spec, flat)
    last = spec.tensors[-1][0]
    ones = torch.ones(1, state[last].shape[1], dtype=flat.dtype, device=flat.device)
    both = forward(spec, {**state, last: torch.cat([state[last], ones])}, x)
    return both[:, :-1], both[:, -1]


def _chunks(spec: ModelSpec, samples: Samples, where: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples (m, features) and one-hot targets (m, classes), some at a time."""
    for start in range(0, len(samples), _CHUNK):
        x = torch.from_numpy(samples.x[start : start + _CHUNK]).to(where, torch.float64)
        y = torch.from_numpy(samples.y[start : start + _CHUNK]).to(where)
        yield x, functional.one_hot(y, spec.classes).to(torch.float64)


def _finite(values: Tensor) -> Real:
    found = np.asarray(values.cpu().numpy(), dtype=np.float64)
    if not math.isfinite(float(np.abs(found).sum())):
        raise FloatingPointError("a gradient is not finite: the model has diverged; lower train.lr")
    return found
