"""Certificate zk at d = 10^6, K = 16: minutes, and some gigabytes under runs/bench while it lasts."""

from __future__ import annotations

from tests.benchmarks.bench_zk import STATEMENTS, of_dimension
from tests.benchmarks.rows import Row

DIMENSION, COUNT = 10**6, 16


def run() -> list[Row]:
    """Rows for ``make bench ARGS=--large``."""
    return [row for statement in STATEMENTS for row in of_dimension(DIMENSION, statement, (COUNT,))]
