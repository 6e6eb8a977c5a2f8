"""Training and scoring of flat models (torch). Imported only inside the worker process, simulations and tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from omninode.learning.data import Samples
from omninode.learning.document import TrainSpec
from omninode.learning.model_spec import ModelSpec
from omninode.learning.models import Net, net_of

_EVAL_BATCH = 1024
Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs (m, classes) and labels (m,) give one number, differentiably."""


def pick_device(wanted: str) -> torch.device:
    """The device for "auto" (CUDA where there is one), "cpu" or "cuda[:k]". Raises ValueError if it is not there."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f'device "{wanted}" cannot be used: {str(error).splitlines()[0]}') from None
    return device


def train(
    spec: ModelSpec | Net,
    weights: NDArray[np.float32],
    samples: Samples,
    how: TrainSpec,
    seed: int,
    device: torch.device | None = None,
    loss: Loss = functional.cross_entropy,
) -> NDArray[np.float32]:
    """All weights (d,) after ``how.epochs`` of SGD with momentum (as torch.optim.SGD) on ``samples``.

    seed: orders the samples; with it the result is deterministic on the CPU.
    Raises FloatingPointError when training diverges.
    """
    where, net = device or torch.device("cpu"), net_of(spec) if isinstance(spec, ModelSpec) else spec
    x, y = torch.from_numpy(samples.x).to(where), torch.from_numpy(samples.y).to(where)
    flat = torch.tensor(weights, device=where, requires_grad=True)
    velocity = torch.zeros_like(flat)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(how.epochs):
        for batch in torch.split(torch.randperm(len(y), generator=generator).to(where), how.batch):
            (gradient,) = torch.autograd.grad(loss(net(flat, x[batch]), y[batch]), flat)
            with torch.no_grad():
                velocity.mul_(how.momentum).add_(gradient)
                flat.sub_(velocity, alpha=how.lr)
    trained = np.asarray(flat.detach().cpu().numpy(), dtype=np.float32)
    if not np.isfinite(trained).all():
        raise FloatingPointError("training diverged: a weight is not a finite number; lower train.lr")
    return trained


def accuracy(
    spec: ModelSpec | Net, weights: NDArray[np.float32], samples: Samples, device: torch.device | None = None
) -> float:
    """Share of samples whose largest logit is their label, 0 to 1."""
    where, net = device or torch.device("cpu"), net_of(spec) if isinstance(spec, ModelSpec) else spec
    flat = torch.tensor(weights, device=where)
    right = 0
    with torch.no_grad():
        for start in range(0, len(samples.y), _EVAL_BATCH):
            part = torch.from_numpy(samples.x[start : start + _EVAL_BATCH]).to(where)
            guess = net(flat, part).argmax(1).cpu().numpy()
            right += int((guess == samples.y[start : start + _EVAL_BATCH]).sum())
    return right / len(samples.y)
