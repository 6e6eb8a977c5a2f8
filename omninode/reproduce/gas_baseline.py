"""A session of the on-chain baseline beside ours: the same data owners, the same chain, its result checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from omninode.reproduce.gas_terms import MU_BPS, most_picks
from omninode.reproduce.onchain_stage import OnchainPlay, play
from omninode.reproduce.stage.blocks import Gas
from omninode.reproduce.stage.session import PROVERS, Place
from protocols.onchain import lanes
from protocols.onchain.krum import distances, kept_rounds

Model = npt.NDArray[np.float64]
DEVIATION = 0.05
"""Of the weights: about what trained ones have."""


async def baseline(
    where: Place, rounds: int, group_size: int, dimension: int, times: int
) -> tuple[Gas, dict[str, Any]]:
    """One session; as many rounds are selected as in ours, at least one: it never refuses a number of rounds.

    RuntimeError unless m-Krum's rounds were selected and added up.
    """
    members, picks = rounds * group_size, max(1, most_picks(rounds))
    rng = np.random.default_rng(members)
    models = {k: DEVIATION * rng.standard_normal(dimension) for k in range(members)}
    wallets = [where.wallets[0], *where.wallets[1 + PROVERS :]]
    played = await play(
        where.client, where.factory, wallets, dimension, rounds, group_size,
        m_krum=picks, mu_bps=MU_BPS, models=models, timings=where.timings(times),
    )  # fmt: skip
    check(played, models)
    return played.gas, {"rule": "m_krum", "m": picks, "accepted": played.count}


def check(played: OnchainPlay, models: dict[int, Model]) -> None:
    """RuntimeError unless the contract kept the rounds that m-Krum keeps, and has their sum. Everybody took part."""
    view, by_wallet = played.view, dict(zip(played.data_owners, models.values(), strict=True))
    assert view.training is not None
    sums: list[lanes.Lanes] = []
    for number in range(view.training.rounds):
        of_round = [member.address for member in view.members if view.round_of(member.place) == number]
        encoded = [lanes.encode(by_wallet[who], len(models)) for who in of_round]
        sums.append(np.stack(encoded).sum(axis=0, dtype=np.uint64))
    kept = kept_rounds(range(len(sums)), distances(sums), len(sums), view.p.mu_bps, view.p.m_krum)
    if tuple(view.rounds(view.selected)) != kept:
        raise RuntimeError(f"the contract selects {view.rounds(view.selected)}, m-Krum {kept}")
    if played.total is None or not np.array_equal(played.total, np.sum([sums[r] for r in kept], 0, dtype=np.uint64)):
        raise RuntimeError("the contract's sum is wrong")
