"""Models that somebody else wrote, as a function of flat weights (torch). Imported only inside the worker and by tests.

Both kinds are deterministic: a module runs in eval mode, in training too, and the dropout of an exported graph hands on
what it is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from omninode.learning import foreign_check, foreign_module
from omninode.learning.data import DataError
from omninode.learning.foreign_archive import ForeignError
from omninode.learning.foreign_graph import Graph
from omninode.learning.model_spec import MAX_FILE, ForeignModel
from omninode.learning.models import Net

__all__ = ["ForeignError", "describe_export", "describe_module", "initial", "load", "rehearse", "told"]


def load(model: ForeignModel, file: Path | None = None, allowed: Collection[str] = ()) -> Net:
    """The model as a function, held against what the session document says of it.

    file: of kind "export".  allowed: import paths that may be imported, exactly as in ``learning.allowed_models``.
    Raises ForeignError, a ValueError, whose sentence says what is wrong and what to do.
    """
    if model.kind == "module":
        module = foreign_module.make(model.source, allowed)
        _agree(model, foreign_module.layout_of(module), model.shape)
        net, classes = foreign_module.net_of(module, model.shape)
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
        torch.autograd.grad(net(flat, torch.zeros(foreign_module.SAMPLES, model.features)).sum(), flat)


def describe_module(
    path: str, shape: tuple[int, ...], seed: int, allowed: Collection[str]
) -> tuple[ForeignModel, NDArray[np.float32]]:
    """For a model's owner: what its document says of "package.module:Callable", and the module's own first weights.

    shape: of one sample.  seed: of torch's generator while the module is made. Raises ForeignError.
    """
    module = foreign_module.make(path, allowed, seed)
    layout = foreign_module.layout_of(module)
    _, classes = foreign_module.net_of(module, shape)
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
