"""How much memory a worker may take for a model of somebody else, and who dies first where there is too little."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOREIGN_BYTES = 8 << 30
"""What such a model may take beyond what the worker has already: twice the 2**30 float32 of ``foreign_graph``."""
_EXPENDABLE = "900"
_SELF = Path("/proc/self")


def first_to_go() -> None:
    """Have Linux kill this process before the node or anything else, where memory runs out."""
    with suppress(OSError):
        (_SELF / "oom_score_adj").write_text(_EXPENDABLE)


@contextmanager
def bounded(room: int = FOREIGN_BYTES) -> Iterator[None]:
    """Within, this process gets at most ``room`` more bytes of private memory; then MemoryError, or torch's own error.

    RLIMIT_DATA, not RLIMIT_AS: CUDA reserves addresses by the terabyte, without taking memory. Where a system does not
    know it, nothing is bounded.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _taken() + room
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _taken() -> int:
    """Bytes of private memory that this process has; 0 where /proc does not say."""
    with suppress(OSError, ValueError):
        for line in (_SELF / "status").read_text().splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) << 10
    return 0
