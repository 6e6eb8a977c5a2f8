"""Memory of one prover of a session that was played: its journal once more, in a process that holds nothing else.

``python -m tests.benchmarks.replayed FILE FOLDER`` is the child; share vectors go on disk in FOLDER, as with a node.
"""

from __future__ import annotations

import gc
import hashlib
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omninode.reproduce.stage.node import Node
from omninode.reproduce.stage.session import machine
from omninode.store.shelf import DiskShelf
from protocols.sessions.effects import Effect, Reply, Send
from protocols.sessions.params import SessionParams
from protocols.wire import codec
from protocols.wire.context import Context
from tests.benchmarks.memory import grown, start_growth


def growth(node: Node, params: SessionParams) -> float:
    """MB by which the peak of a process grows while it does all that ``node``, a prover, did.

    RuntimeError if it does anything else.
    """
    number = int(node.name.rpartition(" ")[2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        with path.open("wb") as file:
            for entry in [(params, node.context, number), *node.journal]:
                pickle.dump(entry, file)
        command = [sys.executable, "-m", "tests.benchmarks.replayed", str(path), str(Path(folder) / "shelf")]
        answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=600).stdout.split()
    hashed = hashlib.sha256()
    for effect in node.effects:
        hashed.update(as_bytes(effect, node.context))
    if answer[1] != hashed.hexdigest():
        raise RuntimeError(f"{node.name}: the replay differs")
    return float(answer[0])


def as_bytes(effect: Effect, context: Context) -> bytes:
    """Something to compare; messages as they travel, since a ``repr`` would be larger than the machine's own work."""
    if isinstance(effect, Send | Reply):
        return (effect.to if isinstance(effect, Send) else b"reply") + codec.encode(effect.message, context)
    return repr(effect).encode()


def _entries(path: Path) -> Iterator[Any]:
    """One at a time: what was read before is gone."""
    with path.open("rb") as file:
        while file.peek(1):
            yield pickle.load(file)


def main(path: Path, folder: Path) -> None:
    """Prints the growth in MB and a digest of everything that the machine asked for."""
    entries = _entries(path)
    params, context, number = next(entries)
    again = machine(params, context, "prover", number, lambda _: DiskShelf(folder))
    hashed = hashlib.sha256()
    gc.collect()
    before = start_growth()
    for kind, payload in entries:
        if kind == "chain":
            effects = [effect for event in payload for effect in again.chain(event)]
        else:
            effects = again.tick(payload) if kind == "tick" else again.receive(payload)
        for effect in effects:
            hashed.update(as_bytes(effect, context))
        del payload, effects
    print(grown(before), hashed.hexdigest())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
