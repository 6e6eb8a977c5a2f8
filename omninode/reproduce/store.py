"""Results on disk: one JSON file per cell, written whole or not at all, current or not counted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omninode.reproduce.cells import Cell

_PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a file holds: the cell's result and how many seconds it took."""

    result: dict[str, Any]
    seconds: float


class Store:
    """A folder of results. Any number of processes may read; one writes."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, and sweep what an interrupted run left half-written. Raises OSError."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*" + _PARTIAL):
            left.unlink()

    def read(self, cell: Cell) -> Stored | None:
        """The result of a cell; None where there is none, it is damaged, or made by other arguments or by
        other code (as far as the cell's version covers it).
        """
        try:
            found = json.loads((self.folder / f"{cell.name}.json").read_bytes())
            if found["digest"] == cell.digest and isinstance(found["result"], dict):
                return Stored(found["result"], float(found["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def read_all(self, cells: Iterable[Cell]) -> dict[str, Stored]:
        """By name, of those that are done."""
        return {cell.name: stored for cell in cells if (stored := self.read(cell)) is not None}

    def missing(self, cells: Sequence[Cell]) -> list[list[Cell]]:
        """What is to be run: cells without a result, those of one digest together. Where another cell of the same
        digest has a result, it is copied (its seconds are not). Raises OSError.
        """
        alike: dict[str, list[Cell]] = {}
        for cell in cells:
            alike.setdefault(cell.digest, []).append(cell)
        left = []
        for same in alike.values():
            found = [self.read(cell) for cell in same]
            known = next((stored for stored in found if stored is not None), None)
            if known is None:
                left.append(same)
                continue
            for cell, stored in zip(same, found, strict=True):
                if stored is None:
                    self.write(cell, known.result, 0.0)
        return left

    def write(self, cell: Cell, result: dict[str, Any], seconds: float) -> None:
        """Next to its place, then renamed: a kill at any moment leaves the old file or the new one.

        Raises ValueError where the result is no JSON (NaN included), OSError where the disk is at fault.
        """
        known = {"name": cell.name, "digest": cell.digest, "seconds": round(seconds, 2), "result": result}
        text = json.dumps(known, indent=1, allow_nan=False)
        path = self.folder / f"{cell.name}.json"
        partial = path.with_name(path.name + _PARTIAL)
        with partial.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
