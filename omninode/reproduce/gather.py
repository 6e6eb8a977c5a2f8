"""Results of learning cells by experiment, whatever seeds are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omninode.reproduce.cells import Results


def seeds(results: Results, group: str, label: str) -> list[dict[str, Any]]:
    """Results of one experiment, by seed; empty where nothing has been run."""
    stem = f"{group}-{label}-s"
    found = [(int(name[len(stem) :]), each) for name, each in results.items() if _of(name, stem)]
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def _of(name: str, stem: str) -> bool:
    return name.startswith(stem) and name[len(stem) :].isdigit()


def finals(runs: Sequence[dict[str, Any]]) -> list[float]:
    """Accuracy after the last session, per seed."""
    return [run["accuracy"][-1] for run in runs]


def pretrained(runs: Sequence[dict[str, Any]]) -> list[float]:
    """Accuracy of the owner before the first session, per seed."""
    return [run["alone"] for run in runs]


def alone(runs: Sequence[dict[str, Any]]) -> list[float]:
    """What the owner would have reached by itself with as many epochs of its own, per seed: PL 0 of the same seed."""
    return [run["alone_after"] for run in runs]


def gains(runs: Sequence[dict[str, Any]]) -> list[float]:
    """How much more than that it has, per seed."""
    return [after - by_itself for after, by_itself in zip(finals(runs), alone(runs), strict=True)]


def curves(runs: Sequence[dict[str, Any]]) -> list[tuple[float, ...]]:
    """Accuracy before the first session and after each, of all seeds together."""
    return list(zip(*([run["alone"], *run["accuracy"]] for run in runs), strict=True))


def lengths(runs: Sequence[dict[str, Any]]) -> str:
    """How many sessions these runs have, in words."""
    counts = sorted({len(run["accuracy"]) for run in runs})
    return " or ".join(map(str, counts)) + " sessions" if counts else "no sessions"


def share(runs: Sequence[dict[str, Any]], part: str, whole: str) -> list[float]:
    """Per seed, the sum of a count over all sessions as a share of another's; 0 where there is nothing to share."""
    return [sum(run[part]) / max(1, sum(run[whole])) for run in runs]


def bad_kept(runs: Sequence[dict[str, Any]], mu_bps: int) -> tuple[int, int, int, int]:
    """Over all seeds: sessions with at most floor(mu R) bad groups, how many of them kept a bad group; the same for
    sessions with more.
    """
    few, few_kept, many, many_kept = 0, 0, 0, 0
    for run in runs:
        for units, bad, kept in zip(run["units"], run["bad"], run["bad_kept"], strict=True):
            if bad <= mu_bps * units // 10_000:
                few, few_kept = few + 1, few_kept + (kept > 0)
            else:
                many, many_kept = many + 1, many_kept + (kept > 0)
    return few, few_kept, many, many_kept
