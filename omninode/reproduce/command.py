"""``omninode reproduce omnilytics``: what is missing is run, then the report is written from what there is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from omninode.errors import Exit, UsageError, disk_error
from omninode.learning.data import DataError
from omninode.reproduce import learning_run, pool, report, sides
from omninode.reproduce.cells import Cell, Options
from omninode.reproduce.store import Store
from omninode.store.lock import DataDirLock

SEEDS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for. report: folder of the report; None: docs, or under ``out`` for the quick run.

    only: names of groups or patterns of cell names; empty: all.  jobs: processes at once.
    """

    data: Path
    out: Path = Path("runs/reproduce")
    report: Path | None = None
    quick: bool = False
    only: tuple[str, ...] = ()
    jobs: int = 2

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        return self.report or (self.out / "quick-report" if self.quick else Path("docs"))


def main(wanted: Wanted) -> int:
    """Run and report; returns the exit code, 1 if a cell failed.

    Raises UsageError, StoreError, and AlreadyRunningError while another run fills the same folder.
    """
    try:
        options = Options(
            wanted.data.resolve(),
            learning_run.fingerprint(learning_run.samples(wanted.data.resolve())),
            wanted.quick,
            SEEDS[:1] if wanted.quick else SEEDS,
        )
    except DataError as error:
        raise UsageError(str(error), "--data takes the folder with MNIST's files, as they are published") from None
    cells = sides.cells(options)
    chosen = select(cells, wanted.only)
    with DataDirLock(wanted.out):
        return _run_and_report(wanted, options, cells, chosen)


def _run_and_report(wanted: Wanted, options: Options, cells: Sequence[Cell], chosen: Sequence[Cell]) -> int:
    try:
        store = Store(wanted.out / ("quick-cells" if wanted.quick else "cells"))
        failed = _run(store, chosen, options.data, wanted.jobs, wanted.out)
        stored = store.read_all(cells)
        path = report.write(wanted.folder, cells, stored, options, _seconds(wanted.out))
    except OSError as error:
        raise disk_error(error, wanted.out) from None
    missing = len(cells) - len(stored)
    _say(f"report: {path}" + (f", {missing} of {len(cells)} cells not run" if missing else ""))
    if failed:
        _say(f"{len(failed)} failed: {', '.join(failed)}; why: {wanted.out / 'failed'}; run again to try them again")
    return Exit.FAILURE if failed else Exit.OK


def select(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """Cells of these groups, or whose names match these patterns. Raises UsageError for one that matches nothing."""
    if not only:
        return list(cells)
    for word in only:
        if not any(_matches(cell, word) for cell in cells):
            groups = ", ".join(dict.fromkeys(cell.group for cell in cells))
            raise UsageError(f"--only {word} matches no cell", f"the groups are {groups}; a cell's name may have *")
    return [cell for cell in cells if any(_matches(cell, word) for word in only)]


def _matches(cell: Cell, word: str) -> bool:
    return cell.group == word or fnmatchcase(cell.name, word)


def _run(store: Store, cells: Sequence[Cell], data: Path, jobs: int, out: Path) -> list[str]:
    """Names of the cells that failed; results are in the store as soon as they are there."""
    alike = store.missing(cells)
    todo, twins = [same[0] for same in alike], {same[0].name: same for same in alike}
    before = len(cells) - sum(map(len, alike))
    progress = Progress(todo, len(todo), jobs)
    _say(f"{len(cells)} cells, {before} of them done before; {len(todo)} to run, {progress.left()}")
    failed, clock = [], time.monotonic()
    running = pool.run(todo, data, jobs)
    try:
        for done in running:
            if done.result is not None:
                for cell in twins[done.cell.name]:
                    store.write(cell, done.result, done.seconds if cell is done.cell else 0.0)
            else:
                failed.append(done.cell.name)
                _complain(out / "failed", done)
            progress.note(done)
    finally:
        running.close()
        _add_seconds(out, time.monotonic() - clock)
    return failed


class Progress:
    """A line for every cell that ends, with an estimate of what is left."""

    def __init__(self, todo: Sequence[Cell], total: int, jobs: int) -> None:
        self.rest = {cell.name: cell for cell in todo}
        self.total, self.jobs = total, jobs
        self.spent, self.expected = 0.0, 0.0

    def note(self, done: pool.Done) -> None:
        """One more has ended."""
        del self.rest[done.cell.name]
        if done.result is not None:
            self.spent, self.expected = self.spent + done.seconds, self.expected + done.cell.cost
        how = f"{done.seconds:6.1f} s" if done.result is not None else "FAILED: " + done.error.strip().splitlines()[-1]
        _say(f"{self.total - len(self.rest):4}/{self.total}  {done.cell.name:36} {how}   {self.left()} left")

    def left(self) -> str:
        """Roughly how long the rest takes: estimates, corrected by what the cells so far took."""
        costs = [(cell.cost, 1 if cell.alone else self.jobs) for cell in self.rest.values()]
        factor = self.spent / self.expected if self.expected > 20 else 1.0
        seconds = factor * sum(cost / beside for cost, beside in costs)
        return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"


def _complain(folder: Path, done: pool.Done) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{done.cell.name}.txt").write_text(done.error)


def _seconds(out: Path) -> float:
    """How long all runs into this folder took together."""
    try:
        return float(json.loads((out / "seconds.json").read_text()))
    except (OSError, ValueError, TypeError):
        return 0.0


def _add_seconds(out: Path, more: float) -> None:
    partial = out / "seconds.json.partial"
    partial.write_text(json.dumps(round(_seconds(out) + more, 1)))
    partial.replace(out / "seconds.json")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
