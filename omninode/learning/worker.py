"""The worker process: the only place where torch runs. Started by ``process.WorkerProcess``.

``python -m omninode.learning.worker DEVICE THREADS LINGER``: requests on stdin, answers on stdout, until stdin closes
or nothing was asked for LINGER seconds. A fault of the request is answered as ``{"error": sentence}``; a fault of ours
ends the process with a traceback on stderr.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from omninode.learning import framing

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from omninode.learning.data import Samples
    from omninode.learning.model_spec import Model
    from omninode.learning.models import Net
    from omninode.learning.public_part import PublicPart


def main(device: str, threads: int, linger: float) -> None:
    """Serve requests until told to stop; leaves through ``os._exit`` to spare torch's slow teardown."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node; it closes our stdin
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not break the frames
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    where: torch.device | None = None
    while True:
        try:
            request = requests.get(timeout=linger if where else None)
        except queue.Empty:
            os._exit(0)
        try:
            where = where or _start_torch(device, threads)
            answer: dict[str, Any] = {"results": _run(request["jobs"], where)}
        except (ValueError, FloatingPointError, _data_error()) as error:
            answer = {"error": str(error)}
        except BaseException:  # ours: say where, and leave without waiting for the thread that reads stdin
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        replies.write(framing.pack(answer))
        replies.flush()
        if linger <= 0:
            os._exit(0)


def _listen(stdin: BinaryIO, requests: queue.Queue[dict[str, Any]]) -> None:
    """Runs in its own thread so that the worker dies with its node even in the middle of a job."""
    while header := stdin.read(framing.HEADER.size):
        body = stdin.read(framing.length(header)) if len(header) == framing.HEADER.size else b""
        if not body:
            break
        requests.put(framing.unpack(body))
    os._exit(0)


def _data_error() -> type[Exception]:
    from omninode.learning.data import DataError

    return DataError


def _start_torch(device: str, threads: int) -> torch.device:
    gc.disable()  # the import makes 10^6 objects and no garbage: a third of its time was collection
    import torch

    from omninode.learning.training import pick_device

    gc.freeze()
    gc.enable()
    torch.set_num_threads(threads)
    return pick_device(device)


def _run(jobs: list[dict[str, Any]], device: torch.device) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    before: NDArray[np.float32] | None = None
    for job in jobs:
        result, before = _do(job, before, device)
        results.append(result)
    return results


def _do(
    job: dict[str, Any], before: NDArray[np.float32] | None, device: torch.device
) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """Result and weights of one job; ``before`` are all weights (d,) of the job before it, if it had any."""
    from omninode.learning import data, perturb_torch, training, weights, weights_file
    from omninode.learning.document import TrainSpec, unpack_model
    from omninode.learning.jobs import Result
    from omninode.learning.public_part import choose

    if job["op"] == "describe":
        return Result(model=_described(job)).pack(), before
    spec = unpack_model(job["model"])
    if job["op"] == "initial":
        fresh = _initial(spec, job)
        return Result(weights.to_bytes(fresh)).pack(), fresh
    if job["op"] == "read":
        found = weights_file.flat(spec, weights_file.read(Path(job["data"])))
        return Result(weights.to_bytes(found)).pack(), found
    net = _net(spec, job)
    if job["op"] == "check":
        _rehearse(spec, net)
        return Result().pack(), before
    path = Path(job["data"])
    data.check(path, spec.features, spec.classes, job["min_samples"])
    samples = data.load(path)
    part = choose(spec, job["public"] or None)
    if job["op"] == "pretrain":
        before = _initial(spec, job) if before is None else before
    else:
        before = _start(job, spec, part, before)
    if job["op"] == "evaluate":
        return Result(accuracy=training.accuracy(net, before, samples, device)).pack(), before
    if job["op"] == "perturbed":
        return Result(update=_perturbed(spec, job, before, samples, device)).pack(), before
    loss = {"loss": perturb_torch.squares} if job["squared"] else {}
    after = training.train(net, before, samples, TrainSpec(**job["train"]), job["seed"], device, **loss)
    return Result(weights.to_bytes(after), part.take(after - before)).pack(), after


def _perturbed(
    spec: Model, job: dict[str, Any], hidden: NDArray[np.float32], samples: Samples, device: torch.device
) -> NDArray[np.float32]:
    """A data owner's three vectors, packed (3 d,). hidden: the published weights (d,)."""
    import numpy as np

    from omninode.learning import perturb_torch, perturb_upload

    vectors = perturb_torch.three_vectors(spec, hidden, job["noise"], samples, device)
    packed = perturb_upload.pack(vectors, job["bounds"], *job["unit"])
    if np.abs(packed).max() > np.finfo(np.float32).max:
        raise FloatingPointError("the vectors of this perturbed model do not fit float32: it has diverged")
    return packed.astype(np.float32)


def _net(spec: Model, job: dict[str, Any]) -> Net:
    """The model as a function; one that is not ours is loaded from where the job says, if this node allows it."""
    from omninode.learning import models
    from omninode.learning.model_spec import ModelSpec

    if isinstance(spec, ModelSpec):
        return models.net_of(spec)
    from omninode.learning import foreign  # only where somebody uses such a model

    return foreign.load(spec, Path(job["file"]) if job["file"] else None, job["allowed"])


def _rehearse(spec: Model, net: Net) -> None:
    from omninode.learning.model_spec import ForeignModel

    if isinstance(spec, ForeignModel):
        from omninode.learning import foreign

        foreign.rehearse(spec, net)


def _initial(spec: Model, job: dict[str, Any]) -> NDArray[np.float32]:
    """Fresh weights (d,): random, or those that somebody's model brings."""
    from omninode.learning import models
    from omninode.learning.model_spec import ModelSpec

    if isinstance(spec, ModelSpec):
        return models.initial(spec, job["seed"])
    from omninode.learning import foreign

    return foreign.initial(spec, Path(job["file"]) if job["file"] else None, job["allowed"], job["seed"])


def _described(job: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict

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
    from omninode.learning import weights

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


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
