"""The architecture that a model owner's configuration names: its preset's, an installed module, or an exported file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from omninode.errors import ConfigError, RefusedError
from omninode.learning import data as local_data
from omninode.learning.document import unpack_model
from omninode.learning.jobs import Job
from omninode.learning.model_spec import ForeignModel
from omninode.learning.presets import PRESETS
from omninode.learning.service import TrainingFailed

if TYPE_CHECKING:
    from omninode.learning.model_spec import Model
    from omninode.roles.services import Services

_MOST_SIDES = 8
_CURE = "docs/models.md says what a model may be"


async def architecture(services: Services) -> Model:
    """The architecture; an exported file is put where data owners can fetch it.

    Raises RefusedError where the model cannot be used, ConfigError for a shape that is none, or what reading the data
    raises.
    """
    chosen = services.config.model_owner
    if not chosen.model:
        known = PRESETS[chosen.preset].model
        return replace(known, bias=False) if chosen.model_privacy == "perturb" else known
    exported = chosen.model.endswith(".pt2")
    shape = () if exported else await _shape(services)
    try:
        (result,) = await services.trainer.run([Job.describe(chosen.model, shape, (chosen.model,))])
        model = unpack_model(result.model)
    except (TrainingFailed, ValueError) as error:
        raise RefusedError(_problem(error), _CURE) from error
    if exported:
        await _serve(services, model)
    try:
        await services.trainer.run([Job.load(model)])
    except TrainingFailed as error:
        raise RefusedError(_problem(error), _CURE) from error
    return model


def _problem(error: Exception) -> str:
    return f"model_owner.model cannot be used: {error}"


def fingerprint(model: Model) -> str:
    """Tells apart what is trained here from other architectures; "" for a preset's, with its biases."""
    if not isinstance(model, ForeignModel) and model.bias:
        return ""
    return hashlib.sha256(json.dumps(asdict(model), sort_keys=True).encode()).hexdigest()


async def _shape(services: Services) -> tuple[int, ...]:
    """The shape of one sample: as configured, else as the owner's data has them."""
    said = services.config.model_owner.model_shape
    if not said:
        samples = await trio.to_thread.run_sync(local_data.load, Path(services.config.data.path))
        return (samples.x.shape[1],)
    sides = said.split("x")
    if not all(side.isascii() and side.isdigit() and int(side) for side in sides) or len(sides) > _MOST_SIDES:
        raise ConfigError(f'model_owner.model_shape must look like 1x28x28, not "{said}"')
    return tuple(int(side) for side in sides)


async def _serve(services: Services, model: Model) -> None:
    assert isinstance(model, ForeignModel)
    path = Path(services.config.model_owner.model)
    data = await trio.to_thread.run_sync(path.read_bytes)
    digest = await trio.to_thread.run_sync(lambda: services.blobs.put(data, public=True))
    if digest.hex() != model.source:
        raise RefusedError(f"{path} changed while it was read", "start the node again")
