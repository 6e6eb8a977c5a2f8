"""Training as a service for the roles: jobs go to a worker process, the node itself never imports torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import structlog
import trio
from numpy.typing import NDArray

from omninode.learning.document import SessionDocument, TrainSpec
from omninode.learning.jobs import Job, Result
from omninode.learning.model_spec import Model
from omninode.learning.presets import DIGITS
from omninode.learning.process import WorkerGone, WorkerProcess
from omninode.learning.slots import slot
from omninode.store.blobs import BlobError

__all__ = ["Job", "Result", "Trainer", "TrainingFailed"]

_T = TypeVar("_T")


class TrainingFailed(Exception):
    """Training gave no result: bad data or weights, divergence, deadline, or the worker crashed (its last words)."""


class Trainer:
    """Runs jobs in one worker process, at most ``slots`` of which work at a time on this machine.

    slots_dir: shared by the daemons of one user.  device: "auto", "cpu", "cuda", "cuda:1".  threads: of torch.
    linger_s: how long an idle worker stays (importing torch costs 1 to 2 s of CPU, an idle worker about 150 MB);
    0 ends it after each batch. Idle workers hold no slot. A worker dies with its node, however that ends.
    find: the file of an exported model by its digest; allowed: import paths of models that may be imported.
    Deadlines are times of the Trio clock (``trio.current_time() + seconds``). Cancelling kills the worker.
    """

    def __init__(
        self,
        slots_dir: Path,
        slots: int = 2,
        device: str = "auto",
        threads: int = 1,
        log: Any = None,
        linger_s: float = 90.0,
        find: Callable[[bytes], Path] | None = None,
        allowed: Sequence[str] = (),
    ) -> None:
        if slots < 1 or threads < 1:
            raise ValueError("slots and threads must be at least 1")
        self._slots_dir, self._slots = slots_dir, slots
        self._device, self._threads, self._linger_s = device, threads, linger_s
        self._find, self._allowed = find, tuple(allowed)
        self._log = log if log is not None else structlog.get_logger("omninode.learning")
        self._lock = trio.Lock()
        self._worker: WorkerProcess | None = None

    async def run(self, jobs: Sequence[Job], deadline: float = math.inf) -> list[Result]:
        """Results of ``jobs`` in order, done in one process. Raises TrainingFailed; a failed job fails them all."""
        started = trio.current_time()
        try:
            placed = [job.placed(self._find, self._allowed) for job in jobs]
        except BlobError as error:
            raise TrainingFailed(f"the model's file is not here: {error}") from error
        with trio.move_on_at(deadline):
            async with self._lock, slot(self._slots_dir, self._slots):
                waited = trio.current_time() - started
                answer = await self._ask({"jobs": placed})
            if "error" in answer:
                raise TrainingFailed(answer["error"])
            spent = trio.current_time() - started - waited
            ops = [job.fields["op"] for job in jobs]
            self._log.debug("learning.done", jobs=ops, waited_s=round(waited, 3), worked_s=round(spent, 3))
            return [Result.unpack(raw) for raw in answer["results"]]
        raise TrainingFailed("training was not done by its deadline; the worker was stopped")

    async def warm(self) -> None:
        """Have a worker ready, so that the first job does not wait for torch to be imported. Raises TrainingFailed."""
        await self.run([])

    async def train(
        self,
        document: SessionDocument,
        weights: bytes,
        data_path: Path,
        seed: int,
        deadline: float = math.inf,
        initial: bytes | None = None,
    ) -> NDArray[np.float32]:
        """A data owner's update (``document.parameters``,), see ``Job.train``. Raises TrainingFailed."""
        (result,) = await self.run([Job.train(document, weights, data_path, seed, initial)], deadline)
        return _present(result.update)

    async def pretrain(
        self, spec: Model, data_path: Path, epochs: int, seed: int, how: TrainSpec = DIGITS.pretrain
    ) -> bytes:
        """Weights after ``epochs`` from random ones; ``how`` gives the rest. ``Job.pretrain`` gives the update too."""
        training = TrainSpec(lr=how.lr, momentum=how.momentum, batch=how.batch, epochs=epochs)
        (result,) = await self.run([Job.pretrain(spec, data_path, seed, training)])
        return _present(result.weights)

    async def adapt(self, document: SessionDocument, weights: bytes, data_path: Path, epochs: int) -> bytes:
        """Weights after the owner's local epochs (MOEp). Raises TrainingFailed."""
        (result,) = await self.run([Job.adapt(document, weights, data_path, epochs)])
        return _present(result.weights)

    async def evaluate(self, model: Model, weights: bytes, test_path: Path) -> float:
        """Accuracy on a test set, 0 to 1. Raises TrainingFailed."""
        (result,) = await self.run([Job.evaluate(model, weights, test_path)])
        return _present(result.accuracy)

    async def aclose(self) -> None:
        """End the worker, if one is there. The Trainer can be used again."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.kill()

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        reused = self._worker is not None and self._worker.alive
        try:
            return await self._attempt(request)
        except WorkerGone as gone:
            if not (reused and gone.code == 0):  # code 0: its idle time ran out just as we asked
                raise TrainingFailed(f"the training {gone}") from None
        try:
            return await self._attempt(request)
        except WorkerGone as gone:
            raise TrainingFailed(f"the training {gone}") from None

    async def _attempt(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._worker is None or not self._worker.alive:
            await self.aclose()
            self._worker = await WorkerProcess.start(self._device, self._threads, self._linger_s)
            self._log.debug("learning.worker_started", pid=self._worker.pid)
        finished = False
        try:
            answer: dict[str, Any] = await self._worker.ask(request)
            finished = True
            return answer
        finally:
            if not finished or self._linger_s <= 0:
                await self.aclose()


def _present(value: _T | None) -> _T:
    """The worker answers what the operation gives; anything else is a bug of ours."""
    if value is None:
        raise TrainingFailed("the worker's answer lacks its result")
    return value
