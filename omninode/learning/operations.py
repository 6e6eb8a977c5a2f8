"""What a worker can do, one function per step (torch). Imported only inside the worker process and by tests."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from omninode.learning import data, memory, models, perturb_torch, perturb_upload, training, weights, weights_file
from omninode.learning.data import Samples
from omninode.learning.document import TrainSpec, unpack_model
from omninode.learning.jobs import Result
from omninode.learning.model_spec import Model, ModelSpec
from omninode.learning.models import Net
from omninode.learning.public_part import PublicPart, choose


def do(
    job: dict[str, Any], before: NDArray[np.float32] | None, device: torch.device
) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """Result and weights of one job; ``before`` are all weights (d,) of the job before it, if it had any."""
    if job["op"] == "describe":
        with memory.bounded():
            return Result(model=_described(job)).pack(), before
    spec = unpack_model(job["model"])
    if isinstance(spec, ModelSpec):
        return _with_model(spec, job, before, device)
    from omninode.learning import foreign

    with memory.bounded(), foreign.told():
        return _with_model(spec, job, before, device)


def _with_model(
    spec: Model, job: dict[str, Any], before: NDArray[np.float32] | None, device: torch.device
) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    if job["op"] == "initial":
        fresh = _initial(spec, job)
        return Result(weights.to_bytes(fresh)).pack(), fresh
    if job["op"] == "read":
        found = weights_file.flat(spec, weights_file.read(Path(job["data"])))
        return Result(weights.to_bytes(found)).pack(), found
    net = _net(spec, job)
    if job["op"] == "load":
        return Result().pack(), before
    path = Path(job["data"])
    data.check(path, spec.features, spec.classes, job["min_samples"])
    samples = data.load(path)
    part = choose(spec, job["public"] or None)
    if job["op"] == "pretrain":
        before = _initial(spec, job) if before is None else before
    else:
        before = _start(job, spec, part, before)
    return _trained(spec, net, part, job, before, samples, device)


def _trained(
    spec: Model, net: Net, part: PublicPart, job: dict[str, Any], before: NDArray[np.float32], samples: Samples,
    device: torch.device,
) -> tuple[dict[str, Any], NDArray[np.float32]]:  # fmt: skip
    """Whatever an operation does with samples, from the weights ``before`` (d,) on."""
    if job["op"] == "evaluate":
        return Result(accuracy=training.accuracy(net, before, samples, device)).pack(), before
    if job["op"] == "check":
        samples = _first(samples, job["train"]["batch"])
    if "noise" in job:
        update = _perturbed(spec, job, before, samples, device)
        return (Result() if job["op"] == "check" else Result(update=update)).pack(), before
    loss = {"loss": perturb_torch.squares} if job["squared"] else {}
    how = TrainSpec(**job["train"])
    if job["op"] == "check":
        training.train(net, before, samples, replace(how, epochs=1), job["seed"], device, **loss)
        return Result().pack(), before
    after = training.train(net, before, samples, how, job["seed"], device, **loss)
    return Result(weights.to_bytes(after), part.take(after - before)).pack(), after


def _first(samples: Samples, batch: int) -> Samples:
    """One full batch, and as many more as the short one has that ends an epoch."""
    return samples if len(samples) <= batch else samples.take(np.arange(batch + len(samples) % batch))


def _perturbed(
    spec: Model, job: dict[str, Any], hidden: NDArray[np.float32], samples: Samples, device: torch.device
) -> NDArray[np.float32]:
    """A data owner's three vectors, packed (3 d,). hidden: the published weights (d,)."""
    vectors = perturb_torch.three_vectors(spec, hidden, job["noise"], samples, device)
    packed = perturb_upload.pack(vectors, job["bounds"], *job["unit"])
    if np.abs(packed).max() > np.finfo(np.float32).max:
        raise FloatingPointError("the vectors of this perturbed model do not fit float32: it has diverged")
    return packed.astype(np.float32)


def _net(spec: Model, job: dict[str, Any]) -> Net:
    """The model as a function; one that is not ours is loaded from where the job says, if this node allows it."""
    if isinstance(spec, ModelSpec):
        return models.net_of(spec)
    from omninode.learning import foreign  # only where somebody uses such a model

    net = foreign.load(spec, Path(job["file"]) if job["file"] else None, job["allowed"])
    if job["op"] == "load":
        foreign.rehearse(spec, net)
    return net


def _initial(spec: Model, job: dict[str, Any]) -> NDArray[np.float32]:
    """Fresh weights (d,): random, or those that somebody's model brings."""
    if isinstance(spec, ModelSpec):
        return models.initial(spec, job["seed"])
    from omninode.learning import foreign

    return foreign.initial(spec, Path(job["file"]) if job["file"] else None, job["allowed"], job["seed"])


def _described(job: dict[str, Any]) -> dict[str, Any]:
    from omninode.learning import foreign

    if job["source"].endswith(".pt2"):
        model, _ = foreign.describe_export(Path(job["source"]))
    else:
        model, _ = foreign.describe_module(job["source"], job["shape"], 0, job["allowed"])
    return asdict(model)


def _start(
    job: dict[str, Any], spec: Model, part: PublicPart, before: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """All weights (d,) that a job starts from: its own, or those of the job before it.

    A data owner's job starts from W0 with the published part put in, whoever does it.
    """
    blob = job["weights"]
    if blob is not None:
        what = "the model" if part.whole else "the public part"
        published = weights.vector(blob, part.dimension, what)
    elif before is not None and len(before) == spec.parameters:
        published = part.take(before)
    else:
        raise ValueError("the job brings no weights and no job before it made some for this model")
    if part.whole:
        return published
    if job["initial"] is None:
        raise ValueError("the model has private layers, and the job brings no initial weights for them")
    return part.put(weights.from_bytes(spec, job["initial"]), published)
