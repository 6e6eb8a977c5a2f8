"""How much of a measured time is noise, from the times of the empty blocks beside a session's blocks."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from omninode.reproduce.gas_steps import Step


def deviation(result: dict[str, Any]) -> float:
    """Milliseconds: of the time of an empty block, from how each differs from the one before. So what all blocks share,
    and what grows slowly with the chain's state, is none of it.
    """
    empty = [float(value) for value in result["ms"]["empty_ms"]]
    squares = [(after - before) ** 2 for before, after in pairwise(empty)]
    return math.sqrt(statistics.fmean(squares) / 2) if squares else 0.0


def noise(result: dict[str, Any], steps: Sequence[Step] | None = None) -> float:
    """Milliseconds that a time must exceed to say anything, of some steps together or (None) of the whole session.

    Two deviations of a difference of two blocks' times, added over as many independent blocks as the steps have.
    """
    found = result["ms"]
    blocks = len(found["empty_ms"]) if steps is None else sum(int(found["blocks"][step]) for step in steps)
    return 2 * math.sqrt(2 * blocks) * deviation(result)


def spent(result: dict[str, Any], steps: Sequence[Step] | None = None) -> float:
    """Milliseconds of some steps together or (None) of the whole session; noise can make it negative."""
    found = result["ms"]
    return float(found["session"] if steps is None else sum(found["by_step"][step] for step in steps))


def told(result: dict[str, Any], steps: Sequence[Step] | None = None) -> str:
    """Two digits behind the point, "0" where there is no transaction, and what is below the noise only as that."""
    time, least = spent(result, steps), noise(result, steps)
    if steps is not None and not any(result["ms"]["blocks"][step] for step in steps):
        return "0"
    return f"{time:,.2f}" if time >= least else f"< {least:.2g}"


def heard(result: dict[str, Any], steps: Sequence[Step] | None = None) -> bool:
    """Whether it is above the noise."""
    return spent(result, steps) >= noise(result, steps)
