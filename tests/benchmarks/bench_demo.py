"""The demo as a user runs it: wall time by phase, memory by role, bytes. Eighteen processes on this machine."""

from __future__ import annotations

import statistics

from tests.benchmarks.memory import Watch
from tests.benchmarks.played import Played, play
from tests.benchmarks.rows import Row, against_aim, row

SESSIONS = 5


def times(played: Played) -> list[Row]:
    """The whole command, what comes before and after the sessions, and medians of the phases over the sessions."""
    sessions = played.result["sessions"]
    within = sum(sum(session["seconds"].values()) for session in sessions)
    params = {"sessions": len(sessions), "data_owners": 12, "provers": 5, "block_s": 1}
    rows = [
        against_aim("demo, wall time", params, played.wall_s, "s"),
        row("demo, outside the sessions", {}, played.wall_s - within, None, "s"),
    ]
    phases = list(dict.fromkeys(name for session in sessions for name in session["seconds"]))
    for phase in phases:
        seconds = [session["seconds"].get(phase, 0.0) for session in sessions]
        params = {"least": min(seconds), "most": max(seconds)}
        rows.append(row(f"demo, phase {phase}", params, statistics.median(seconds), None, "s"))
    return rows


def memory(watch: Watch) -> list[Row]:
    """The largest process of every role; a prover's against its limit."""
    rows = []
    for role in watch.roles():
        rss, pss = watch.most(role)
        params = {"kind": "peak RSS", "PSS": round(pss), "processes": len(watch.rss[role])}
        name = f"demo, memory, {role}"
        rows.append(against_aim(name, params, rss, "MB") if role == "prover" else row(name, params, rss, None, "MB"))
    return [*rows, row("demo, memory, all processes", {"kind": "PSS"}, watch.total / 1e6, None, "MB")]


def traffic(played: Played) -> list[Row]:
    """What all nodes sent in a session, by protocol."""
    per_session = [session["bytes"] for session in played.result["sessions"]]
    total = statistics.median(sum(moved.values()) for moved in per_session)
    protocols = sorted({name for moved in per_session for name in moved})
    params = {
        name: f"{statistics.median(moved.get(name, 0) for moved in per_session) / 1e3:.0f} kB" for name in protocols
    }
    return [row("demo, sent by all nodes in a session", params, total / 1e6, None, "MB")]


def run() -> list[Row]:
    """Rows for ``make bench``."""
    watch = Watch()
    played = play(sessions=SESSIONS, watch=watch)
    rows = [*times(played), *memory(watch), *traffic(played)]
    played.discard()
    return rows
