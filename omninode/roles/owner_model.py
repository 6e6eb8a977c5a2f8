"""The owner's model on disk: where it stands, and the step from one session's opened sum to the next model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import trio

from omninode.errors import RefusedError
from omninode.learning import bound as bounds
from omninode.learning import fixed_point, precision
from omninode.learning.jobs import Job
from omninode.learning.presets import PRESETS, Preset
from omninode.learning.reference import reference_job, reference_update
from omninode.roles import owner_data
from protocols.sessions.params import Mode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.learning.document import SessionDocument
    from omninode.roles.services import Services
    from protocols.sessions.owner import Output
    from protocols.sessions.params import SessionParams

MODEL_KEY = "model/current"


@dataclass(frozen=True)
class ModelState:
    """weights: blob digest in hex. bound: of the next session, integer, with the preset's frac_bits.

    accuracy: on the owner's held-out data, None without any. applied: sessions whose sum is in the weights, with the
    accuracy after each.
    """

    preset: str
    weights: str
    bound: int
    owner_alone: float | None
    accuracy: float | None
    applied: tuple[tuple[int, float | None], ...] = ()


class OwnerModel:
    """Loads, trains and saves the model. Weights are public blobs: data owners fetch them from this node."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._config = services.config
        self.state: ModelState | None = None
        self.ready = trio.Event()
        self._data: owner_data.OwnerData
        self._references: dict[bytes, NDArray[np.int64]] = {}  # by digest of the document; the last one only

    @property
    def preset(self) -> Preset:
        """Architecture and training numbers of this owner's task."""
        return PRESETS[self._config.model_owner.preset]

    def require(self) -> ModelState:
        """The state; RefusedError while the first training is still under way."""
        if self.state is None:
            raise RefusedError("the owner's model is not trained yet", "try again in some seconds")
        return self.state

    async def load_or_pretrain(self) -> None:
        """Take up the saved model, or train the first one on the owner's own data."""
        chosen = self._config.model_owner
        root_images = chosen.root_images if chosen.mode == "verified" else 0
        self._data = await trio.to_thread.run_sync(
            owner_data.prepare, self._config.data.path, self._services.data_dir, root_images, chosen.seed
        )
        saved = await trio.to_thread.run_sync(self._services.store.meta_get, MODEL_KEY)
        if saved is not None:
            raw = json.loads(saved)
            raw["applied"] = tuple((s, a) for s, a in raw["applied"])
            self.state = ModelState(**raw)
        else:
            await self._pretrain()
        self.ready.set()

    async def _pretrain(self) -> None:
        preset, seed = self.preset, self._config.model_owner.seed
        jobs = [Job.pretrain(preset.model, self._data.own, seed, preset.pretrain)]
        results = await self._services.trainer.run(jobs + self._evaluation(preset))
        weights, update = results[0].weights, results[0].update
        assert weights is not None and update is not None
        accuracy = results[1].accuracy if len(results) > 1 else None
        bound = bounds.first_bound(float(np.linalg.norm(update.astype(np.float64))), preset.frac_bits)
        await self._save(ModelState(preset.name, "", bound, accuracy, accuracy), weights)
        self._services.events.write("pretrained", accuracy=accuracy)

    @property
    def has_root_set(self) -> bool:
        """Whether a reference update can be made here. Only once ``ready``."""
        return self._data.root is not None

    async def reference(self, document: SessionDocument) -> NDArray[np.int64]:
        """The reference update of a session, (d,) integers of norm B. Raises TrainingFailed or what reading raises.

        It is made before its session is created, and kept: no queue for a training slot can make it late.
        """
        assert self._data.root is not None
        digest = document.digest()
        if digest not in self._references:
            weights = await trio.to_thread.run_sync(self._services.blobs.read, document.weights)
            (result,) = await self._services.trainer.run([reference_job(document, weights, self._data.root)])
            assert result.update is not None
            made = reference_update(result.update, document.bound, document.frac_bits)
            self._references = {digest: made}
        return self._references[digest]

    async def apply(self, session: int, params: SessionParams, document: SessionDocument, opened: Output) -> None:
        """W := adapt(W + total / count). Does nothing where this session is in the weights already."""
        state = self.require()
        if self.has(session):
            return
        start = np.frombuffer(await self.weights(), dtype="<f4")
        mean = fixed_point.decode_sum(opened.total, document.frac_bits, opened.count)
        stepped = (start + mean).astype("<f4").tobytes()
        preset = self.preset
        evaluation = self._evaluation(preset)
        jobs = [Job.adapt(document, stepped, self._data.own, preset.adapt_epochs), *evaluation]
        if params.mode == Mode.VERIFIED and self._data.root is not None:
            jobs.append(reference_job(document, None, self._data.root))  # how long the next reference will be
        results = await self._services.trainer.run(jobs)
        weights = results[0].weights
        assert weights is not None
        accuracy = results[1].accuracy if evaluation else None
        own = results[-1].update if len(results) > 1 + len(evaluation) else None
        bound = precision.rescaled(_next_bound(params, opened, mean, own), params.frac_bits, preset.frac_bits)
        applied = (*state.applied, (session, accuracy))
        await self._save(replace(state, bound=bound, accuracy=accuracy, applied=applied), weights)
        self._services.events.write("model_improved", session=session, accuracy=accuracy, updates=opened.count)

    def has(self, session: int) -> bool:
        """Whether this session's sum is in the weights."""
        return self.state is not None and any(s == session for s, _ in self.state.applied)

    async def weights(self) -> bytes:
        """The current weights, float32 little-endian."""
        digest = bytes.fromhex(self.require().weights)
        return await trio.to_thread.run_sync(self._services.blobs.read, digest)

    def _evaluation(self, preset: Preset) -> list[Job]:
        test = self._config.data.test_path
        return [Job.evaluate(preset.model, None, Path(test))] if test else []

    async def _save(self, state: ModelState, weights: bytes) -> None:
        """Blob first, then the state that names it."""
        digest = await trio.to_thread.run_sync(lambda: self._services.blobs.put(weights, public=True))
        state = replace(state, weights=digest.hex())
        await trio.to_thread.run_sync(self._services.store.meta_put, MODEL_KEY, json.dumps(asdict(state)))
        self.state = state

    def status(self) -> dict[str, Any]:
        """For `status`: accuracy alone, now, and after each session."""
        return asdict(self.state) if self.state else {"training": True}


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
