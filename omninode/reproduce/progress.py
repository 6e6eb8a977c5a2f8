"""What the user sees while cells run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from omninode.reproduce.cells import Cell
from omninode.reproduce.pool import Done


class Progress:
    """A line for every cell that ends, with an estimate of what is left."""

    def __init__(self, todo: Sequence[Cell], jobs: int) -> None:
        self.rest = {cell.name: cell for cell in todo}
        self.total, self.jobs = len(todo), jobs
        self.spent, self.expected = 0.0, 0.0

    def note(self, done: Done) -> None:
        """One more has ended."""
        del self.rest[done.cell.name]
        if done.result is not None:
            self.spent, self.expected = self.spent + done.seconds, self.expected + done.cell.cost
        how = f"{done.seconds:6.1f} s" if done.result is not None else "FAILED: " + done.error.strip().splitlines()[-1]
        say(f"{self.total - len(self.rest):4}/{self.total}  {done.cell.name:36} {how}   {self.left()} left")

    def left(self) -> str:
        """Roughly how long the rest takes: estimates, corrected by what the cells so far took."""
        costs = [(cell.cost, 1 if cell.alone else self.jobs) for cell in self.rest.values()]
        factor = self.spent / self.expected if self.expected > 20 else 1.0
        seconds = factor * sum(cost / beside for cost, beside in costs)
        return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"


def say(text: str) -> None:
    """A line on standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
