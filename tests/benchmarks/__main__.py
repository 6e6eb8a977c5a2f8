"""Run the benchmarks: ``python -m tests.benchmarks [--only NAME ...] [--large]``.

Every ``bench_NAME.py`` beside this file has ``run() -> list[dict]`` with the keys of COLUMNS: ``ours`` and ``peer`` are
medians in ``unit`` (``peer`` is None where there is nothing to compare with), ``ratio`` is how much better ours is.
Each runs in a process of its own, so that one benchmark's threads and memory do not disturb the next.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.rows import verdict

COLUMNS = ("name", "params", "ours", "peer", "unit", "ratio")
HERE = Path(__file__).resolve().parent
OUT = HERE.parent.parent / "runs" / "bench" / "latest.json"
LIMIT_S = 1800
PLAIN_WIDTH = 180  # a pipe has no width of its own
MARK = "benchmark-rows:"
LARGE = "_large"


def names() -> list[str]:
    """The benchmarks that exist."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def chosen(only: list[str] | None, large: bool) -> list[str]:
    """What is run: what is named, else everything; of sizes that take long (``NAME_large``) only if asked."""
    return only or [name for name in names() if large or not name.endswith(LARGE)]


def machine() -> dict[str, Any]:
    """What it ran on."""
    import psutil

    model = next((line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), "")
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def run_here(name: str) -> None:
    """Child: one benchmark; its rows go to the last line of standard output."""
    rows = importlib.import_module(f"tests.benchmarks.bench_{name}").run()
    for row in rows:
        if set(row) != set(COLUMNS):
            raise SystemExit(f"bench_{name}: a row has the keys {sorted(row)}, wanted {sorted(COLUMNS)}")
    print(MARK + json.dumps(rows))


def run_apart(name: str) -> list[dict[str, Any]] | None:
    """Parent: start the child, hand on what it says, collect its rows. None: it failed."""
    command = [sys.executable, "-m", "tests.benchmarks", "--child", name]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, cwd=HERE.parent.parent)
    except subprocess.TimeoutExpired:
        print(f"bench_{name}: no result after {LIMIT_S} s", file=sys.stderr)
        return None
    marked = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not marked:
        print(f"bench_{name}: failed with exit code {done.returncode}", file=sys.stderr)
        return None
    rows: list[dict[str, Any]] = json.loads(marked[-1].removeprefix(MARK))
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """The table that a reader wants."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*COLUMNS, "aim", "met")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in COLUMNS), *verdict(row))
    console = Console()
    (console if console.is_terminal else Console(width=PLAIN_WIDTH)).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 if every benchmark gave its rows."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks")
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=names(), help="one of: " + ", ".join(names())
    )
    parser.add_argument("--child", choices=names(), help=argparse.SUPPRESS)
    parser.add_argument("--large", action="store_true", help="sizes that take long, too")
    options = parser.parse_args(arguments)
    if options.child:
        run_here(options.child)
        return 0
    rows: list[dict[str, Any]] = []
    failed = []
    for name in chosen(options.only, options.large):
        print(f"{name} ...", flush=True)
        found = run_apart(name)
        rows += found or []
        failed += [] if found is not None else [name]
    out = OUT.with_name("partial.json") if options.only else OUT  # some figures must not replace all figures
    out.parent.mkdir(parents=True, exist_ok=True)
    missed = [row["name"] for row in rows if verdict(row)[1] == "NO"]
    result = {"machine": machine(), "benchmarks": rows, "failed": failed, "missed": missed}
    out.write_text(json.dumps(result, indent=1) + "\n")
    show(rows)
    print(f"{len(missed)} aims missed{': ' if missed else ''}{', '.join(missed)}; written to {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
