"""Local training of many parties in one batch of matrices: the same steps as ``training.train``, ten times as fast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from omninode.learning.data import Samples
from omninode.learning.document import TrainSpec
from omninode.learning.model_spec import ModelSpec
from omninode.learning.models import state_dict


def train_many(
    spec: ModelSpec, weights: NDArray[np.float32], parts: Sequence[Samples], how: TrainSpec, seeds: Sequence[int]
) -> NDArray[np.float64]:
    """(K, d) updates, new weights minus old, of K parties with equally many samples; as ``train`` up to rounding.

    A party whose training diverges has an update that is not finite. ValueError if the model is no MLP, the parties
    have different numbers of samples, or there is not one seed for each.
    """
    if spec.name != "mlp" or len({len(part) for part in parts}) != 1 or len(seeds) != len(parts):
        raise ValueError("train_many takes an MLP and parties of equal size, with one seed each")
    x, y = (torch.from_numpy(np.stack(column)) for column in ([p.x for p in parts], [p.y for p in parts]))
    flat = torch.tensor(np.tile(weights, (len(parts), 1)), requires_grad=True)
    velocity = torch.zeros_like(flat)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    rows = torch.arange(len(parts))[:, None]
    for _ in range(how.epochs):
        order = torch.stack([torch.randperm(y.shape[1], generator=generator) for generator in generators])
        for batch in torch.split(order, how.batch, dim=1):
            logits = _forward(spec, flat, x[rows, batch])
            loss = functional.cross_entropy(logits.flatten(0, 1), y[rows, batch].flatten(), reduction="sum")
            (gradient,) = torch.autograd.grad(loss / batch.shape[1], flat)
            with torch.no_grad():
                velocity.mul_(how.momentum).add_(gradient)
                flat.sub_(velocity, alpha=how.lr)
    return np.asarray(flat.detach().numpy() - weights, dtype=np.float64)


def _forward(spec: ModelSpec, flat: Tensor, x: Tensor) -> Tensor:
    """Logits (K, m, classes) of (K, m, features) under K models (K, d)."""
    state = state_dict(spec, torch.arange(flat.shape[1]))  # where each tensor's numbers lie
    last = len(state) // 2
    for layer in range(1, last + 1):
        weight, bias = state[f"fc{layer}.weight"], state[f"fc{layer}.bias"]
        start, end = int(weight[0, 0]), int(weight[-1, -1]) + 1
        matrix = flat[:, start:end].view(len(flat), *weight.shape)
        x = torch.baddbmm(flat[:, None, int(bias[0]) : int(bias[-1]) + 1], x, matrix.transpose(1, 2))
        x = functional.relu(x) if layer < last else x
    return x
