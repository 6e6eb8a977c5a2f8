"""Certificate zk by role and phase, on two threads, beside what was estimated before it was written.

Real proofs and shares of real vectors, K = 16 and 64 data owners, five provers; the measured prover has its shares on
disk. Who is not measured makes the same bytes with a known secret (``zk_stage``). Wall seconds; CPU seconds, the peak
of memory above the loaded key, and bytes are among the parameters. Gas: ``bench_zk_gas``; 10^6: ``bench_zk_large``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from protocols.zk.params import Statement, ZkParams
from protocols.zk.range_check import check
from protocols.zk.record import Record
from tests.benchmarks import zk_estimates, zk_msm, zk_roles
from tests.benchmarks.rows import AIMS, Row, against_aim, row
from tests.benchmarks.zk_roles import answer, apart
from tests.benchmarks.zk_stage import MEASURED, THREADS, N, Others, Stage, true_sum, upload_all
from tests.benchmarks.zk_watch import Spent, together

DIMENSIONS, COUNTS = (10**4, 10**5), (16, 64)
STATEMENTS = (Statement.GRAM, Statement.SCORE)
BEFORE = ("receive uploads",)
AFTER = ("output",)
"""Phases of a prover that are not in its total: what comes while data owners upload, and what follows the proof."""

FOLDER = Path(__file__).resolve().parents[2] / "runs" / "bench"  # on disk; elsewhere /tmp may be memory


def told(spent: Spent, **more: object) -> dict[str, object]:
    """Parameters of a row of seconds."""
    sent = {"sent_bytes": spent.sent} if spent.sent else {}
    return {"cpu_s": round(spent.cpu, 3), "peak_MB": round(spent.peak, 1)} | sent | more


def seconds(name: str, spent: Spent, estimate: float | None, **more: object) -> Row:
    """A row of wall seconds. The peer is the aim where there is one, else the estimate."""
    if name in AIMS:
        return against_aim(name, told(spent, **more, estimate_s=round(estimate or 0, 2)), spent.wall, "s")
    return row(name, told(spent, **more), spent.wall, estimate or None, "s")


def of_data_owner(stage: Stage) -> Iterator[Row]:
    """Share, commit, prove; write the pieces. SystemExit if the record is refused."""
    params, at = stage.key.params, where(stage)  # the key is made here: to make it takes memory that is not asked about
    with apart(zk_roles.data_owner, stage, 0) as connection:
        phases, sent, record = answer(connection)
    assert isinstance(record, Record)
    check(stage.key, stage.sess, record, stage.bound_squared)
    made, proved, written = (phases[name] for name in ("make the upload", "prove", "write the pieces"))
    more = {"N": params.size, "threads": THREADS, "prove_s": round(proved.wall, 2)}
    yield seconds(f"zk data owner, {at}", made, zk_estimates.data_owner(params, stage.statement), **more)
    yield row(f"zk data owner, {at}: pieces to disk", told(written), written.wall, None, "s")
    yield row(f"zk data owner, {at}: upload", {"provers": N}, sent / 1e6, zk_estimates.upload(params) / 1e6, "MB")


def where(stage: Stage, count: int = 0) -> str:
    """As rows are called."""
    owners = f", K = {count}" if count else ""
    return f"d = 10^{len(str(stage.dimension)) - 1}{owners}, {stage.statement.name.lower()}"


def of_prover(stage: Stage, count: int, others: Others) -> Iterator[Row]:
    """By phase, and what the model owner does in the end. RuntimeError unless the batch and the sum are right."""
    messages = others.messages(0)  # whoever is not measured works while nobody is
    with apart(zk_roles.prover, stage, count) as connection:
        for index in range(len(others.steps)):
            connection.send(messages)
            others.accept(index, messages | {MEASURED: answer(connection)})
            messages = others.messages(index + 1) if index + 1 < len(others.steps) else {}
        phases, aggregate, share = answer(connection)
    yield from prover_rows(stage.key.params, stage, count, phases)
    with apart(zk_roles.owner, stage, aggregate) as connection:
        connection.send(others.sums() | {MEASURED: share})
        phases, total = answer(connection)
    if not np.array_equal(total, true_sum(stage.dimension, count)):
        raise RuntimeError("the model owner opens another sum")
    for name, spent in phases.items():
        yield row(f"zk owner, {where(stage, count)}: {name}", told(spent), spent.wall, None, "s")


def prover_rows(params: ZkParams, stage: Stage, count: int, phases: dict[str, Spent]) -> Iterator[Row]:
    """Its total, its phases, what it sends."""
    name, estimates = f"zk prover, {where(stage, count)}", zk_estimates.prover(params, stage.statement, count)
    counted = [spent for phase, spent in phases.items() if phase not in BEFORE + AFTER]
    total = together(counted)
    yield seconds(name, total, sum(estimates.values()), N=params.size, threads=THREADS)
    for phase, spent in phases.items():
        yield seconds(f"{name}: {phase}", spent, estimates.get(phase))
    openings = {phase: spent.sent for phase, spent in phases.items() if spent.sent and phase not in AFTER}
    sent, expected = sum(openings.values()), zk_estimates.sent(stage.statement, count)
    yield row(f"{name}: to each other prover", dict(openings), sent / 1e3, expected / 1e3, "kB")
    yield row(f"{name}: rounds", {}, len(openings), 5, "rounds")


def of_dimension(dimension: int, statement: Statement, counts: tuple[int, ...]) -> Iterator[Row]:
    """All rows of a size and a statement."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="zk-") as folder:
        stage = Stage(Path(folder), dimension, statement)
        yield from of_data_owner(stage)
        shelves = upload_all(stage, max(counts))
        for count in counts:
            yield from of_prover(stage, count, Others(stage, shelves, count))


def run() -> list[Row]:
    """Rows for ``make bench``."""
    rows = zk_msm.rows()
    for dimension in DIMENSIONS:
        for statement in STATEMENTS:
            rows += of_dimension(dimension, statement, COUNTS)
    return rows
