"""What a session cost, as JSON values: gas and time by function and by step, and who paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from omninode.reproduce.gas_steps import Step, Way, step_of
from omninode.reproduce.stage.blocks import Gas, Mined


def step(way: Way, mined: Mined) -> Step:
    """Of one transaction."""
    return step_of(way, mined.sent.call, mined.sent.args, mined.sent.phase)


def gas_of(way: Way, gas: Gas, owner: bytes, data_owners: Collection[bytes]) -> dict[str, Any]:
    """Gas of a session. data_owner: mean of all that a data owner pays itself; provers: everybody else's together.

    ValueError for a call that belongs to no step.
    """
    by_call: dict[str, list[int]] = defaultdict(list)
    by_step, payers = dict.fromkeys(map(str, Step), 0), {"owner": 0, "data_owners": 0, "provers": 0}
    for mined in gas.mined:
        by_call[mined.sent.call].append(mined.gas)
        by_step[step(way, mined)] += mined.gas
        who = mined.sent.sender
        payers["owner" if who == owner else "data_owners" if who in data_owners else "provers"] += mined.gas
    functions = {
        call: {"calls": len(used), "gas": sum(used), "least": min(used), "most": max(used)}
        for call, used in sorted(by_call.items())
    }
    return {
        "session": sum(by_step.values()), "by_step": by_step, "by_call": functions,
        "payers": payers, "data_owner": payers["data_owners"] / len(data_owners),
        "transactions": len(gas.mined), "reverted": sum(not mined.ok for mined in gas.mined),
        "calldata": sum(mined.sent.size for mined in gas.mined), "blocks": len({mined.block for mined in gas.mined}),
    }  # fmt: skip


def time_of(way: Way, gas: Gas) -> dict[str, Any]:
    """Milliseconds that the chain took for a session, by step and together; of the empty block beside every block, and
    how many blocks each step shares: what noise is estimated from.

    Where the noise of a step is larger than it is, it can be below 0.
    """
    table, blocks = dict.fromkeys(map(str, Step), 0.0), defaultdict[str, set[int]](set)
    for mined, spent in zip(gas.mined, gas.times(), strict=True):
        table[step(way, mined)] += spent
        blocks[step(way, mined)].add(mined.block)
    return {
        "session": sum(table.values()), "by_step": table,
        "blocks": {name: len(blocks[name]) for name in table},
        "empty_ms": [round(gas.empty_ms[block], 4) for block in sorted(gas.empty_ms)],
    }  # fmt: skip
