"""The owner's model at the start of its node: taken up from the store, or trained for the first time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from omninode.errors import RefusedError
from omninode.learning.jobs import Job
from omninode.learning.public_part import choose
from omninode.learning.service import TrainingFailed
from omninode.roles import owner_architecture, owner_step
from omninode.roles.model_state import ModelState
from omninode.roles.owner_bound import bound_of, measured
from omninode.store.blobs import BlobError

if TYPE_CHECKING:
    from omninode.learning.model_spec import Model
    from omninode.learning.presets import Preset
    from omninode.roles.owner_data import OwnerData
    from omninode.roles.services import Services

ANOTHER_FOLDER = "set it back, or choose another node.data_dir"


async def take_up(services: Services, preset: Preset, model: Model, text: str) -> ModelState:
    """The saved state ``text``. Raises RefusedError where it is not of what the configuration says."""
    state, expected = ModelState.decode(text), owner_architecture.fingerprint(model)
    if state.architecture != expected:
        raise RefusedError("the model saved here has another architecture than model_owner.model says", ANOTHER_FOLDER)
    if not expected and state.preset != preset.name:
        raise RefusedError(
            f"the model saved here is of preset {state.preset}, model_owner.preset says {preset.name}", ANOTHER_FOLDER
        )
    digest, wanted = bytes.fromhex(state.weights), 4 * model.parameters
    try:
        size = await trio.to_thread.run_sync(services.blobs.size, digest)
    except (BlobError, OSError) as error:
        raise RefusedError(
            f"the weights of the saved model, blob {state.weights}, are not here", "restore node.data_dir from a copy"
        ) from error
    if size != wanted:
        raise RefusedError(f"the saved weights have {size} bytes, the model takes {wanted}", ANOTHER_FOLDER)
    if state.served is None:  # saved before it was written down: what may have been served counts as served
        layers = choose(model).layers
        state = state.serving(layers if state.applied or services.blobs.is_public(digest) else (), layers)
    return state


async def pretrained(services: Services, preset: Preset, model: Model, data: OwnerData) -> tuple[ModelState, bytes]:
    """A first state (without the digest of its weights) and all weights, trained on the owner's own data.

    Raises RefusedError with what to look at, BlobError.
    """
    chosen = services.config.model_owner
    start = [Job.initial(model, chosen.seed)]
    if chosen.weights:
        start.append(Job.read(model, Path(chosen.weights)))
    training = Job.pretrain(model, data.own, chosen.seed, preset.pretrain, chosen.model_privacy == "perturb")
    try:
        results = await services.trainer.run([*start, training, *owner_step.evaluations(services, model)])
        trained, *evaluated = results[len(start) :]
        initial, weights, update = results[0].weights, trained.weights, trained.update
        assert initial is not None and weights is not None and update is not None
        put = await trio.to_thread.run_sync(lambda: services.blobs.put(initial, public=True))
        if chosen.weights:  # they may know the owner's data: how far they moved says nothing
            bound, floored = await measured(services, preset, model, choose(model), data, put)
        else:
            bound, floored = bound_of(update, preset.frac_bits), False
    except TrainingFailed as error:
        raise RefusedError(f"the first training failed: {error}", "look at model_owner and at the data") from error
    accuracy = evaluated[0].accuracy if evaluated else None
    return ModelState(
        preset.name, "", bound, accuracy, accuracy, initial=put.hex(), served=(),
        architecture=owner_architecture.fingerprint(model), floored=((),) if floored else (),
    ), weights  # fmt: skip


async def with_initial(services: Services, model: Model, state: ModelState) -> ModelState:
    """With W0, which is missing in what was saved before there were public layers. Raises TrainingFailed, BlobError."""
    if state.initial:
        return state
    (made,) = await services.trainer.run([Job.initial(model, services.config.model_owner.seed)])
    weights = made.weights
    assert weights is not None
    put = await trio.to_thread.run_sync(lambda: services.blobs.put(weights, public=True))
    return replace(state, initial=put.hex())
