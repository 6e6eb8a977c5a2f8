"""Accuracy of grouped sessions on the digits against a plain float simulation, and what a worker process costs.

First of simulated sessions, then of real ones: whole runs of the demo, each played again in float64 with the groups,
training seeds and drop-outs that it had.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog
import torch
import trio

from omninode.learning import data, weights
from omninode.learning.document import SessionDocument
from omninode.learning.presets import DIGITS
from omninode.learning.service import Job, Trainer
from omninode.learning.simulate import Options, Run, draw, pooled_accuracy, simulate
from omninode.learning.simulate_table import GROUP_SIZE, PARTIES, hostile
from tests.benchmarks import replay
from tests.benchmarks.played import play
from tests.benchmarks.rows import Row, against_aim, row

SEEDS, SESSIONS = (0, 1, 2), 5
SHAPE = {"parties": PARTIES, "group": GROUP_SIZE, "sessions": SESSIONS}


def _row(name: str, params: dict[str, Any], ours: float, peer: float | None, unit: str) -> Row:
    return row(name, params, ours, peer, unit, more=True)


def accuracies(samples: data.Samples, seed: int) -> list[Row]:
    """Ours: the protocol's integers and bounds. Peer: the same sessions in float64, with the bounds and without."""
    split = data.split(samples, seed, DIGITS.owner_samples, DIGITS.party_samples, PARTIES)
    plans, params = draw(PARTIES, GROUP_SIZE, SESSIONS, seed), {"seed": seed, **SHAPE}
    plain = simulate(DIGITS, split, seed, plans, Options())
    unbounded = simulate(DIGITS, split, seed, plans, Options(clip=False))
    ours = simulate(DIGITS, split, seed, plans, Options(integers=True))
    attacked = simulate(DIGITS, split, seed, hostile(plans), Options(integers=True))
    pooled = pooled_accuracy(DIGITS, split, seed)
    return [
        _row("accuracy, sessions / float simulation", params, ours.final, plain.final, "share"),
        _row("accuracy, sessions / float without bound", params, ours.final, unbounded.final, "share"),
        _row("accuracy, hostile sessions / honest", params, attacked.final, ours.final, "share"),
        _row("accuracy, sessions / owner alone", params, ours.final, ours.owner_alone, "share"),
        _row("accuracy, sessions / all data in one place", params, ours.final, pooled, "share"),
    ]


def played(seed: int, *, hostile: bool = False) -> replay.Finished:
    """A run of the demo, read and removed."""
    done = play(seed=seed, sessions=SESSIONS, mode="grouped", hostile=hostile)
    run = replay.read(done.folder)
    done.discard()
    return run


def honest_run(seed: int) -> list[Row]:
    """Five real sessions, against what was promised and against the same sessions without any protocol."""
    run = played(seed)
    params = {"seed": seed, **SHAPE}
    final, same = run.accuracies[-1], run.simulate()
    return [
        against_aim("real sessions, accuracy", params, final, "share"),
        against_aim("real sessions, gain over the owner alone", params, final - run.owner_alone, "share"),
        _row("real sessions / float simulation of the same", params | _steps(run, same), final, same.final, "share"),
    ]


def hostile_run(seed: int) -> list[Row]:
    """The same with the demo's three attacks in session 3; a run in which one is not repelled raises."""
    run = played(seed, hostile=True)
    name, params = "real hostile sessions / float simulation", {"seed": seed, **SHAPE}
    final, same, without = run.accuracies[-1], run.simulate(), run.simulate(faults=False)
    return [
        _row(f"{name} of the same", params | _steps(run, same), final, same.final, "share"),
        _row(f"{name} without the faults", params | _steps(run, without), final, without.final, "share"),
    ]


def _steps(run: replay.Finished, simulated: Run) -> dict[str, Any]:
    """The widest gap between the two after any session, and whether the same groups were accepted in all of them."""
    gaps = [abs(a - s.accuracy) for a, s in zip(run.accuracies, simulated.sessions, strict=True)]
    alike = run.accepted == tuple(s.accepted for s in simulated.sessions)
    return {"widest_gap_on_the_way": round(max(gaps), 4), "same_groups_accepted": alike}


async def worker_seconds(folder: Path, samples: data.Samples) -> list[float]:
    """Wall seconds of one data owner's training: in a fresh worker, and again in the same one."""
    split = data.split(samples, 0)
    path = folder / "party.npz"
    data.save(path, split.parties[0])
    trainer = Trainer(folder / "slots", device="cpu")
    blob = bytes(4 * DIGITS.model.parameters)
    document = SessionDocument(DIGITS.model, weights.digest(blob), DIGITS.train, DIGITS.min_samples, 16, 1 << 17)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        await trainer.run([Job.train(document, blob, path, 1)], deadline=trio.current_time() + 120)
        seconds.append(time.perf_counter() - started)
    await trainer.aclose()
    return seconds


def run() -> list[Row]:
    """Rows for ``make bench``."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    torch.set_num_threads(1)
    samples = data.load_digits()
    rows = [entry for seed in SEEDS for entry in accuracies(samples, seed)]
    for seed in SEEDS:
        rows += honest_run(seed) + hostile_run(seed)
    with tempfile.TemporaryDirectory() as folder:
        first, again = trio.run(worker_seconds, Path(folder), samples)
    rows.append(_row("local training, fresh worker process", {"samples": 60, "epochs": 5}, first, None, "s"))
    rows.append(_row("local training, lingering worker", {"samples": 60, "epochs": 5}, again, None, "s"))
    return rows
