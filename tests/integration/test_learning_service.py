"""The training service with real worker processes: results, crashes, deadlines, cancellation, no torch in the node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import structlog
import trio

from omninode.learning import data, process, weights
from omninode.learning.document import SessionDocument, TrainSpec
from omninode.learning.presets import DIGITS
from omninode.learning.public_part import choose
from omninode.learning.service import Job, Trainer, TrainingDiverged, TrainingFailed, TrainingLate

BLOB = weights.to_bytes(np.random.default_rng(0).uniform(-0.1, 0.1, 5090).astype(np.float32))
DOCUMENT = SessionDocument(DIGITS.model, weights.digest(BLOB), DIGITS.train, 50, 16, 1 << 17)
ENDLESS = replace(DOCUMENT, train=TrainSpec(0.0001, 0.0, 1, 10_000))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learning")
    parts = data.split(data.load_digits(), 0)
    data.save(folder / "owner.npz", parts.owner)
    data.save(folder / "party.npz", parts.parties[0])
    data.save(folder / "test.npz", parts.test)
    return folder


@asynccontextmanager
async def service(files: Path, **settings: object) -> AsyncIterator[Trainer]:
    trainer = Trainer(files / "slots", device="cpu", log=structlog.get_logger(), **settings)  # type: ignore[arg-type]
    try:
        with trio.fail_after(120):
            yield trainer
    finally:
        await trainer.aclose()


async def scored_of(trainer: Trainer, files: Path, blob: bytes = BLOB) -> float:
    """Accuracy on the test set."""
    (result,) = await trainer.run([Job.evaluate(DIGITS.model, blob, files / "test.npz")])
    assert result.accuracy is not None
    return result.accuracy


def pid(trainer: Trainer) -> int:
    """Of its only worker."""
    (worker,) = [*trainer._idle, *trainer._busy]
    return worker.pid


def running(number: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_a_whole_owner_and_one_data_owner(files: Path) -> None:
    async with service(files) as trainer:
        pretrained, alone = await trainer.run(
            [
                Job.pretrain(DIGITS.model, files / "owner.npz", 0, DIGITS.pretrain),
                Job.evaluate(DIGITS.model, None, files / "test.npz"),
            ]
        )
        assert alone.accuracy is not None
        assert 0.5 < alone.accuracy < 0.8
        assert pretrained.weights is not None
        assert pretrained.update is not None
        assert 0.5 < np.linalg.norm(pretrained.update) < 20
        first = pid(trainer)
        update = await trainer.train(DOCUMENT, pretrained.weights, files / "party.npz", seed=1)
        assert update.shape == (5090,)
        assert update.dtype == np.float32
        again = await trainer.train(DOCUMENT, pretrained.weights, files / "party.npz", seed=1)
        assert np.array_equal(update, again)
        improved = weights.to_bytes(weights.from_bytes(DIGITS.model, pretrained.weights) + update)
        adapted, scored = await trainer.run(
            [
                Job.adapt(DOCUMENT, improved, files / "owner.npz", 2),
                Job.evaluate(DIGITS.model, None, files / "test.npz"),
            ]
        )
        assert adapted.weights is not None
        assert scored.accuracy == await scored_of(trainer, files, adapted.weights)
        repeated = await trainer.run(
            [
                Job.adapt(DOCUMENT, improved, files / "owner.npz", 2),
                Job.pretrain(DIGITS.model, files / "owner.npz", 0, DIGITS.pretrain),
            ]
        )
        assert repeated[0].weights == adapted.weights
        assert pid(trainer) == first
        await bad_requests(trainer, files)
        assert pid(trainer) == first


async def bad_requests(trainer: Trainer, files: Path) -> None:
    """Faults of the request are told, and the worker lives on."""
    for blob, path, words in (
        (BLOB, files / "owner.npz", "30 samples, the session asks for at least 50"),
        (BLOB, files / "absent.npz", "no such file"),
        (BLOB[:-4], files / "party.npz", "the model needs 20360"),
        (None, files / "party.npz", "brings no weights"),
    ):
        with pytest.raises(TrainingFailed, match=words) as caught:
            await trainer.run([Job.train(DOCUMENT, blob, path, 1)])
        assert not isinstance(caught.value, TrainingDiverged)
    wild = replace(DOCUMENT, train=TrainSpec(10.0, 0.99, 10, 50))
    with pytest.raises(TrainingDiverged, match=r"lower train\.lr"):
        await trainer.train(wild, weights.to_bytes(np.full(5090, 1e30, np.float32)), files / "party.npz", seed=1)


async def test_a_split_model_is_trained_whole_and_shared_in_part(files: Path) -> None:
    part = choose(DIGITS.model, ("fc2", "fc3"))
    split = replace(DOCUMENT, public_layers=part.layers, initial=b"i" * 32)
    path = files / "party.npz"
    async with service(files) as trainer:
        initial, pretrained = await trainer.run(
            [Job.initial(DIGITS.model, 0), Job.pretrain(DIGITS.model, files / "owner.npz", 0, DIGITS.pretrain)]
        )
        assert initial.weights is not None and pretrained.weights is not None and pretrained.update is not None
        first, after = (weights.from_bytes(DIGITS.model, blob) for blob in (initial.weights, pretrained.weights))
        assert np.array_equal(after - first, pretrained.update), "pre-training starts from W0"
        published = part.take(after).tobytes()
        update = await trainer.train(split, published, path, 1, initial=initial.weights)
        composed = weights.to_bytes(part.put(first, part.take(after)))
        (whole,) = await trainer.run([Job.train(DOCUMENT, composed, path, 1)])
        assert whole.update is not None
        assert np.array_equal(update, part.take(whole.update))
        assert np.abs(whole.update[: part.spans[0][0]]).max() > 0, "private layers are trained too"
        _, chained = await trainer.run(
            [
                Job.adapt(split, pretrained.weights, files / "owner.npz", 1),
                Job.train(split, None, path, 1, initial.weights),
            ]
        )
        (alone,) = await trainer.run([Job.adapt(split, pretrained.weights, files / "owner.npz", 1)])
        adapted = weights.from_bytes(DIGITS.model, alone.weights or b"")
        again = await trainer.train(split, part.take(adapted).tobytes(), path, 1, initial=initial.weights)
        assert chained.update is not None and np.array_equal(chained.update, again)
        for blob, start, words in (
            (published[:-4], initial.weights, f"the public part needs {4 * part.dimension}"),
            (published, initial.weights[:-4], "the model needs 20360"),
            (published, None, "no initial weights"),
            (None, initial.weights, "brings no weights"),
        ):
            with pytest.raises(TrainingFailed, match=words):
                await trainer.run([Job.train(split, blob, path, 1, start)])


async def test_a_crash_is_reported_with_the_last_words_and_the_next_job_works(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(files) as trainer:
        job = Job.train(DOCUMENT, BLOB, files / "party.npz", 1)
        broken = Job({**job.fields, "train": {"surprise": 1}})
        with pytest.raises(TrainingFailed, match="worker ended with code 1") as caught:
            await trainer.run([broken])
        assert "surprise" in str(caught.value)
        assert len(await trainer.run([job])) == 1


async def test_a_worker_killed_at_work_is_reported(files: Path) -> None:
    async with service(files) as trainer, trio.open_nursery() as nursery:
        nursery.start_soon(kill_when_busy, trainer)
        with pytest.raises(TrainingFailed, match="code -9"):
            await trainer.train(ENDLESS, BLOB, files / "party.npz", seed=1)


async def kill_when_busy(trainer: Trainer) -> None:
    while not trainer._busy:
        await trio.sleep(0.01)
    os.kill(pid(trainer), signal.SIGKILL)


async def test_deadline_and_cancel_kill_the_worker(files: Path) -> None:
    async with service(files) as trainer:
        seen: list[int] = []

        async def note() -> None:
            while not trainer._busy:
                await trio.sleep(0.01)
            seen.append(pid(trainer))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(note)
            with pytest.raises(TrainingFailed, match="deadline"):
                await trainer.train(ENDLESS, BLOB, files / "party.npz", seed=1, deadline=trio.current_time() + 1)
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(note)
                await trainer.train(ENDLESS, BLOB, files / "party.npz", seed=1)
        assert len(set(seen)) == 2
        assert not any(running(number) for number in seen)


async def test_a_trial_waits_for_no_training_and_its_time_is_that_of_work(files: Path) -> None:
    async with service(files, slots=1) as trainer, trio.open_nursery() as nursery:
        late: list[str] = []

        async def endless(deadline: float) -> None:
            job = Job.train(ENDLESS, BLOB, files / "party.npz", 1)
            with pytest.raises(TrainingLate) as caught:
                await trainer.run([job], deadline)
            late.append(str(caught.value))

        nursery.start_soon(endless, trio.current_time() + 60)
        while not trainer._busy:
            await trio.sleep(0.01)
        with pytest.raises(TrainingLate, match="not done by its deadline"):  # the only place is taken
            await trainer.run([Job.evaluate(DIGITS.model, BLOB, files / "test.npz")], trio.current_time() + 0.5)
        (result,) = await trainer.run([Job.evaluate(DIGITS.model, BLOB, files / "test.npz")], trial=True, limit_s=60)
        assert result.accuracy is not None
        assert late == [] and len(trainer._busy) == 1

        async def second() -> None:  # waits for the first trial; that is not held against it
            (found,) = await trainer.run([Job.initial(DIGITS.model, 0)], trial=True, limit_s=60)
            assert found.weights is not None

        job = Job.train(ENDLESS, BLOB, files / "party.npz", 1)
        async with trio.open_nursery() as both:
            both.start_soon(second)
            with pytest.raises(TrainingLate, match="longer than 1 s"):
                await trainer.run([job], trial=True, limit_s=1)
        nursery.cancel_scope.cancel()


async def test_an_idle_worker_ends_and_the_next_job_starts_another(files: Path) -> None:
    async with service(files, linger_s=0.2) as trainer:
        await scored_of(trainer, files)
        first = pid(trainer)
        while running(first):
            await trio.sleep(0.05)
        await scored_of(trainer, files)
        assert pid(trainer) != first
    async with service(files, linger_s=0) as trainer:
        await scored_of(trainer, files)
        assert trainer._idle == []


async def test_a_worker_that_leaves_just_as_we_ask_is_replaced(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = process.WorkerProcess.ask
    calls = 0

    async def leaving(self: process.WorkerProcess, request: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            await self.kill()
            raise process.WorkerGone(0, "")
        return await asked(self, request)

    monkeypatch.setattr(process.WorkerProcess, "ask", leaving)
    async with service(files) as trainer:
        for _ in range(2):
            await scored_of(trainer, files)
    assert calls == 3


async def test_a_bad_device_is_named(files: Path) -> None:
    trainer = Trainer(files / "slots", device="toaster")
    with pytest.raises(TrainingFailed, match='device "toaster" cannot be used'):
        await scored_of(trainer, files)
    await trainer.aclose()


NODE = """
import sys, trio
from pathlib import Path
from omninode.learning.service import Job, Trainer
from omninode.learning import bound, data, document, fixed_point, plot, presets, weights
async def main():
    trainer = Trainer(Path(sys.argv[1]) / "slots", device="cpu")
    await trainer.run([Job.evaluate(presets.DIGITS.model, bytes(4 * 5090), Path(sys.argv[1]) / "test.npz")])
    print("seen", trainer._idle[0].pid, "torch" in sys.modules, "sklearn" in sys.modules, flush=True)
    if sys.argv[2] == "wait":
        await trio.sleep_forever()
trio.run(main)
"""


def test_the_node_never_imports_torch_and_its_worker_dies_with_it(files: Path) -> None:
    root = str(Path(data.__file__).parents[2])
    node = subprocess.Popen(
        [sys.executable, "-c", NODE, str(files), "wait"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    try:
        assert node.stdout is not None
        number, torch, sklearn = next(line for line in node.stdout if line.startswith("seen")).split()[1:]
        assert (torch, sklearn) == ("False", "False")
        assert running(int(number))
    finally:
        node.kill()
        node.wait()
        if node.stdout:
            node.stdout.close()
    for _ in range(200):
        if not running(int(number)):
            return
        trio.run(trio.sleep, 0.05)
    raise AssertionError("the worker outlived its node")
