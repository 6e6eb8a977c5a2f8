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
from omninode.learning import fixed_point
from omninode.learning.jobs import Job
from omninode.learning.presets import PRESETS, Preset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.learning.document import SessionDocument
    from omninode.roles.services import Services

MODEL_KEY = "model/current"


@dataclass(frozen=True)
class ModelState:
    """weights: blob digest in hex. bound: of the next session, integer.

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
        jobs = [Job.pretrain(preset.model, self._data_path(), seed, preset.pretrain)]
        results = await self._services.trainer.run(jobs + self._evaluation(preset))
        weights, update = results[0].weights, results[0].update
        assert weights is not None and update is not None
        accuracy = results[1].accuracy if len(results) > 1 else None
        bound = bounds.first_bound(float(np.linalg.norm(update.astype(np.float64))), preset.frac_bits)
        await self._save(ModelState(preset.name, "", bound, accuracy, accuracy), weights)
        self._services.events.write("pretrained", accuracy=accuracy)

    async def apply(
        self, session: int, document: SessionDocument, total: NDArray[np.int64], count: int,
        norms: list[int], sizes: list[int],
    ) -> None:  # fmt: skip
        """W := adapt(W + total / count). Does nothing where this session is in the weights already."""
        state = self.require()
        if self.has(session):
            return
        start = np.frombuffer(await self.weights(), dtype="<f4")
        mean = fixed_point.decode_sum(total, document.frac_bits, count)
        stepped = (start + mean).astype("<f4").tobytes()
        preset = self.preset
        jobs = [Job.adapt(document, stepped, self._data_path(), preset.adapt_epochs), *self._evaluation(preset)]
        results = await self._services.trainer.run(jobs)
        weights = results[0].weights
        assert weights is not None
        accuracy = results[1].accuracy if len(results) > 1 else None
        known = [r for r, norm in enumerate(norms) if norm >= 0]  # -1: the provers did not agree on it
        bound = state.bound
        if known:
            bound = bounds.next_bound([norms[r] for r in known], [sizes[r] for r in known], document.frac_bits)
        applied = (*state.applied, (session, accuracy))
        await self._save(replace(state, bound=bound, accuracy=accuracy, applied=applied), weights)
        self._services.events.write("model_improved", session=session, accuracy=accuracy, updates=count)

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

    def _data_path(self) -> Path:
        if not self._config.data.path:
            raise RefusedError("a model owner needs some data of its own", "set data.path in the configuration")
        return Path(self._config.data.path)

    async def _save(self, state: ModelState, weights: bytes) -> None:
        """Blob first, then the state that names it."""
        digest = await trio.to_thread.run_sync(lambda: self._services.blobs.put(weights, public=True))
        state = replace(state, weights=digest.hex())
        await trio.to_thread.run_sync(self._services.store.meta_put, MODEL_KEY, json.dumps(asdict(state)))
        self.state = state

    def status(self) -> dict[str, Any]:
        """For `status`: accuracy alone, now, and after each session."""
        return asdict(self.state) if self.state else {"training": True}
