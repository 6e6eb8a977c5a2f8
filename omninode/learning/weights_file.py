"""Files of weights: .safetensors, and .pt or .pth without what a pickle could do. Imports torch for the latter only."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omninode.learning.model_spec import Model

MAX_FILE = 1 << 30
_REAL = ("float16", "float32", "float64")


class WeightsFileError(ValueError):
    """The file cannot be used; the text says why."""


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """Tensors by name. A .pt may hold them in a map of its own, "state_dict".

    Raises WeightsFileError for files that cannot be read, other numbers, or a pickle with anything but tensors.
    """
    try:
        return _read(path)
    except OSError as error:
        raise WeightsFileError(f"{path}: {error.strerror or error}") from None


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    if path.stat().st_size > MAX_FILE:
        raise WeightsFileError(f"{path.name} has more than {MAX_FILE} bytes")
    if path.suffix == ".safetensors":
        raw = _read_safetensors(path)
    elif path.suffix in (".pt", ".pth"):
        raw = _read_torch(path)
    else:
        raise WeightsFileError(f"{path.name}: weights are read from .safetensors, .pt or .pth files")
    return {name: _real(path, name, value) for name, value in raw.items()}


def flat(model: Model, tensors: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """All weights (d,) in the order of ``model.tensors``. Raises WeightsFileError for what does not fit the model."""
    shapes = dict(model.tensors)
    if missing := [name for name in shapes if name not in tensors]:
        raise WeightsFileError(f"the weights lack {missing[0]}: the model has {', '.join(shapes)}"[:600])
    if extra := sorted(tensors.keys() - shapes.keys()):
        raise WeightsFileError(
            f"the weights have {extra[0]!r:.60}, which the model does not: it has {', '.join(shapes)}"[:600]
        )
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise WeightsFileError(f"the weights' {name} has the shape {tensors[name].shape}, the model's {shape}")
        if not np.isfinite(tensors[name]).all():
            raise WeightsFileError(f"the weights' {name} holds a number that is not finite")
    return np.concatenate([tensors[name].reshape(-1) for name in shapes]).astype(np.float32)


def write(path: Path, model: Model, weights: NDArray[np.float32]) -> None:
    """All weights (d,) as .safetensors that its owner alone can read, whole or not at all.

    Raises ValueError on another length, or OSError.
    """
    from safetensors.numpy import save

    if weights.shape != (model.parameters,):
        raise ValueError(f"weights of shape {weights.shape}, the model has ({model.parameters},)")
    parts = np.split(weights, np.cumsum([math.prod(shape) for _, shape in model.tensors])[:-1])
    named = {name: part.reshape(shape).copy() for (name, shape), part in zip(model.tensors, parts, strict=True)}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(save(named, metadata={"format": "pt"}))
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(path.read_bytes())
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsFileError(f"{path.name} is no .safetensors file of plain numbers ({error!s:.120})") from None


def _read_torch(path: Path) -> dict[str, Any]:
    import torch

    try:
        raw = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError, TypeError, AttributeError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsFileError(
            f"{path.name} holds more than tensors, or is damaged; nothing ran ({said:.120})"
        ) from None
    raw = raw.get("state_dict", raw) if isinstance(raw, dict) else raw
    if not isinstance(raw, dict) or not all(isinstance(value, torch.Tensor) for value in raw.values()):
        raise WeightsFileError(f"{path.name} must hold tensors by name: torch.save(model.state_dict(), FILE)")
    if any(value.layout != torch.strided for value in raw.values()):
        raise WeightsFileError(f"{path.name} holds a tensor that is not dense")
    for name, value in raw.items():
        if value.dtype not in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
            kind = str(value.dtype).removeprefix("torch.")
            raise WeightsFileError(f"{path.name}: {name!r:.60} is {kind}; weights are floating-point numbers")
    return {
        name: (value.float() if value.dtype == torch.bfloat16 else value).detach().numpy()
        for name, value in raw.items()
    }


def _real(path: Path, name: Any, value: NDArray[Any]) -> NDArray[np.float32]:
    if not isinstance(name, str) or value.dtype.name not in _REAL:
        raise WeightsFileError(f"{path.name}: {name!r:.60} is {value.dtype.name}; weights are floating-point numbers")
    return np.ascontiguousarray(value, dtype=np.float32).reshape(value.shape)
