"""Models as one flat float32 vector (torch). Imported only inside the worker process and by tests.

A flat leaf tensor, split into views, replaces nn.Module and torch.optim: one tensor to clip, encode and send, and
torch.optim would import torch._dynamo, a second of CPU per worker.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from omninode.learning.model_spec import ModelSpec

Net = Callable[[Tensor, Tensor], Tensor]
"""A model of any kind: all weights, flat (d,), and samples (m, features) give logits (m, classes), differentiably."""


def state_dict(spec: ModelSpec, flat: Tensor) -> dict[str, Tensor]:
    """Views of a flat tensor (d,) under the names and shapes of ``spec.tensors``."""
    parts = torch.split(flat, [math.prod(shape) for _, shape in spec.tensors])
    return {name: part.view(shape) for (name, shape), part in zip(spec.tensors, parts, strict=True)}


def flatten(spec: ModelSpec, state: dict[str, Tensor]) -> Tensor:
    """The flat tensor (d,) of a state_dict; the inverse of ``state_dict``."""
    return torch.cat([state[name].reshape(-1) for name, _ in spec.tensors])


def forward(spec: ModelSpec, state: dict[str, Tensor], samples: Tensor) -> Tensor:
    """Logits (m, classes) of samples (m, features)."""
    x = samples.view(len(samples), *spec.shape)
    if spec.name == "cnn":
        for name in ("conv1", "conv2"):
            x = functional.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"))
            x = functional.max_pool2d(functional.relu(x), 2)
    x = x.flatten(1)
    last = sum(name.startswith("fc") and name.endswith(".weight") for name, _ in spec.tensors)
    for layer in range(1, last + 1):
        x = functional.linear(x, state[f"fc{layer}.weight"], state.get(f"fc{layer}.bias"))
        x = functional.relu(x) if layer < last else x
    return x


def net_of(spec: ModelSpec) -> Net:
    """One of our own architectures as a function."""
    return lambda flat, samples: forward(spec, state_dict(spec, flat), samples)


def initial(spec: ModelSpec, seed: int) -> NDArray[np.float32]:
    """Fresh weights (d,) as torch.nn draws them: uniform in +-1/sqrt(fan in), biases too (LeCun et al. 1998)."""
    generator = torch.Generator().manual_seed(seed)
    parts: list[Tensor] = []
    span = 1.0
    for name, shape in spec.tensors:
        if name.endswith(".weight"):
            span = 1 / math.sqrt(math.prod(shape[1:]))
        parts.append((torch.rand(math.prod(shape), generator=generator) * 2 - 1) * span)
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)
