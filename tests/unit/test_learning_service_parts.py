"""Jobs, frames and slots: what the worker and the node agree on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from omninode.learning import framing
from omninode.learning.document import SessionDocument
from omninode.learning.jobs import Job, Result
from omninode.learning.presets import DIGITS
from omninode.learning.service import Trainer, TrainingLate
from omninode.learning.slots import slot

DOCUMENT = SessionDocument(DIGITS.model, bytes(32), DIGITS.train, 50, 16, 1 << 17, seed=3)


@given(st.dictionaries(st.text(max_size=9), st.one_of(st.none(), st.binary(), st.integers(0, 2**63), st.floats(0, 1))))
def test_frames_round_trip(message: dict[str, object]) -> None:
    frame = framing.pack(message)
    header, body = frame[: framing.HEADER.size], frame[framing.HEADER.size :]
    assert framing.length(header) == len(body)
    assert framing.unpack(body) == message


def test_frames_are_bounded() -> None:
    with pytest.raises(ValueError, match="more than"):
        framing.length(b"\xff\xff\xff\xff")


def test_jobs_and_results_are_plain_data_and_stay_out_of_logs() -> None:
    job = Job.train(DOCUMENT, b"secret" * 10, Path("party.npz"), 9)
    assert framing.unpack(framing.pack(job.fields)[4:])["data"] == str(Path("party.npz").absolute())
    assert job.fields["min_samples"] == 50
    assert "secret" not in repr(job)
    result = Result(b"secret", np.ones(3, np.float32), 0.5)
    assert "secret" not in repr(result)
    again = Result.unpack(framing.unpack(framing.pack(result.pack())[4:]))
    assert (again.weights, again.accuracy) == (b"secret", 0.5)
    assert again.update is not None
    assert np.array_equal(again.update, np.ones(3))
    assert Job.adapt(DOCUMENT, None, Path("x"), 2).fields["train"]["epochs"] == 2


async def test_no_more_at_work_than_slots(tmp_path: Path) -> None:
    at_work, most = 0, 0

    async def work() -> None:
        nonlocal at_work, most
        async with slot(tmp_path / "slots", 2):
            at_work += 1
            most = max(most, at_work)
            await trio.sleep(0.01)
            at_work -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(work)
    assert most == 2


async def test_a_slot_is_free_after_an_error_and_after_a_cancel(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="inside"):
        async with slot(tmp_path, 1):
            raise RuntimeError("inside")
    with trio.CancelScope() as scope:
        async with slot(tmp_path, 1):
            scope.cancel()
            await trio.sleep_forever()
    with trio.fail_after(5):
        async with slot(tmp_path, 1) as number:
            assert number == 0


async def test_a_killed_process_frees_its_slot(tmp_path: Path) -> None:
    code = f"import fcntl, os, sys, time; f = os.open({str(tmp_path / 'slot-0')!r}, os.O_RDWR | os.O_CREAT); "
    code += "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert await trio.to_thread.run_sync(holder.stdout.readline) == b"held\n"
        with trio.move_on_after(0.2) as waiting:
            async with slot(tmp_path, 1):
                pass
        assert waiting.cancelled_caught
        os.kill(holder.pid, signal.SIGKILL)
        with trio.fail_after(20):
            async with slot(tmp_path, 1):
                pass
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout:
            holder.stdout.close()


class Slow:
    """A worker's side of ``Trainer``: so many seconds for torch, then for each batch of jobs."""

    def __init__(self, start: float, work: float) -> None:
        self.start, self.work, self.done = start, work, 0

    async def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.start:
            await trio.sleep(self.start)
            self.start = 0.0
        if request["jobs"]:
            await trio.sleep(self.work)
            self.done += 1
        return {"results": [Result().pack() for _ in request["jobs"]]}


async def test_waiting_for_a_place_is_no_training(tmp_path: Path, autojump_clock: Any) -> None:
    """Ten trainings of 50 minutes in one slot, each with an hour."""
    trainer, worker = Trainer(tmp_path, slots=1), Slow(0.0, 3000.0)
    trainer._ask = worker  # type: ignore[method-assign]
    job = Job.initial(DIGITS.model, 0)
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(lambda: trainer.run([job], limit_s=3600.0))
    assert worker.done == 10
    worker.work = 3601.0
    with pytest.raises(TrainingLate, match="longer than 3600 s"):
        await trainer.train(DOCUMENT, b"", Path("party.npz"), 1, limit_s=3600.0)


async def test_starting_a_worker_is_not_held_against_a_trial(tmp_path: Path, autojump_clock: Any) -> None:
    trainer = Trainer(tmp_path)
    trainer._ask = Slow(100.0, 20.0)  # type: ignore[method-assign]
    await trainer.run([Job.initial(DIGITS.model, 0)], trial=True, limit_s=30.0)
    trainer._ask = Slow(0.0, 40.0)  # type: ignore[method-assign]
    with pytest.raises(TrainingLate, match="longer than 30 s"):
        await trainer.run([Job.initial(DIGITS.model, 0)], trial=True, limit_s=30.0)
