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

from omninode.learning.document import SessionDocument
from omninode.learning.jobs import Job, Result
from omninode.learning.process import WorkerGone, WorkerProcess
from omninode.learning.slots import slot
from omninode.store.blobs import BlobError

__all__ = ["Job", "Result", "Trainer", "TrainingDiverged", "TrainingFailed"]

_T = TypeVar("_T")


class TrainingFailed(Exception):
    """Training gave no result: bad data or weights, divergence, deadline, or the worker crashed (its last words)."""


class TrainingDiverged(TrainingFailed):
    """The numbers themselves lead out of all bounds: trying again would not help."""


class TrainingLate(TrainingFailed):
    """It was not done in time; the same again would be late too."""


class Trainer:
    """Runs jobs in worker processes, at most ``slots`` of which work at a time on this machine.

    Trials (``run`` with ``trial``) have one place of their own, beside the slots: somebody's long training does not
    keep this node from looking at the next session. Whoever has a place takes an idle worker, else starts one.
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
        self._places = {False: trio.CapacityLimiter(slots), True: trio.CapacityLimiter(1)}
        self._idle: list[WorkerProcess] = []
        self._busy: list[WorkerProcess] = []

    async def run(
        self, jobs: Sequence[Job], deadline: float = math.inf, *, trial: bool = False, limit_s: float = math.inf
    ) -> list[Result]:
        """Results of ``jobs`` in order, done in one process. Raises TrainingFailed; a failed job fails them all.

        limit_s: seconds of work; waiting for a place is none, nor, for a trial, the start of a worker.
        """
        started = trio.current_time()
        try:
            placed = [job.placed(self._find, self._allowed) for job in jobs]
        except BlobError as error:
            raise TrainingFailed(f"the model's file is not here: {error}") from error
        with trio.move_on_at(deadline):
            async with self._places[trial], slot(self._slots_dir / "trials" if trial else self._slots_dir, self._slots):
                if trial:  # importing torch on a busy machine is not held against a model
                    await self._ask({"jobs": []})
                waited = trio.current_time() - started
                with trio.move_on_after(limit_s) as work:
                    answer = await self._ask({"jobs": placed})
            if work.cancelled_caught:
                raise TrainingLate(f"it took longer than {limit_s:g} s; the worker was stopped")
            if "error" in answer:
                raise (TrainingDiverged if answer.get("diverged") else TrainingFailed)(answer["error"])
            spent = trio.current_time() - started - waited
            ops = [job.fields["op"] for job in jobs]
            self._log.debug("learning.done", jobs=ops, waited_s=round(waited, 3), worked_s=round(spent, 3))
            return [Result.unpack(raw) for raw in answer["results"]]
        raise TrainingLate("training was not done by its deadline; the worker was stopped")

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
        *,
        limit_s: float = math.inf,
    ) -> NDArray[np.float32]:
        """A data owner's update (``document.parameters``,), see ``Job.train``, ``run``. Raises TrainingFailed."""
        job = Job.train(document, weights, data_path, seed, initial)
        (result,) = await self.run([job], deadline, limit_s=limit_s)
        return _present(result.update)

    async def aclose(self) -> None:
        """End the workers that are there. The Trainer can be used again."""
        there = [*self._idle, *self._busy]
        self._idle.clear()
        for worker in there:
            await worker.kill()

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        worker = await self._waiting()
        try:
            if worker is not None:
                try:
                    return await self._attempt(worker, request)
                except WorkerGone as gone:
                    if gone.code != 0:  # else its idle time ran out just as we asked
                        raise
            return await self._attempt(await self._started(), request)
        except WorkerGone as gone:
            raise TrainingFailed(f"the training {gone}") from None

    async def _waiting(self) -> WorkerProcess | None:
        """An idle worker that is still there, the one used last."""
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            await worker.kill()
        return None

    async def _started(self) -> WorkerProcess:
        worker = await WorkerProcess.start(self._device, self._threads, self._linger_s)
        self._log.debug("learning.worker_started", pid=worker.pid)
        return worker

    async def _attempt(self, worker: WorkerProcess, request: dict[str, Any]) -> dict[str, Any]:
        finished = False
        self._busy.append(worker)
        try:
            answer: dict[str, Any] = await worker.ask(request)
            finished = True
            return answer
        finally:
            self._busy.remove(worker)
            if finished and self._linger_s > 0:
                self._idle.append(worker)
            else:
                await worker.kill()


def _present(value: _T | None) -> _T:
    """The worker answers what the operation gives; anything else is a bug of ours."""
    if value is None:
        raise TrainingFailed("the worker's answer lacks its result")
    return value
