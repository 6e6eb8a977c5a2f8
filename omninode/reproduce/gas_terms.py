"""Terms of the sessions whose gas is compared: the paper's R rounds of N data owners, as each of our modes has them."""

from __future__ import annotations

from dataclasses import replace

from omninode.reproduce.gas_steps import Way
from omninode.reproduce.stage import session as stage
from protocols.selection.rules import corrupted
from protocols.sessions.limits import LEAST_ACCEPTED
from protocols.sessions.params import Rule, SessionParams

MU_BPS = 2500
"""The paper's mu = 25 %: of the rounds, the part that may be corrupted."""


def most_picks(rounds: int) -> int:
    """The largest m that m-Krum may have with these rounds, 0 where the rule does not go with so few of them.

    Our contract asks for R >= floor(mu R) + 3 and m <= R - floor(mu R) - 2, so that every round that is compared has a
    neighbour. (The paper's m < (1 - 2 mu) R - 2 leaves none for its own R = 2, 4, 6.)
    """
    return max(0, rounds - corrupted(rounds, MU_BPS) - 2)


def grouped(rounds: int, group_size: int, dimension: int) -> SessionParams:
    """m-Krum with the largest m; rule none where that is not admitted, or would accept too few data owners."""
    picks = most_picks(rounds)
    rule = Rule.M_KRUM if picks * group_size >= LEAST_ACCEPTED else Rule.NONE
    params = stage.grouped(dimension, rounds, group_size)
    return replace(params, rule=rule, mu_bps=MU_BPS, m_krum=picks if rule == Rule.M_KRUM else 0)


def verified(rounds: int, group_size: int, dimension: int) -> SessionParams:
    """As many data owners, each judged by itself: rule trust and pay by contribution, the usual ones of the mode."""
    return stage.verified(dimension, rounds * group_size)


def terms_of(way: Way, rounds: int, group_size: int, dimension: int) -> SessionParams:
    """Of a session off chain. ValueError for the baseline, which has other terms."""
    if way == Way.ONCHAIN:
        raise ValueError("the baseline's terms are its own")
    return (grouped if way == Way.GROUPED else verified)(rounds, group_size, dimension)
