"""What a session would have given without attack, and what it would have given without defence, in one process.

Both start from the weights that the session really started from, and take the fixed-point updates that the data owners
really trained (attackers train honestly, too, before they upload something else): no training is done twice, and
nothing differs from the session but who is summed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omninode.demo.loot import Loot
from omninode.learning.document import UNIT_LR, SessionDocument
from omninode.learning.jobs import Job
from omninode.learning.presets import Preset
from omninode.learning.service import Trainer, TrainingFailed
from omninode.learning.weights import digest
from omninode.roles.owner_data import FOLDER
from omninode.store.blobs import BlobError, BlobMissing, FileBlobStore
from protocols.sessions.params import Rule
from protocols.sessions.view import SessionView

Real = NDArray[np.float64]


class Baseline:
    """owner_dir: data directory of the model owner's node.  loot: where the hostile nodes left the updates."""

    def __init__(self, preset: Preset, owner_dir: Path, test: Path, loot: Loot, trainer: Trainer) -> None:
        self._preset, self._owner_dir, self._test, self._loot, self._trainer = preset, owner_dir, test, loot, trainer

    async def unattacked(self, view: SessionView) -> float | None:
        """Accuracy after the session had everybody been honest: rule and owner as they are. None without updates."""
        honest = self._updates(view, "update")
        reference = self._read(view, view.p.owner, "update")
        if view.p.rule == Rule.TRUST and reference is not None:
            honest = [update for update in honest if update @ reference > 0]
        return await self._after(view, honest)

    async def undefended(self, view: SessionView) -> float | None:
        """Accuracy after the session had all been summed that was uploaded: no proof, no rule."""
        return await self._after(view, self._updates(view, "sent"))

    def _updates(self, view: SessionView, what: str) -> list[Real]:
        """Real updates of all who trained; of attackers what they sent, if that is asked for."""
        found = []
        for member in view.members:
            update = self._read(view, member.address, what) if what != "update" else None
            update = self._read(view, member.address, "update") if update is None else update
            if update is not None:
                found.append(update)
        return found

    def _read(self, view: SessionView, address: bytes, what: str) -> Real | None:
        data = self._loot.get(f"{view.session}-{address.hex()}.{what}")
        return None if data is None else np.frombuffer(data, "<i8") / 2.0**view.p.frac_bits

    async def _after(self, view: SessionView, updates: list[Real]) -> float | None:
        """The owner's step (``OwnerModel.apply``): mean, its own epochs, its test set."""
        if not updates:
            return None
        blobs = FileBlobStore(self._owner_dir / "blobs")
        try:
            document = SessionDocument.decode(blobs.read(view.p.doc_digest))
            start = self._weights(blobs, document)
        except BlobError:
            return None
        part = document.part
        moved = part.take(start) + document.server_lr / UNIT_LR * np.mean(updates, axis=0)
        stepped = part.put(start, moved.astype("<f4")).tobytes()
        own = self._owner_dir / FOLDER / "own.npz"
        jobs = [
            Job.adapt(document, stepped, own, self._preset.adapt_epochs),
            Job.evaluate(self._preset.model, None, self._test),
        ]
        try:
            results = await self._trainer.run(jobs)
        except TrainingFailed:  # a ruined model: training on it diverges
            return await self._plain(document, stepped)
        return results[1].accuracy

    @staticmethod
    def _weights(blobs: FileBlobStore, document: SessionDocument) -> NDArray[np.float32]:
        """All weights of the owner from which the session's published ones were taken. Raises BlobMissing."""
        part = document.part
        if part.whole:
            return np.frombuffer(blobs.read(document.weights), dtype="<f4")
        for path in blobs.root.glob("*/*"):
            if path.stat().st_size == 4 * part.total:
                found = np.fromfile(path, dtype="<f4")
                if digest(part.take(found).tobytes()) == document.weights:
                    return found
        raise BlobMissing(document.weights.hex())

    async def _plain(self, document: SessionDocument, weights: bytes) -> float | None:
        """Without the owner's epochs."""
        try:
            (result,) = await self._trainer.run([Job.evaluate(document.model, weights, self._test)])
        except TrainingFailed:
            return 0.0  # not even numbers come out of it
        return result.accuracy
