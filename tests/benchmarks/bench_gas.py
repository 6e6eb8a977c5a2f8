"""Gas of a whole session on anvil: the real contracts, machines and signatures; only the network is simulated.

What a session costs must not depend on how large the model is: nothing of it ever goes on chain.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable

import structlog

from omninode.reproduce.stage.blocks import Gas
from omninode.reproduce.stage.session import PROVERS, grouped, perform, verified, wallet
from protocols.sessions.params import SessionParams
from tests.benchmarks.rows import Row, row

DIMENSIONS = (1_000, 100_000)
DATA_OWNERS = 12
MODES: dict[str, Callable[[int], SessionParams]] = {"grouped": grouped, "verified": verified}


def own_gas(gas: Gas) -> float:
    """Mean of what the data owners paid themselves; who is first in a block pays more than the next."""
    return statistics.fmean(gas.by_sender[wallet("data owner", k).address] for k in range(DATA_OWNERS))


def of_mode(mode: str, make: Callable[[int], SessionParams]) -> list[Row]:
    """Ours: the large model; peer: the small one."""
    small, large = (perform(make(dimension)).gas for dimension in DIMENSIONS)
    sizes = {"d": DIMENSIONS[1], "peer_d": DIMENSIONS[0], "data_owners": DATA_OWNERS, "provers": PROVERS}
    ours, peer = large.session / DATA_OWNERS, small.session / DATA_OWNERS
    kind = "" if mode == "grouped" else mode + " "
    rows = [
        row(f"gas of a {kind}session per data owner, by dimension", sizes, ours, peer, "gas"),
        row(f"gas that a data owner pays itself, {kind}by dimension", sizes, own_gas(large), own_gas(small), "gas"),
    ]
    for call in sorted(large.by_call.keys() | small.by_call.keys()):
        used, other = (gas.by_call.get(call, [0]) for gas in (large, small))
        calls = {"calls": len(used), "peer_calls": len(other), "least": min(used), "most": max(used)}
        rows.append(row(f"{kind}gas, {call}", calls, statistics.fmean(used), statistics.fmean(other), "gas"))
    return rows


def run() -> list[Row]:
    """Rows for ``make bench``."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    return [entry for mode, make in MODES.items() for entry in of_mode(mode, make)]
