"""The owner's model on disk: where it stands, changed by one thing at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import trio

from omninode.errors import RefusedError
from omninode.learning.presets import PRESETS, Preset
from omninode.learning.public_part import choose
from omninode.learning.reference import reference_job, reference_update
from omninode.learning.service import TrainingFailed
from omninode.roles import owner_architecture, owner_data, owner_perturb, owner_publish, owner_start, owner_step
from omninode.roles.owner_publish import Publication
from omninode.roles.terms import public_part
from omninode.store.blobs import BlobError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.learning.document import SessionDocument
    from omninode.learning.model_spec import Model
    from omninode.learning.public_part import PublicPart
    from omninode.roles.model_state import ModelState
    from omninode.roles.services import Services
    from protocols.sessions.owner import Output
    from protocols.sessions.params import SessionParams

MODEL_KEY = "model/current"
TOLD = ("preset", "weights", "bound", "owner_alone", "accuracy", "applied")


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
        configured = public_part(chosen, {}, self.model)  # a layer that does not exist is told now
        root_images = chosen.root_images if chosen.mode == "verified" else 0
        self._data = await trio.to_thread.run_sync(
            owner_data.prepare, self._config.data.path, self._services.data_dir, root_images, chosen.seed
        )
        saved = await trio.to_thread.run_sync(self._services.store.meta_get, MODEL_KEY)
        if saved is None:
            state, weights = await owner_start.pretrained(self._services, self.preset, self.model, self._data)
            await self._save(state, weights)
            self._services.events.write("pretrained", accuracy=state.accuracy)
        else:
            self.state = await owner_start.take_up(self._services, self.preset, self.model, saved)
        try:
            await self._measure(configured)
        except (TrainingFailed, RefusedError, BlobError) as error:  # sessions that publish another part need it not
            self._services.log.warning("bound_unknown", layers=configured.layers, reason=str(error))
        self.ready.set()

    async def _measure(self, part: PublicPart) -> None:
        """Have what a session that publishes ``part`` needs in the state for good; may take as long as a training."""
        async with self._changing:
            before = self.require()
            state = await owner_publish.with_bound(self._services, self.preset, self.model, self._data, before, part)
            if state is not before:
                await self._write(state)

    async def publish(self, part: PublicPart) -> Publication:
        """Put out what a session that publishes ``part`` of the current weights needs.

        Raises TrainingFailed or RefusedError where its first bound or W0 cannot be made, BlobError.
        """
        with trio.CancelScope(shield=True):  # whoever asks may go before it is done, and finds it done the next time
            await self._measure(part)
        async with self._changing:
            before = self.require()
            planned = before.serving(part.layers, choose(self.model).layers)
            await self._write(planned)  # what is served is known before anybody can have it
            return await owner_publish.put_out(self._services, planned, part, before.served or ())

    async def hide(self) -> tuple[SessionDocument, str]:
        """A session on the current weights, perturbed with fresh secrets, and a note. Raises RefusedError."""
        layers = choose(self.model).layers
        async with self._changing:
            weights, own = await self.weights(), self._data.own
        made = await owner_perturb.hide(self._services, self.model, weights, own, self.preset.min_samples)
        async with self._changing:  # before anybody can know the document; a data owner can see through it
            await self._write(self.require().serving(layers, layers))
        return made

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
            job = reference_job(
                document, weights, self._data.root, await owner_step.initial_of(self._services, document)
            )
            (result,) = await self._services.trainer.run([job])
            assert result.update is not None
            made = reference_update(result.update, document.bound, document.frac_bits)
            self._references = {digest: made}
        return self._references[digest]

    async def apply(self, session: int, params: SessionParams, document: SessionDocument, opened: Output) -> None:
        """Go on from what a session has opened (``owner_step.summed``); nothing where that is in the weights already.

        The sum of a perturbed session that leads nowhere is dropped. Raises TrainingFailed, or RefusedError where its
        secrets are gone: then it can be applied later.
        """
        async with self._changing:
            if self.has(session):
                return
            try:
                step = await owner_step.summed(await self._ground(), params, document, opened)
            except owner_perturb.LeadsNowhere as error:
                await self._drop(session, str(error))
            else:
                await self._go(session, document, step, opened.count)

    async def adopt(self, session: int, document: SessionDocument, public: NDArray[np.float64], count: int) -> None:
        """The on-chain baseline: go on from ``public`` (d,), the mean of ``count`` models. Once per session."""
        async with self._changing:
            if not self.has(session):
                step = await owner_step.adopted(await self._ground(), document, public)
                await self._go(session, document, step, count)

    async def _ground(self) -> owner_step.Ground:
        return owner_step.Ground(self._services, self.preset, self._data, await self.weights())

    async def _go(self, session: int, document: SessionDocument, step: owner_step.Step, count: int) -> None:
        state = self.require()
        if step.bound is not None:
            state = state.following(document.public_layers, step.bound)
        applied = (*state.applied, (session, step.accuracy))
        await self._save(replace(state, accuracy=step.accuracy, applied=applied), step.weights)
        self._services.events.write("model_improved", session=session, accuracy=step.accuracy, updates=count)

    async def _drop(self, session: int, reason: str) -> None:
        state = self.require()
        self._services.log.error("sum_dropped", session=session, reason=reason)
        self._services.events.write("sum_dropped", session=session, reason=reason)
        await self._write(replace(state, applied=(*state.applied, (session, state.accuracy))))

    def has(self, session: int) -> bool:
        """Whether this session's sum is in the weights."""
        return self.state is not None and any(s == session for s, _ in self.state.applied)

    async def weights(self) -> bytes:
        """All current weights, float32 little-endian."""
        digest = bytes.fromhex(self.require().weights)
        return await trio.to_thread.run_sync(self._services.blobs.read, digest)

    async def _save(self, state: ModelState, weights: bytes) -> None:
        """Blob first, then the state that names it."""
        digest = await trio.to_thread.run_sync(lambda: self._services.blobs.put(weights))
        await self._write(replace(state, weights=digest.hex()))

    async def _write(self, state: ModelState) -> None:
        await trio.to_thread.run_sync(self._services.store.meta_put, MODEL_KEY, state.encode())
        self.state = state

    def status(self) -> dict[str, Any]:
        """For `status`: accuracy alone, now, and after each session."""
        return {name: getattr(self.state, name) for name in TOLD} if self.state else {"training": True}
