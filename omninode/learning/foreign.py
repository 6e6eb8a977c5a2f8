"""Models that somebody else wrote, as a function of flat weights (torch). Imported only inside the worker and by tests.

Both kinds are deterministic: a module runs in eval mode, in training too, and the dropout of an exported graph hands on
what it is given.
"""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omninode.learning import foreign_check
from omninode.learning.data import DataError
from omninode.learning.foreign_archive import ForeignError
from omninode.learning.foreign_graph import Graph
from omninode.learning.model_spec import MAX_FILE, ForeignModel
from omninode.learning.models import Net

__all__ = ["ForeignError", "describe_export", "describe_module", "initial", "load", "rehearse", "told"]

_SAMPLES = 2
_STATISTICS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)


def load(model: ForeignModel, file: Path | None = None, allowed: Collection[str] = ()) -> Net:
    """The model as a function, held against what the session document says of it.

    file: of kind "export".  allowed: import paths that may be imported, exactly as in ``learning.allowed_models``.
    Raises ForeignError, a ValueError, whose sentence says what is wrong and what to do.
    """
    if model.kind == "module":
        module = _module(model.source, allowed)
        _agree(model, _layout(module), model.shape)
        net, classes = _net_of(module, model.shape)
    else:
        exported = foreign_check.read(_bytes(model, file))
        _agree(model, exported.layout, exported.shape)
        graph = Graph(exported)
        net, classes = graph, graph.classes
    if classes != model.classes:
        raise ForeignError(f"the model tells {classes} classes apart, the session document says {model.classes}")
    return net


@contextmanager
def told() -> Iterator[None]:
    """Whatever a model raises while it is trained or asked, as a ForeignError; what we raise ourselves stays."""
    try:
        yield
    except (ValueError, FloatingPointError, DataError, MemoryError):
        raise
    except Exception as error:  # of a module it is somebody's code, and a graph may misuse any operator
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise ForeignError(f"the model cannot be trained: {said:.200}") from None


def rehearse(model: ForeignModel, net: Net) -> None:
    """One step on two samples of zeros: whether the model can be trained at all. Raises ForeignError."""
    flat = torch.zeros(model.parameters, requires_grad=True)
    with told():
        torch.autograd.grad(net(flat, torch.zeros(_SAMPLES, model.features)).sum(), flat)


def describe_module(
    path: str, shape: tuple[int, ...], seed: int, allowed: Collection[str]
) -> tuple[ForeignModel, NDArray[np.float32]]:
    """For a model's owner: what its document says of "package.module:Callable", and the module's own first weights.

    shape: of one sample.  seed: of torch's generator while the module is made. Raises ForeignError.
    """
    module = _module(path, allowed, seed)
    layout = _layout(module)
    _, classes = _net_of(module, shape)
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])
    return ForeignModel("module", path, 0, shape, classes, layout), np.asarray(flat.numpy(), dtype=np.float32)


def describe_export(file: Path) -> tuple[ForeignModel, NDArray[np.float32]]:
    """For a model's owner: what its document says of a ``torch.export`` file, and the weights in it.

    Raises ForeignError.
    """
    data = _read(file, MAX_FILE)
    exported = foreign_check.read(data)
    source = hashlib.sha256(data).hexdigest()
    classes = Graph(exported).classes
    return ForeignModel("export", source, len(data), exported.shape, classes, exported.layout), exported.initial


def initial(model: ForeignModel, file: Path | None, allowed: Collection[str], seed: int) -> NDArray[np.float32]:
    """The weights (d,) that the model brings: of a fresh module, or those in the file. Arguments as of ``load``."""
    if model.kind == "module":
        found, weights = describe_module(model.source, model.shape, seed, allowed)
    else:
        exported = foreign_check.read(_bytes(model, file))
        found, weights = model, exported.initial
        _agree(model, exported.layout, exported.shape)
    if found != model:
        raise ForeignError(f"{model.source:.100} is not the model that it was")
    return weights


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise ForeignError(f"{file}: {error.strerror or error}") from None
    if len(data) > most:
        raise ForeignError(f"{file.name} has more than {most} bytes")
    return data


def _bytes(model: ForeignModel, file: Path | None) -> bytes:
    """The bytes whose digest was checked, and no others are used."""
    if file is None:
        raise ForeignError("the model's file was not fetched")
    data = _read(file, min(model.size, MAX_FILE))
    if len(data) != model.size or hashlib.sha256(data).hexdigest() != model.source:
        raise ForeignError("the model file is not the one that the session document names: its SHA-256 differs")
    return data


def _agree(model: ForeignModel, layout: tuple[tuple[str, tuple[int, ...]], ...], shape: tuple[int, ...]) -> None:
    if shape != model.shape:
        raise ForeignError(f"the model takes samples of shape {shape}, the session document says {model.shape}")
    if layout == model.layout:
        return
    for here, there in zip(layout, model.layout, strict=False):
        if here != there:
            raise ForeignError(f"the model has {_said(here)} where the session document says {_said(there)}")
    raise ForeignError(f"the model has {len(layout)} tensors, the session document says {len(model.layout)}")


def _said(tensor: tuple[str, tuple[int, ...]]) -> str:
    return f"{tensor[0]:.60} of shape {tensor[1]}"


def _module(path: str, allowed: Collection[str], seed: int = 0) -> nn.Module:
    """A fresh module in eval mode, made twice: what is random in it besides its parameters would differ elsewhere."""
    if path not in allowed:
        raise ForeignError(
            f'the model {path!r:.100} is not allowed here: add "{path:.100}" to learning.allowed_models if you trust '
            "it; importing it runs its code with your rights"
        )
    package, _, name = path.partition(":")
    try:
        make = getattr(importlib.import_module(package), name)
        torch.manual_seed(seed)
        module = make()
        torch.manual_seed(seed + 1)
        other = make()
    except Exception as error:  # it is somebody's code: it may raise anything
        raise ForeignError(f"{path} cannot be made: {type(error).__name__}: {error!s:.200}") from None
    if not isinstance(module, nn.Module):
        raise ForeignError(f"{path} makes a {type(module).__name__}, not a torch.nn.Module")
    for (where, mine), theirs in zip(module.named_buffers(), other.buffers(), strict=True):
        if not torch.equal(mine, theirs):
            raise ForeignError(f"{path}: the buffer {where} is random, so it would differ on every node")
    return module.eval()


def _layout(module: nn.Module) -> tuple[tuple[str, tuple[int, ...]], ...]:
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


def _net_of(module: nn.Module, shape: tuple[int, ...]) -> tuple[Net, int]:
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
        logits: Any = net(flat, torch.zeros(_SAMPLES, math.prod(shape)))
    except Exception as error:  # it is somebody's code: it may raise anything
        raise ForeignError(f"the model does not run on samples of shape {shape}: {error!s:.200}") from None
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != _SAMPLES or logits.shape[1] < 2:
        made = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ForeignError(f"of {_SAMPLES} samples the model makes {made}, expected ({_SAMPLES}, classes)")
    if any(not torch.equal(old, new) for old, new in zip(before, module.buffers(), strict=True)):
        raise ForeignError("the model changes its own buffers as it runs: only parameters are averaged")
    return net, logits.shape[1]
