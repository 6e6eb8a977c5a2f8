"""The owner's model on disk: where it stands, and the step from one session's opened sum to the next model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import trio

from omninode.errors import RefusedError
from omninode.learning import bound as bounds
from omninode.learning import fixed_point, precision
from omninode.learning.document import UNIT_LR
from omninode.learning.jobs import Job
from omninode.learning.presets import PRESETS, Preset
from omninode.learning.reference import reference_job, reference_update
from omninode.learning.service import TrainingFailed
from omninode.roles import owner_architecture, owner_data, owner_perturb
from omninode.roles.model_state import ModelState, norms_of
from omninode.roles.terms import public_part
from protocols.sessions.params import Mode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.learning.document import SessionDocument
    from omninode.learning.model_spec import Model
    from omninode.learning.public_part import PublicPart
    from omninode.roles.services import Services
    from protocols.sessions.owner import Output
    from protocols.sessions.params import SessionParams

MODEL_KEY = "model/current"
TOLD = ("preset", "weights", "bound", "owner_alone", "accuracy", "applied")
KNOWN_WHOLE = (
    "these weights were open to all until now, the private layers too: what stays private is how later sessions "
    "change them"
)


@dataclass(frozen=True, slots=True)
class Publication:
    """What a session is told of the model. weights, initial: digests of public blobs; initial b"" where all is public.

    bound: integer, with the preset's frac_bits.  note: for the owner, "" if there is nothing to say.
    """

    part: PublicPart
    weights: bytes
    initial: bytes
    bound: int
    note: str


class OwnerModel:
    """Loads, trains and saves the model. Others can fetch of its weights only what ``publish`` puts out."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._config = services.config
        self.state: ModelState | None = None
        self.ready = trio.Event()
        self._data: owner_data.OwnerData
        self._model: Model | None = None
        self._changing = trio.Lock()  # the state is read, trained on, and written back
        self._references: dict[bytes, NDArray[np.int64]] = {}  # by digest of the document; the last one only

    @property
    def preset(self) -> Preset:
        """Architecture and training numbers of this owner's task."""
        return PRESETS[self._config.model_owner.preset]

    @property
    def model(self) -> Model:
        """The architecture: the preset's, until ``load_or_pretrain`` has looked at another one."""
        return self.preset.model if self._model is None else self._model

    def require(self) -> ModelState:
        """The state; RefusedError while the first training is still under way."""
        if self.state is None:
            raise RefusedError("the owner's model is not trained yet", "try again in some seconds")
        return self.state

    async def load_or_pretrain(self) -> None:
        """Take up the saved model, or train the first one on the owner's own data.

        Raises RefusedError where the model, its weights or what was saved cannot be used.
        """
        chosen = self._config.model_owner
        self._model = await owner_architecture.architecture(self._services)
        public_part(chosen, {}, self.model)  # a layer that does not exist is told now, not at the first session
        root_images = chosen.root_images if chosen.mode == "verified" else 0
        self._data = await trio.to_thread.run_sync(
            owner_data.prepare, self._config.data.path, self._services.data_dir, root_images, chosen.seed
        )
        saved = await trio.to_thread.run_sync(self._services.store.meta_get, MODEL_KEY)
        if saved is not None:
            state = ModelState.decode(saved)
            if state.architecture != owner_architecture.fingerprint(self.model):
                raise RefusedError(
                    "the model saved here has another architecture than model_owner.model says",
                    "set it back, or choose another node.data_dir",
                )
            self.state = state
        else:
            await self._pretrain()
        self.ready.set()

    async def _pretrain(self) -> None:
        preset, chosen = self.preset, self._config.model_owner
        start = [Job.initial(self.model, chosen.seed)]
        if chosen.weights:
            start.append(Job.read(self.model, Path(chosen.weights)))
        squared = chosen.model_privacy == "perturb"
        training = Job.pretrain(self.model, self._data.own, chosen.seed, preset.pretrain, squared)
        jobs = [*start, training, *self._evaluation()]
        try:
            results = await self._services.trainer.run(jobs)
        except TrainingFailed as error:
            raise RefusedError(f"the first training failed: {error}", "look at model_owner and at the data") from error
        trained, *evaluated = results[len(start) :]
        initial, weights, update = results[0].weights, trained.weights, trained.update
        assert initial is not None and weights is not None and update is not None
        accuracy = evaluated[0].accuracy if evaluated else None
        bound = bounds.first_bound(float(np.linalg.norm(update.astype(np.float64))), preset.frac_bits)
        state = ModelState(
            preset.name, "", bound, accuracy, accuracy, norms=norms_of(self.model, update),
            architecture=owner_architecture.fingerprint(self.model),
        )  # fmt: skip
        await self._save(replace(state, initial=await self._put_initial(initial)), weights)
        self._services.events.write("pretrained", accuracy=accuracy)

    async def publish(self, part: PublicPart) -> Publication:
        """Put out what a session that publishes ``part`` of the current weights needs. Raises TrainingFailed."""
        async with self._changing:
            return await self._publish(part)

    async def _publish(self, part: PublicPart) -> Publication:
        state, blobs = self.require(), self._services.blobs
        digest = bytes.fromhex(state.weights)
        if part.whole:
            await trio.to_thread.run_sync(blobs.set_public, digest, True)
            return Publication(part, digest, b"", state.bound_for(self.model, part), "")
        if not state.initial:  # saved before there were public layers
            (made,) = await self._services.trainer.run([Job.initial(self.model, self._config.model_owner.seed)])
            assert made.weights is not None
            await self._save(replace(state, initial=await self._put_initial(made.weights)), await self.weights())
        note = KNOWN_WHOLE if blobs.is_public(digest) else ""
        published = part.take(np.frombuffer(await self.weights(), dtype="<f4")).tobytes()
        put = await trio.to_thread.run_sync(lambda: blobs.put(published, public=True))
        initial = bytes.fromhex(self.require().initial)
        return Publication(part, put, initial, state.bound_for(self.model, part), note)

    async def hide(self) -> tuple[SessionDocument, str]:
        """A session on the current weights, perturbed with fresh secrets, and a note. Raises RefusedError."""
        weights, own = await self.weights(), self._data.own
        return await owner_perturb.hide(self._services, self.model, weights, own, self.preset.min_samples)

    async def _put_initial(self, weights: bytes) -> str:
        """Digest in hex of the public blob of W0, from which every data owner starts."""
        return (await trio.to_thread.run_sync(lambda: self._services.blobs.put(weights, public=True))).hex()

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
            job = reference_job(document, weights, self._data.root, await self._initial_of(document))
            (result,) = await self._services.trainer.run([job])
            assert result.update is not None
            made = reference_update(result.update, document.bound, document.frac_bits)
            self._references = {digest: made}
        return self._references[digest]

    async def apply(self, session: int, params: SessionParams, document: SessionDocument, opened: Output) -> None:
        """W := adapt(W + server_lr total / count), the sum put in where it belongs; adapting trains all weights.

        Does nothing where this session is in the weights already.
        """
        async with self._changing:
            if not self.has(session):
                await self._apply(session, params, document, opened)

    async def _apply(self, session: int, params: SessionParams, document: SessionDocument, opened: Output) -> None:
        state = self.require()
        mean = fixed_point.decode_sum(opened.total, document.frac_bits, opened.count)
        if document.perturbation is not None:
            await self._apply_perturbed(session, document, mean, opened.count)
            return
        stepped = _stepped(np.frombuffer(await self.weights(), dtype="<f4"), document, mean)
        preset = self.preset
        evaluation = self._evaluation()
        jobs = [Job.adapt(document, stepped.tobytes(), self._data.own, preset.adapt_epochs), *evaluation]
        if params.mode == Mode.VERIFIED and self._data.root is not None:  # how long the next reference will be
            jobs.append(reference_job(document, None, self._data.root, await self._initial_of(document)))
        results = await self._services.trainer.run(jobs)
        weights = results[0].weights
        assert weights is not None
        accuracy = results[1].accuracy if evaluation else None
        own = results[-1].update if len(results) > 1 + len(evaluation) else None
        bound = precision.rescaled(_next_bound(params, opened, mean, own), params.frac_bits, preset.frac_bits)
        applied = (*state.applied, (session, accuracy))
        changed = replace(
            state, bound=bound, bound_layers=document.public_layers, accuracy=accuracy, applied=applied
        )  # fmt: skip
        await self._save(changed, weights)
        self._services.events.write("model_improved", session=session, accuracy=accuracy, updates=opened.count)

    async def adopt(self, session: int, document: SessionDocument, public: NDArray[np.float64], count: int) -> None:
        """The on-chain baseline: W^p := ``public`` (d,), the mean of ``count`` models, then adapt. Once per session."""
        async with self._changing:
            if not self.has(session):
                await self._adopt(session, document, public, count)

    async def _adopt(self, session: int, document: SessionDocument, public: NDArray[np.float64], count: int) -> None:
        state = self.require()
        whole = document.part.put(np.frombuffer(await self.weights(), dtype="<f4"), public.astype(np.dtype("<f4")))
        evaluation = self._evaluation()
        job = Job.adapt(document, whole.tobytes(), self._data.own, self.preset.adapt_epochs)
        results = await self._services.trainer.run([job, *evaluation])
        weights = results[0].weights
        assert weights is not None
        accuracy = results[1].accuracy if evaluation else None
        changed = replace(state, accuracy=accuracy, applied=(*state.applied, (session, accuracy)))
        await self._save(changed, weights)
        self._services.events.write("model_improved", session=session, accuracy=accuracy, updates=count)

    async def _apply_perturbed(
        self, session: int, document: SessionDocument, mean: NDArray[np.float64], count: int
    ) -> None:
        """W := adapt(W - lr gradient). A sum that leads nowhere, which one data owner can bring about, is dropped."""
        state, before = self.require(), await self.weights()
        try:
            start = np.frombuffer(before, dtype="<f4")
            stepped = await owner_perturb.stepped(self._services, start, document, mean)
            jobs = [Job.adapt(document, stepped.tobytes(), self._data.own, 1), *self._evaluation()]
            adapted, *evaluated = await self._services.trainer.run(jobs)
        except (TrainingFailed, RefusedError) as error:
            self._services.log.error("sum_dropped", session=session, reason=str(error))
            self._services.events.write("sum_dropped", session=session, reason=str(error))
            await self._save(replace(state, applied=(*state.applied, (session, state.accuracy))), before)
            return
        assert adapted.weights is not None
        accuracy = evaluated[0].accuracy if evaluated else None
        changed = replace(state, accuracy=accuracy, applied=(*state.applied, (session, accuracy)))
        await self._save(changed, adapted.weights)
        self._services.events.write("model_improved", session=session, accuracy=accuracy, updates=count)

    async def _initial_of(self, document: SessionDocument) -> bytes | None:
        """The blob of W0, None where all is public."""
        if not document.initial:
            return None
        return await trio.to_thread.run_sync(self._services.blobs.read, document.initial)

    def has(self, session: int) -> bool:
        """Whether this session's sum is in the weights."""
        return self.state is not None and any(s == session for s, _ in self.state.applied)

    async def weights(self) -> bytes:
        """All current weights, float32 little-endian."""
        digest = bytes.fromhex(self.require().weights)
        return await trio.to_thread.run_sync(self._services.blobs.read, digest)

    def _evaluation(self) -> list[Job]:
        test = self._config.data.test_path
        return [Job.evaluate(self.model, None, Path(test))] if test else []

    async def _save(self, state: ModelState, weights: bytes) -> None:
        """Blob first, then the state that names it."""
        digest = await trio.to_thread.run_sync(lambda: self._services.blobs.put(weights))
        state = replace(state, weights=digest.hex())
        await trio.to_thread.run_sync(self._services.store.meta_put, MODEL_KEY, state.encode())
        self.state = state

    def status(self) -> dict[str, Any]:
        """For `status`: accuracy alone, now, and after each session."""
        return {name: getattr(self.state, name) for name in TOLD} if self.state else {"training": True}


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
