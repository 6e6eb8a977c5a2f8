"""Installed modules that a node's configuration allows (torch). Imported only inside the worker and by tests."""

from __future__ import annotations

import importlib
import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from omninode.learning.foreign_archive import ForeignError
from omninode.learning.models import Net

SAMPLES = 2
"""A model is tried on so many."""
_STATISTICS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)


def make(path: str, allowed: Collection[str], seed: int = 0) -> nn.Module:
    """A fresh module in eval mode, made twice: what is random in it besides its parameters would differ elsewhere."""
    if path not in allowed:
        raise ForeignError(
            f'the model {path!r:.100} is not allowed here: add "{path:.100}" to learning.allowed_models if you trust '
            "it; importing it runs its code with your rights"
        )
    package, _, name = path.partition(":")
    try:
        made = getattr(importlib.import_module(package), name)
        torch.manual_seed(seed)
        module = made()
        torch.manual_seed(seed + 1)
        other = made()
    except Exception as error:  # it is somebody's code: it may raise anything
        raise ForeignError(f"{path} cannot be made: {type(error).__name__}: {error!s:.200}") from None
    if not isinstance(module, nn.Module):
        raise ForeignError(f"{path} makes a {type(module).__name__}, not a torch.nn.Module")
    for (where, mine), theirs in zip(module.named_buffers(), other.buffers(), strict=True):
        if not torch.equal(mine, theirs):
            raise ForeignError(f"{path}: the buffer {where} is random, so it would differ on every node")
    return module.eval()


def layout_of(module: nn.Module) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names and shapes of the parameters. Raises ForeignError for what is not trained through them alone."""
    for where, part in module.named_modules():
        if isinstance(part, _STATISTICS) and part.track_running_stats:
            raise ForeignError(
                f"the layer {where} keeps running statistics, which are not averaged as parameters are: use GroupNorm"
            )
    named = list(module.named_parameters(remove_duplicate=False))
    if len(named) != len(list(module.parameters())):
        raise ForeignError("two layers of the model share their weights: each needs its own")
    for name, parameter in named:
        if parameter.dtype != torch.float32:
            raise ForeignError(f"the parameter {name} is {parameter.dtype}: parameters must be float32")
    return tuple((name, tuple(parameter.shape)) for name, parameter in named)


def net_of(module: nn.Module, shape: tuple[int, ...]) -> tuple[Net, int]:
    """The module as a function, tried on two samples, and how many classes it tells apart."""
    names = [(name, parameter.shape) for name, parameter in module.named_parameters()]
    lengths = [math.prod(size) for _, size in names]
    module.requires_grad_(False)
    elsewhere: dict[torch.device, dict[str, Tensor]] = {torch.device("cpu"): {}}  # buffers are made on the CPU

    def net(flat: Tensor, samples: Tensor) -> Tensor:
        parts = torch.split(flat, lengths)
        if flat.device not in elsewhere:
            elsewhere[flat.device] = {name: buffer.to(flat.device) for name, buffer in module.named_buffers()}
        state = elsewhere[flat.device] | {
            name: part.view(size) for (name, size), part in zip(names, parts, strict=True)
        }
        logits: Tensor = torch.func.functional_call(module, state, (samples.reshape(len(samples), *shape),))
        return logits

    before = [buffer.clone() for buffer in module.buffers()]
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])
    try:
        logits: Any = net(flat, torch.zeros(SAMPLES, math.prod(shape)))
    except Exception as error:  # it is somebody's code: it may raise anything
        raise ForeignError(f"the model does not run on samples of shape {shape}: {error!s:.200}") from None
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != SAMPLES or logits.shape[1] < 2:
        made = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ForeignError(f"of {SAMPLES} samples the model makes {made}, expected ({SAMPLES}, classes)")
    if any(not torch.equal(old, new) for old, new in zip(before, module.buffers(), strict=True)):
        raise ForeignError("the model changes its own buffers as it runs: only parameters are averaged")
    return net, logits.shape[1]
