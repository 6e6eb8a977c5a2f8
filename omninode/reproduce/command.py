"""``omninode reproduce omnilytics``: what is missing is run, then the report is written from what there is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from omninode.errors import Exit, UsageError, disk_error
from omninode.learning.data import DataError
from omninode.reproduce import data_check, learning_run, machine, pool, report, sides
from omninode.reproduce.cells import Cell, Options
from omninode.reproduce.progress import Progress, say
from omninode.reproduce.store import Store
from omninode.store.lock import DataDirLock

SEEDS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for. report: folder of the report; None: see ``folder``.

    only: names of groups or patterns of cell names; empty: all.  jobs: processes at once.
    """

    data: Path
    out: Path = Path("runs/reproduce")
    report: Path | None = None
    quick: bool = False
    only: tuple[str, ...] = ()
    jobs: int = 2

    def folder(self, whole: bool) -> Path:
        """Where the report goes. Unless it was said, docs only ever gets the whole one: no part overwrites it."""
        if self.report is not None:
            return self.report
        return self.out / "quick-report" if self.quick else Path("docs") if whole else self.out / "partial-report"

    @property
    def cells(self) -> Path:
        """The folder of results; seconds and machines are in a file of its name with ``.json``."""
        return self.out / ("quick-cells" if self.quick else "cells")


def main(wanted: Wanted) -> int:
    """Run and report; returns the exit code, 1 if a cell failed.

    Raises UsageError, StoreError, and AlreadyRunningError while another run fills the same folder.
    """
    try:
        samples = learning_run.samples(wanted.data.resolve())
        seeds = SEEDS[:1] if wanted.quick else SEEDS
        options = Options(wanted.data.resolve(), learning_run.fingerprint(samples), wanted.quick, seeds)
        cells = sides.cells(options)
        chosen = select(cells, wanted.only)
        data_check.check(samples, wanted.data, [cell.arguments for cell in chosen])
    except DataError as error:
        raise UsageError(str(error), "--data takes the folder with MNIST's files, as they are published") from None
    with DataDirLock(wanted.out):
        return _run_and_report(wanted, options, cells, chosen)


def _run_and_report(wanted: Wanted, options: Options, cells: Sequence[Cell], chosen: Sequence[Cell]) -> int:
    with _disk(wanted.folder(True)):
        wanted.folder(True).mkdir(parents=True, exist_ok=True)  # before the hour of work that is to be written there
    with _disk(wanted.out):
        store = Store(wanted.cells)
        failed = _run(store, chosen, options.data, wanted)
        stored = store.read_all(cells)
    missing, log = len(cells) - len(stored), machine.read(_log(wanted))
    folder = wanted.folder(not missing)
    with _disk(folder):
        path = report.write(folder, cells, stored, options, log)
    say(f"report: {path}" + (f", {missing} of {len(cells)} cells not run" if missing else ""))
    if failed:
        say(f"{len(failed)} failed: {', '.join(failed)}; why: {wanted.out / 'failed'}; run again to try them again")
    return Exit.FAILURE if failed else Exit.OK


@contextmanager
def _disk(place: Path) -> Iterator[None]:
    """Errors of the disk as a sentence that names the place."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, place) from None


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


def _run(store: Store, cells: Sequence[Cell], data: Path, wanted: Wanted) -> list[str]:
    """Names of the cells that failed; results are in the store as soon as they are there."""
    alike = {same[0].name: same for same in store.missing(cells)}
    todo, before = [same[0] for same in alike.values()], len(cells) - sum(map(len, alike.values()))
    progress = Progress(todo, wanted.jobs)
    say(f"{len(cells)} cells, {before} of them done before; {len(todo)} to run, {progress.left()}")
    failed, clock = [], time.monotonic()
    running = pool.run(todo, data, wanted.jobs)
    try:
        for done in running:
            if done.result is not None:
                for cell in alike[done.cell.name]:
                    store.write(cell, done.result, done.seconds if cell is done.cell else 0.0)
            else:
                failed.append(done.cell.name)
                _complain(wanted.out / "failed", done)
            progress.note(done)
    finally:
        running.close()
        if todo:
            machine.add(_log(wanted), time.monotonic() - clock)
    return failed


def _complain(folder: Path, done: pool.Done) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{done.cell.name}.txt").write_text(done.error)


def _log(wanted: Wanted) -> Path:
    return wanted.cells.with_suffix(".json")
