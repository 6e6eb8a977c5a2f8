"""Certificate zk: what follows from the proved values. The contract does the same sums (library Proofs).

Records go by increasing address, and so do the values, the bits of a mask, and who wins a tie of the rule on distances.
Three outcomes: fewer valid data owners than ``min_accepted`` need no proof at all; a rule without output, too few
accepted or no positive score need one, and give refunds; everything else has an output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocols.gram.distances import distances
from protocols.selection import rules, scores
from protocols.sessions.params import REFERENCE, Payout, Rule, SessionParams
from protocols.zk.params import Statement
from protocols.zk.statement import triangle

ONE_COPY = 1 << 128
"""What the contract adds to a score: the number of copies, which is 1 where distances are closed."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """mask: bit per record by address.  accepted: registration indices, ascending.

    scores: of the accepted, as the contract shows them, or nothing.  output: False means refunds.
    """

    mask: int
    accepted: tuple[int, ...]
    scores: tuple[int, ...]
    output: bool


def statement_of(params: SessionParams, valid: int) -> Statement:
    """What is proved of the set VALID. Without a valid reference there are no scores."""
    if params.statement is Statement.SCORE and not valid >> REFERENCE & 1:
        return Statement.NONE
    return params.statement


def by_address(addresses: Mapping[int, bytes]) -> list[int]:
    """Registration indices in the order of the records. addresses: of the data owners in VALID."""
    return sorted(addresses, key=addresses.__getitem__)


def judge(
    params: SessionParams, statement: Statement, order: Sequence[int], registered: int, values: Sequence[int]
) -> Judgement:
    """Who is accepted, and with what scores.

    statement: ``statement_of``.  order: ``by_address``.  registered: data owners.  values: GRAM the lower triangle, row
    by row; SCORE one per record; NONE nothing.
    """
    kept = _kept(params, statement, len(order), registered, values)
    mask = sum(1 << k for k in kept)
    accepted = sorted(order[k] for k in kept)
    if statement is not Statement.SCORE or params.payout is not Payout.CONTRIBUTION:
        return Judgement(mask, tuple(accepted), (), len(kept) >= params.min_accepted)
    phi = {order[k]: max(0, values[k]) for k in kept}
    weights = scores.weights([phi[k] for k in accepted], [1] * len(accepted), params.score_cap)
    output = len(kept) >= params.min_accepted and any(weights)
    return Judgement(mask, tuple(accepted), tuple(phi[k] + ONE_COPY for k in accepted), output)


def _kept(params: SessionParams, statement: Statement, count: int, registered: int, values: Sequence[int]) -> list[int]:
    """Places of the accepted among the records."""
    if statement is Statement.GRAM:
        return _selected(params, count, registered, values)
    if statement is Statement.SCORE and params.rule is Rule.TRUST:
        return scores.trust(dict(enumerate(values)))
    return list(range(count))


def _selected(params: SessionParams, count: int, registered: int, values: Sequence[int]) -> list[int]:
    """The rule on V: those whose squared norm, which is on the diagonal, keeps the bound."""
    gram = dict(zip(triangle(count), values, strict=True))
    within = [k for k in range(count) if 0 <= gram[k, k] <= params.bound**2]
    matrix = [[gram[max(k, j), min(k, j)] for j in within] for k in within]
    apart = distances(matrix, [1] * len(within))
    kept = rules.select(int(params.rule), apart, registered, len(within), params.mu_bps, params.m_krum)
    return [within[i] for i in kept or ()]
