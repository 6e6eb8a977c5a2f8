"""The first bound of what no session has published yet, measured: the owner plays a data owner on its own data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import trio

from omninode.errors import RefusedError
from omninode.learning import bound as bounds
from omninode.learning.document import SessionDocument
from omninode.learning.jobs import Job
from omninode.roles import owner_data

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.learning.model_spec import Model
    from omninode.learning.presets import Preset
    from omninode.learning.public_part import PublicPart
    from omninode.roles.owner_data import OwnerData
    from omninode.roles.services import Services


async def measured(
    services: Services, preset: Preset, model: Model, part: PublicPart, data: OwnerData, initial: bytes
) -> tuple[int, bool]:
    """Integer bound of a session that publishes ``part``, with the preset's frac_bits, and whether it is the floor.

    One half of the owner's own data trains a model from scratch, the other half plays a data owner that gets ``part``
    of it: data that the model has not seen, as a data owner's. How far the current weights are is not asked: whoever
    has trained on all of the owner's data already moves a hundredth of what data owners move. Of data that is of one
    label only both halves are the same, and nothing moves: ``bounds.played_norm`` has a floor from the first training.
    initial: digest of W0. Raises RefusedError where nothing moves or there is too little data, TrainingFailed.
    """
    chosen = services.config.model_owner
    base, probe, count = await trio.to_thread.run_sync(owner_data.halves, data.own, services.data_dir, chosen.seed)
    epochs = preset.train.epochs * -(-max(preset.min_samples, count) // count)  # as many steps as the smallest takes
    document = SessionDocument(
        model=model, weights=bytes(32), train=replace(preset.train, epochs=epochs), min_samples=1,
        frac_bits=preset.frac_bits, bound=1, seed=chosen.seed, public_layers=part.listed,
        initial=b"" if part.whole else initial,
    )  # fmt: skip
    start = None if part.whole else await trio.to_thread.run_sync(services.blobs.read, initial)
    squared = chosen.model_privacy == "perturb"
    jobs = [
        Job.initial(model, chosen.seed),
        Job.pretrain(model, base, chosen.seed, preset.pretrain, squared),
        Job.train(document, None, probe, chosen.seed, start, min_samples=1),
    ]
    _, scratch, played = await services.trainer.run(jobs)
    assert scratch.update is not None and played.update is not None
    norm, floored = bounds.played_norm(_length(played.update), _length(part.take(scratch.update)))
    return _integer(norm, preset.frac_bits, bounds.PLAYED_FACTOR), floored


def bound_of(update: NDArray[np.float32], frac_bits: int) -> int:
    """``bound.first_bound`` of the owner's first training (d,). Raises RefusedError where there is none."""
    return _integer(_length(update), frac_bits, bounds.FIRST_FACTOR)


def _length(update: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(update.astype(np.float64)))


def _integer(norm: float, frac_bits: int, factor: float) -> int:
    try:
        return bounds.first_bound(norm, frac_bits, factor)
    except ValueError as error:
        raise RefusedError(
            f"training on the owner's own data gives no bound for the public layers: {error}",
            "see that data.path has samples of several labels, and that model_owner.model can be trained on them",
        ) from error
