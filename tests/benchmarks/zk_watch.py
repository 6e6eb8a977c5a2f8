"""Seconds and memory of what one process does, phase by phase."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.benchmarks.memory import grown, start_growth


@dataclass(slots=True)
class Spent:
    """wall, cpu: seconds, the latter of all threads.  peak: MB above what the process held at first.  sent: bytes."""

    wall: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    sent: int = 0

    def add(self, other: Spent) -> None:
        """Seconds and bytes add up, peaks do not."""
        self.wall, self.cpu = self.wall + other.wall, self.cpu + other.cpu
        self.peak, self.sent = max(self.peak, other.peak), self.sent + other.sent


class Watch:
    """phases: by name, in the order in which they began; a phase may be entered again. base: MB held at the start."""

    def __init__(self) -> None:
        gc.collect()
        self.base = start_growth()
        self.phases: dict[str, Spent] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[Spent]:
        """What is done inside counts."""
        start_growth()
        began = time.perf_counter(), time.process_time()
        spent = Spent()
        yield spent
        spent.wall, spent.cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        spent.peak = grown(self.base)
        self.phases.setdefault(name, Spent()).add(spent)


def together(phases: Iterable[Spent]) -> Spent:
    """Of several phases."""
    total = Spent()
    for spent in phases:
        total.add(spent)
    return total
