"""Sessions of the three ways, one after the other on the same chain, with the same number of data owners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from omninode.reproduce.gas_baseline import baseline
from omninode.reproduce.gas_result import gas_of, time_of
from omninode.reproduce.gas_steps import Way
from omninode.reproduce.gas_terms import terms_of
from omninode.reproduce.stage.blocks import Gas
from omninode.reproduce.stage.session import Cast, Place, perform_at, place, wallet
from protocols.sessions.limits import check_params
from protocols.sessions.params import SessionParams


async def _play(where: Place, params: SessionParams, times: int) -> tuple[Gas, dict[str, Any]]:
    """One session. Its gas, and what is to be known about its rule."""
    check_params(params)
    played = await perform_at(where, params, Cast(), times)
    batch = played.nodes[-1].machine.view.batch
    assert batch is not None
    return played.gas, {"rule": params.rule.name.lower(), "m": params.m_krum, "accepted": batch.accepted.bit_count()}


async def _measure(rounds: int, group_size: int, dimension: int, ways: list[Way], times: int) -> dict[str, Any]:
    data_owners = {wallet("data owner", k).address for k in range(rounds * group_size)}
    results = {}
    async with place(len(data_owners), Way.ONCHAIN in ways) as where:
        for way in ways:
            if way == Way.ONCHAIN:
                gas, known = await baseline(where, rounds, group_size, dimension, times)
            else:
                gas, known = await _play(where, terms_of(way, rounds, group_size, dimension), times)
            results[str(way)] = known | {
                "gas": gas_of(way, gas, wallet("owner").address, data_owners), "ms": time_of(way, gas)
            }  # fmt: skip
    return results


def measure(arguments: dict[str, Any], data: Path) -> dict[str, Any]:
    """A cell's sessions: one of each of ``ways``; ``times``: how many times every block is mined, to time it.

    The model is random numbers: what is in it changes neither gas nor time, and ``data`` is not read. RuntimeError
    unless every session ends with the right sum and the right pay.
    """
    ways = [Way(name) for name in arguments["ways"]]
    shape = (int(arguments[name]) for name in ("rounds", "group_size", "dimension"))
    return {"ways": trio.run(_measure, *shape, ways, int(arguments["times"]))}
