"""What a worker can be asked, and what it answers. Plain data, no torch: the node builds it, the worker reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omninode.learning.document import SessionDocument, TrainSpec
from omninode.learning.model_spec import Model
from omninode.learning.perturb import ADAPT


@dataclass(frozen=True, slots=True)
class Job:
    """One operation; make it with the class methods. ``weights=None`` takes all weights of the job before it."""

    fields: dict[str, Any] = field(repr=False)  # megabytes, and nobody's business in a log

    @classmethod
    def initial(cls, model: Model, seed: int) -> Job:
        """Fresh random weights, W0: the same that ``pretrain`` starts from; Result.weights."""
        return cls._make("initial", model, None, None, None, seed)

    @classmethod
    def describe(cls, source: str, shape: tuple[int, ...], allowed: Sequence[str]) -> Job:
        """What a session document says of somebody's model; Result.model.

        source: "package.module:Callable", which must be in ``allowed``, with the shape of one sample; or the path of a
        .pt2 file, which says its shape itself.
        """
        return cls({"op": "describe", "source": source, "shape": shape, "allowed": tuple(allowed)})

    @classmethod
    def load(cls, model: Model) -> Job:
        """Load the model and nothing else: whether this node can, and may."""
        return cls._make("load", model, None, None, None, 0)

    @classmethod
    def check(cls, document: SessionDocument, data_path: Path, weights: bytes, initial: bytes | None = None) -> Job:
        """Before anything is promised: weights and W0 (as of ``train``) are numbers, the model learns from the data.

        One full batch, and the short one at the end of an epoch, from the weights that the session starts from; data
        that ``data.check`` refuses is refused.
        """
        job = cls.train(document, weights, data_path, document.seed, initial)
        job.fields.update(op="check")
        return job

    @classmethod
    def read(cls, model: Model, path: Path) -> Job:
        """All weights from a .safetensors, .pt or .pth file; Result.weights."""
        return cls._make("read", model, None, path, None, 0)

    @classmethod
    def pretrain(cls, model: Model, data_path: Path, seed: int, how: TrainSpec, squared: bool = False) -> Job:
        """Train the weights of the job before, else fresh ones; Result.weights, Result.update = after minus before.

        squared: with squared error on one-hot targets instead of cross entropy.
        """
        job = cls._make("pretrain", model, None, data_path, how, seed)
        job.fields["squared"] = squared
        return job

    @classmethod
    def train(
        cls,
        document: SessionDocument,
        weights: bytes | None,
        data_path: Path,
        seed: int,
        initial: bytes | None = None,
        min_samples: int | None = None,
    ) -> Job:
        """A data owner's part of a session; Result.weights are all after it, Result.update its public part, new - old.

        weights: the published blob; None takes the public part of the weights of the job before.  initial: W0, from
        whose private layers it starts; None where all is public.  min_samples: the document's unless given.
        For a perturbed model Result.update are the three vectors as ``perturb_upload.pack`` packs them, computed in
        float64; as float32 they are a hundred times finer than the fixed point.
        Refuses data that ``data.check`` refuses.
        """
        job = cls._make("train", document.model, weights, data_path, document.train, seed)
        least = document.min_samples if min_samples is None else min_samples
        job.fields.update(min_samples=least, public=document.public_layers, initial=initial)
        if document.perturbation is not None:
            job.fields.update(asdict(document.perturbation), op="perturbed", unit=[document.bound, document.frac_bits])
        return job

    @classmethod
    def adapt(cls, document: SessionDocument, weights: bytes | None, data_path: Path, epochs: int) -> Job:
        """The owner's local epochs (MOEp) on all weights, in the order given by ``document.seed``; Result.weights.

        Of a perturbed model: ``perturb.ADAPT``, whatever ``epochs`` says.
        """
        spec = document.train
        how = TrainSpec(lr=spec.lr, momentum=spec.momentum, batch=spec.batch, epochs=epochs)
        squared = document.perturbation is not None
        job = cls._make("adapt", document.model, weights, data_path, ADAPT if squared else how, document.seed)
        job.fields["squared"] = squared
        return job

    @classmethod
    def evaluate(cls, model: Model, weights: bytes | None, test_path: Path) -> Job:
        """Share of right answers on a test set; Result.accuracy."""
        return cls._make("evaluate", model, weights, test_path, None, 0)

    @classmethod
    def _make(
        cls, op: str, model: Model, weights: bytes | None, path: Path | None, how: TrainSpec | None, seed: int
    ) -> Job:
        fields = {"op": op, "model": asdict(model), "weights": weights, "data": str(path.absolute()) if path else None}
        train = asdict(how) if how else None
        more = {"min_samples": 1, "public": (), "initial": None, "file": None, "allowed": (), "squared": False}
        return cls({**fields, "train": train, "seed": seed, **more})

    def placed(self, find: Callable[[bytes], Path] | None, allowed: Sequence[str]) -> dict[str, Any]:
        """The fields, and where this node has the file of an exported model, and which modules it allows."""
        model = self.fields.get("model", {})
        if "layout" not in model:
            return self.fields
        file = str(find(bytes.fromhex(model["source"]))) if find and model["kind"] == "export" else None
        return {**self.fields, "file": file, "allowed": tuple(allowed)}


@dataclass(frozen=True, slots=True)
class Result:
    """Answer to one job; what the operation does not give is None.

    weights: all of them, float32 little-endian bytes.  update: float32, of the public part.  accuracy: 0 to 1.
    model: what ``document.unpack_model`` reads.
    """

    weights: bytes | None = field(default=None, repr=False)
    update: NDArray[np.float32] | None = field(default=None, repr=False)
    accuracy: float | None = None
    model: dict[str, Any] | None = None

    def pack(self) -> dict[str, Any]:
        """Plain map for the wire."""
        update = None if self.update is None else self.update.astype("<f4").tobytes()
        return {"weights": self.weights, "update": update, "accuracy": self.accuracy, "model": self.model}

    @classmethod
    def unpack(cls, raw: dict[str, Any]) -> Result:
        """Inverse of ``pack``."""
        update = None if raw["update"] is None else np.frombuffer(raw["update"], "<f4").astype(np.float32)
        return cls(raw["weights"], update, raw["accuracy"], raw["model"])
