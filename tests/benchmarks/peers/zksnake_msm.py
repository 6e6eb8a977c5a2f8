"""zksnake's sum of multiples on BN254 (arkworks, in Rust), as its users call it: on its points and Python's integers.

Runs in an environment that has ``zksnake`` and nothing of ours: python zksnake_msm.py '{"log_points": 17, ...}'. Points
are (first + i) G, scalars a hash's; ours does the same, so that both sums can be compared. Prints one line of JSON.
Threads are set by RAYON_NUM_THREADS.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
from typing import Any

from zksnake.ecc import EllipticCurve


def scalars(count: int, bits: int, order: int) -> list[int]:
    """Random ones of so many bits; 254: any."""
    data = hashlib.shake_256(b"benchmark scalars").digest(32 * count)
    numbers = (int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32))
    return [x % order if bits == 254 else x % (1 << bits) for x in numbers]


def points(curve: Any, first: int, count: int) -> list[Any]:
    """(first + i) G."""
    generator = curve.G1()
    out = [generator * first]
    while len(out) < count:
        out.append(out[-1] + generator)
    return out


def main(arguments: dict[str, Any]) -> None:
    """Median seconds, wall and CPU, and the sum, by length of the scalars."""
    curve = EllipticCurve("BN254")
    bases = points(curve, arguments["first"], 1 << arguments["log_points"])
    answer = {}
    for bits in arguments["bits"]:
        numbers = scalars(len(bases), bits, curve.order)
        wall, cpu = [], []
        for _ in range(arguments["times"]):
            began = time.perf_counter(), time.process_time()
            total = curve.multiexp(bases, numbers)
            wall.append(time.perf_counter() - began[0])
            cpu.append(time.process_time() - began[1])
        answer[str(bits)] = {
            "wall": statistics.median(wall), "cpu": statistics.median(cpu), "sum": [hex(total.x), hex(total.y)],
        }  # fmt: skip
    print(json.dumps(answer))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
