"""Sums of 2^17 multiples of points, what proofs take most time for, against zksnake's in the same run."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from protocols.bn254 import fr, g1
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.bn254.msm import msm
from tests.benchmarks.rows import Row, row

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / "runs" / "bench" / "zksnake-venv"
PACKAGE = "zksnake==0.1.0"
LOG_POINTS, FIRST, TIMES = 17, pow(7, 90, R), 3
BITS = (254, 16)
THREADS = (1, 2)


def scalars(count: int, bits: int) -> list[int]:
    """As the peer's script draws them."""
    data = hashlib.shake_256(b"benchmark scalars").digest(32 * count)
    numbers = (int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32))
    return [x % R if bits == 254 else x % (1 << bits) for x in numbers]


def peer_python() -> Path | None:
    """The interpreter of an environment with zksnake; made on first use. None, with a word why, if that fails."""
    python = VENV / "bin" / "python"
    if not (VENV / "ready").exists():
        print("making an environment for zksnake ...", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True, timeout=120)
            subprocess.run([str(python), "-m", "pip", "install", "-q", PACKAGE], check=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"no peer to compare with: {error}", file=sys.stderr)
            return None
        (VENV / "ready").touch()
    return python


def ask_peer(python: Path | None, log_points: int, threads: int) -> dict[str, Any]:
    """Its seconds and sums by bits; nothing without a peer."""
    if python is None:
        return {}
    arguments = {"log_points": log_points, "first": FIRST, "bits": BITS, "times": TIMES}
    command = [str(python), str(HERE / "peers" / "zksnake_msm.py"), json.dumps(arguments)]
    there = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300, env=there)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def compared(points: g1.Points, exponents: Vector, bits: int, threads: int, peer: dict[str, Any]) -> Row:
    """One row; the sums must be right, and the peer's the same."""
    numbers = scalars(len(points), bits)
    began = time.perf_counter()
    vector = fr.vector(numbers)
    entering = time.perf_counter() - began
    expected = g1.multiply_fixed(g1.generator(), fr.single(fr.inner(exponents, vector)))
    wall, cpu = [], []
    for _ in range(TIMES):
        started = time.perf_counter(), time.process_time()
        total = msm(points, vector, threads)
        wall.append(time.perf_counter() - started[0])
        cpu.append(time.process_time() - started[1])
        if not np.array_equal(total, expected):
            raise SystemExit("sum of multiples: ours is wrong")
    other = peer.get(str(bits))
    if other and tuple(int(x, 16) for x in other["sum"]) != g1.to_integers(expected)[0]:
        raise SystemExit("sum of multiples: the peer has another sum")
    said = {"points": len(points), "threads": threads, "cpu_s": round(statistics.median(cpu), 3)}
    said |= {"peer_cpu_s": round(other["cpu"], 3)} if other else {}
    said["from_integers_s"] = round(entering, 3)  # the peer's seconds have such a step in them
    name = f"zk sum of 2^{len(points).bit_length() - 1} multiples, {bits} bits, {threads} threads (zksnake)"
    return row(name, said, statistics.median(wall), other["wall"] if other else None, "s")


def rows(log_points: int = LOG_POINTS, peer: bool = True) -> list[Row]:
    """By threads and length of the scalars."""
    python = peer_python() if peer else None
    one = fr.vector([1]).repeat(1 << log_points, axis=0)
    exponents = fr.shift(fr.prefix_sums(one), FIRST - 1)
    points = g1.multiply_fixed(g1.generator(), exponents)
    found = []
    for threads in THREADS:
        theirs = ask_peer(python, log_points, threads)
        found += [compared(points, exponents, bits, threads, theirs) for bits in BITS]
    return found
