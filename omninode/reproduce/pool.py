"""Run cells in processes: as many at once as asked for, those that must be alone first, one after the other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omninode.reproduce.cells import Cell


@dataclass(frozen=True, slots=True)
class Done:
    """A cell that ended. result: None if it failed; then error says why, in full."""

    cell: Cell
    result: dict[str, Any] | None
    error: str
    seconds: float


def run(cells: Iterable[Cell], data: Path, jobs: int) -> Generator[Done, None, None]:
    """Run them all and yield each as it ends; the failure of one does not stop the others.

    The processes end when the iterator is closed, on an interrupt, and when this process is killed.
    """
    every = list(cells)
    alone = [cell for cell in every if cell.alone]
    beside = [cell for cell in every if not cell.alone]
    yield from _batch(alone, data, 1)
    yield from _batch(beside, data, jobs)


def _batch(cells: list[Cell], data: Path, jobs: int) -> Generator[Done, None, None]:
    todo = cells[::-1]
    while todo:  # a process that dies (memory, a signal) breaks its pool: the rest goes on in a fresh one
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _initialise)
        try:
            yield from _drain(pool, todo, data, jobs)
        finally:
            _kill(pool)


def _drain(pool: ProcessPoolExecutor, todo: list[Cell], data: Path, jobs: int) -> Generator[Done, None, None]:
    """Take cells from the end of ``todo`` until it is empty or the pool is broken."""
    flying: dict[Future[Any], Cell] = {}
    while todo or flying:
        while todo and len(flying) < jobs:
            cell = todo.pop()
            flying[pool.submit(_work, cell, data)] = cell
        broken = False
        for future in wait(flying, return_when=FIRST_COMPLETED).done:
            cell = flying.pop(future)
            try:
                result, error, seconds = future.result()
                yield Done(cell, result, error, seconds)
            except BrokenProcessPool:
                yield Done(cell, None, "its process died, or that of the cell beside it\n", 0.0)
                broken = True
        if broken:
            todo.extend(flying.values())
            return


def _kill(pool: ProcessPoolExecutor) -> None:
    """Its processes at once, for a cell may take minutes more."""
    for process in list((pool._processes or {}).values()):
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


def _work(cell: Cell, data: Path) -> tuple[dict[str, Any] | None, str, float]:
    began = time.monotonic()
    try:
        return cell.run(dict(cell.arguments), data), "", time.monotonic() - began
    except Exception:
        return None, traceback.format_exc(), time.monotonic() - began


def _initialise() -> None:
    """An interrupt is the parent's business; a parent that was killed takes its workers with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.join,), daemon=True).start()


def _follow(join: Callable[[], None]) -> None:
    join()
    os._exit(1)
