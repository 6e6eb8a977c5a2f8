"""From what a session has opened to the owner's next weights: the server's step, then the owner's own epochs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import trio

from omninode.learning import bound as bounds
from omninode.learning import fixed_point, precision
from omninode.learning.document import UNIT_LR
from omninode.learning.jobs import Job
from omninode.learning.reference import reference_job
from omninode.learning.service import TrainingDiverged
from omninode.roles import owner_perturb
from protocols.sessions.params import Mode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.learning.document import SessionDocument
    from omninode.learning.model_spec import Model
    from omninode.learning.presets import Preset
    from omninode.roles.owner_data import OwnerData
    from omninode.roles.services import Services
    from protocols.sessions.owner import Output
    from protocols.sessions.params import SessionParams


@dataclass(frozen=True, slots=True)
class Ground:
    """What a step starts from. weights: all of them, float32 little-endian."""

    services: Services
    preset: Preset
    data: OwnerData
    weights: bytes

    @property
    def vector(self) -> NDArray[np.float32]:
        """The weights (d,)."""
        return np.frombuffer(self.weights, dtype="<f4")


@dataclass(frozen=True, slots=True)
class Step:
    """Where it leads. accuracy: None without test data.  bound: of the next such session, None: it stays."""

    weights: bytes
    accuracy: float | None
    bound: int | None = None


async def summed(ground: Ground, params: SessionParams, document: SessionDocument, opened: Output) -> Step:
    """W := adapt(W + server_lr total / count), the sum put in where it belongs; adapting trains all weights.

    Raises TrainingFailed; for a perturbed session also as ``owner_perturb.stepped`` does.
    """
    mean = fixed_point.decode_sum(opened.total, document.frac_bits, opened.count)
    if document.perturbation is not None:
        return await _perturbed(ground, document, mean)
    stepped = _stepped(ground.vector, document, mean)
    jobs = [Job.adapt(document, stepped.tobytes(), ground.data.own, ground.preset.adapt_epochs)]
    evaluation = evaluations(ground.services, document.model)
    jobs += evaluation
    if params.mode == Mode.VERIFIED and ground.data.root is not None:  # how long the next reference will be
        jobs.append(reference_job(document, None, ground.data.root, await initial_of(ground.services, document)))
    results = await ground.services.trainer.run(jobs)
    weights, own = results[0].weights, results[-1].update if len(results) > 1 + len(evaluation) else None
    assert weights is not None
    bound = precision.rescaled(_next_bound(params, opened, mean, own), params.frac_bits, ground.preset.frac_bits)
    return Step(weights, results[1].accuracy if evaluation else None, bound)


async def adopted(ground: Ground, document: SessionDocument, public: NDArray[np.float64]) -> Step:
    """The on-chain baseline: W^p := ``public`` (d,), the mean of models, then adapt. Raises TrainingFailed."""
    whole = document.part.put(ground.vector, public.astype(np.dtype("<f4")))
    return await _adapted(ground, document, whole.tobytes(), ground.preset.adapt_epochs)


async def _perturbed(ground: Ground, document: SessionDocument, mean: NDArray[np.float64]) -> Step:
    """W := adapt(W - lr gradient)."""
    stepped = await owner_perturb.stepped(ground.services, ground.vector, document, mean)
    try:
        return await _adapted(ground, document, stepped.tobytes(), 1)
    except TrainingDiverged as error:
        raise owner_perturb.LeadsNowhere(str(error)) from error


async def _adapted(ground: Ground, document: SessionDocument, start: bytes, epochs: int) -> Step:
    job = Job.adapt(document, start, ground.data.own, epochs)
    adapted, *evaluated = await ground.services.trainer.run([job, *evaluations(ground.services, document.model)])
    assert adapted.weights is not None
    return Step(adapted.weights, evaluated[0].accuracy if evaluated else None)


def evaluations(services: Services, model: Model) -> list[Job]:
    """The job that measures the weights of the one before it on the owner's test data; none without."""
    test = services.config.data.test_path
    return [Job.evaluate(model, None, Path(test))] if test else []


async def initial_of(services: Services, document: SessionDocument) -> bytes | None:
    """The blob of W0, None where all is public."""
    if not document.initial:
        return None
    return await trio.to_thread.run_sync(services.blobs.read, document.initial)


def _stepped(weights: NDArray[np.float32], document: SessionDocument, mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """All weights with the server's step in their public part: plus server_lr times the mean update."""
    part = document.part
    moved = part.take(weights) + document.server_lr / UNIT_LR * mean
    return part.put(weights, moved.astype(np.dtype("<f4")))


def _next_bound(
    params: SessionParams, opened: Output, mean: NDArray[np.float64], own: NDArray[np.float32] | None
) -> int:
    """The bound of the next session, integer, from what this one has opened; the old one where that says nothing.

    mean: real (d,), of the accepted updates.  own: the owner's update on its root set from the next weights, if any.
    """
    if params.mode == Mode.VERIFIED:
        own_norm = float(np.linalg.norm(own.astype(np.float64))) if own is not None else 0.0
        mean_norm = float(np.linalg.norm(mean))
        return bounds.next_bound_verified(mean_norm, opened.count, own_norm, params.bound, params.frac_bits)
    known = [r for r, norm in enumerate(opened.norms) if norm >= 0]  # -1: the provers did not agree on it
    if not known:
        return params.bound
    return bounds.next_bound([opened.norms[r] for r in known], [opened.sizes[r] for r in known], params.frac_bits)
