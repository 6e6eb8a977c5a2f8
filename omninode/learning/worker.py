"""The worker process: the only place where torch runs. Started by ``process.WorkerProcess``.

``python -m omninode.learning.worker DEVICE THREADS LINGER``: requests on stdin, answers on stdout, until stdin closes
or nothing was asked for LINGER seconds. A fault of the request is answered as ``{"error": sentence, "diverged":
bool}``; a fault of ours ends the process with a traceback on stderr.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, BinaryIO

from omninode.learning import framing, memory

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


def main(device: str, threads: int, linger: float) -> None:
    """Serve requests until told to stop; leaves through ``os._exit`` to spare torch's slow teardown."""
    memory.first_to_go()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node; it closes our stdin
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not break the frames
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    where: torch.device | None = None
    while True:
        try:
            request = requests.get(timeout=linger if where else None)
        except queue.Empty:
            os._exit(0)
        try:
            where = where or _start_torch(device, threads)
            answer: dict[str, Any] = {"results": _run(request["jobs"], where)}
        except (ValueError, FloatingPointError, _data_error()) as error:
            answer = {"error": str(error), "diverged": isinstance(error, FloatingPointError)}
        except MemoryError:
            answer = {"error": "there is not enough memory for this model with these samples"}
        except BaseException:  # ours: say where, and leave without waiting for the thread that reads stdin
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        replies.write(framing.pack(answer))
        replies.flush()
        if linger <= 0:
            os._exit(0)


def _listen(stdin: BinaryIO, requests: queue.Queue[dict[str, Any]]) -> None:
    """Runs in its own thread so that the worker dies with its node even in the middle of a job."""
    while header := stdin.read(framing.HEADER.size):
        body = stdin.read(framing.length(header)) if len(header) == framing.HEADER.size else b""
        if not body:
            break
        requests.put(framing.unpack(body))
    os._exit(0)


def _data_error() -> type[Exception]:
    from omninode.learning.data import DataError

    return DataError


def _start_torch(device: str, threads: int) -> torch.device:
    gc.disable()  # the import makes 10^6 objects and no garbage: a third of its time was collection
    import torch

    from omninode.learning.training import pick_device

    gc.freeze()
    gc.enable()
    torch.set_num_threads(threads)
    return pick_device(device)


def _run(jobs: list[dict[str, Any]], device: torch.device) -> list[dict[str, Any]]:
    from omninode.learning import operations

    results: list[dict[str, Any]] = []
    before: NDArray[np.float32] | None = None
    for job in jobs:
        result, before = operations.do(job, before, device)
        results.append(result)
    return results


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
