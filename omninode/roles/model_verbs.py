"""What `omninode model` asks of a model owner's node: what the model is made of, and its weights as a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import trio

from omninode.errors import RefusedError, UsageError
from omninode.learning import weights_file
from omninode.learning.model_spec import ForeignModel, layer_of, layers_of
from omninode.roles.terms import public_part

if TYPE_CHECKING:
    from omninode.config import Config
    from omninode.roles.owner_model import OwnerModel


def show(model: OwnerModel, config: Config) -> dict[str, Any]:
    """Layers, parameters, and from which count of public layers on each is published. RefusedError if not trained."""
    state, kind = model.require(), model.model
    sizes = dict.fromkeys(layers_of(kind.tensors), 0)
    for name, shape in kind.tensors:
        sizes[layer_of(name)] += math.prod(shape)
    turns = {layer: turn for turn, layer in enumerate(kind.publishing_order, 1)}
    return {
        "model": f"{kind.kind} {kind.source}" if isinstance(kind, ForeignModel) else config.model_owner.preset,
        "sample": list(kind.shape),
        "classes": kind.classes,
        "parameters": kind.parameters,
        "published": public_part(config.model_owner, {}, kind).sentence,
        "accuracy": state.accuracy,
        "layers": [
            {"layer": layer, "parameters": size, "share": size / kind.parameters, "public_count": turns[layer]}
            for layer, size in sizes.items()
        ],
    }


async def save(model: OwnerModel, args: dict[str, Any]) -> dict[str, Any]:
    """Write all current weights to ``file``, an absolute path. Raises RefusedError or UsageError."""
    path = Path(str(args.get("file", "")))
    if path.suffix != ".safetensors" or not path.is_absolute():
        raise UsageError(f"{path} is no .safetensors file", "call it model.safetensors, for instance")
    if path.exists() and args.get("force") is not True:
        raise RefusedError(f"{path} is there already", "choose another name, or add --force")
    state = model.require()
    weights = np.frombuffer(await model.weights(), dtype="<f4").astype(np.float32)
    try:
        await trio.to_thread.run_sync(weights_file.write, path, model.model, weights)
    except OSError as error:
        raise RefusedError(f"{path} cannot be written: {error.strerror or error}", "choose another place") from error
    return {"file": str(path), "parameters": model.model.parameters, "sessions": len(state.applied)}
