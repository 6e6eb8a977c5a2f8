"""Who is summed under rule ``trust``, and who is paid how much: integers only. The contract recomputes the same.

g_k: update of data owner k, ref: the model owner's reference update, both integer vectors with |.| <= B. G_kl = <g_k,
g_l> and phi_k = <g_k, ref> are lifted to signed integers before they come here and fit int128 (|phi_k| <= B^2).

1. ``trust``: of the valid data owners exactly those with phi_k > 0 are accepted, ascending.
2. ``copies``, only where distances are open: k and l are related iff 100 G_kl^2 > 81 G_kk G_ll, strictly (|cos| > 0.9).
   c_k is the size of k's connected component of this relation among the accepted; 1 for who is related to nobody. A
   zero vector is related to nobody: both sides are 0. Where distances are closed, every c_k = 1.
3. ``weights``: w_k = floor(min(max(0, phi_k), cap) / c_k). cap: the session's, > 0, the same for all identities.
4. ``payouts``: W = sum of the w_k of the accepted; W = 0: no output (refunds). Else pay_k = floor(reward w_k / W).
5. ``equal_pay``: floor(reward / drawn) for each accepted (under ``trust``: each valid) data owner. drawn: how many were
   drawn, in mode ``verified`` how many registered; never how many survived, so that nobody gains by sabotage.

What the floors leave returns to the model owner. Judging by the similarity with an update from data that the owner
trusts is FLTrust's idea (Cao et al. 2021). What identities under one hand can take: docs/contribution.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

INT128 = 1 << 127
"""Scores lie in [-2^127, 2^127)."""
MAX_REWARD = 1 << 128
"""Rewards lie below it, so that reward * w_k fits the contract's 256 bits."""
COPY_NUM, COPY_DEN = 81, 100
"""cos^2 above which two updates are copies: 0.81."""


def trust(products: Mapping[int, int]) -> list[int]:
    """Indices with <g_k, ref> > 0, ascending; the others have weight 0 in the sum.

    products: index of every valid data owner -> phi_k. ValueError if one does not fit int128.
    """
    _fit(products.values())
    return sorted(k for k, phi in products.items() if phi > 0)


def copies(gram: Sequence[Sequence[int]], accepted: Sequence[int]) -> dict[int, int]:
    """c_k of every accepted index: how many updates share one payout with k, k included.

    gram: (K, K) signed inner products, symmetric.  accepted: distinct indices below K.
    ValueError if the matrix is not square, not symmetric among the accepted, or an index is wrong.
    """
    count = len(gram)
    if any(len(row) != count for row in gram) or len(set(accepted)) != len(accepted):
        raise ValueError("a square matrix and distinct indices were expected")
    if any(not 0 <= k < count for k in accepted) or any(gram[k][j] != gram[j][k] for k in accepted for j in accepted):
        raise ValueError(f"indices below {count} and a symmetric matrix were expected")
    component = {k: {k} for k in accepted}
    for k in accepted:
        for j in accepted:
            if component[k] is not component[j] and related(gram[k][j], gram[k][k], gram[j][j]):
                merged = component[k] | component[j]
                component.update(dict.fromkeys(merged, merged))
    return {k: len(component[k]) for k in sorted(accepted)}


def related(product: int, norm_a: int, norm_b: int) -> bool:
    """Whether two updates count as copies: 100 G_kl^2 > 81 G_kk G_ll. product: G_kl.  norms: G_kk, G_ll."""
    return COPY_DEN * product * product > COPY_NUM * norm_a * norm_b


def weights(scores: Sequence[int], copies: Sequence[int], cap: int) -> list[int]:
    """w_k = floor(min(max(0, phi_k), cap) / c_k), in the order given.

    scores: phi_k of the accepted, int128.  copies: c_k >= 1, as many.  cap: 0 < cap < 2^127.
    ValueError for anything else.
    """
    if len(scores) != len(copies) or any(c < 1 for c in copies) or not 0 < cap < INT128:
        raise ValueError(f"{len(scores)} scores need as many positive counts and a cap above 0, not {cap}")
    _fit(scores)
    return [min(max(0, phi), cap) // c for phi, c in zip(scores, copies, strict=True)]


def payouts(reward: int, weights: Sequence[int]) -> list[int] | None:
    """floor(reward w_k / sum of w), in wei; None if the sum is 0: the session has no output and refunds.

    reward: 0 <= reward < 2^128.  weights: w_k >= 0. ValueError for other numbers.
    """
    if not 0 <= reward < MAX_REWARD or any(not 0 <= w < INT128 for w in weights):
        raise ValueError("reward or a weight is negative or does not fit the contract's integers")
    total = sum(weights)
    return [reward * w // total for w in weights] if total else None


def equal_pay(reward: int, drawn: int) -> int:
    """floor(reward / drawn), in wei, for each data owner that is paid. drawn: registered identities, >= 1."""
    if not 0 <= reward < MAX_REWARD or drawn < 1:
        raise ValueError(f"a reward of {reward} cannot be split among {drawn}")
    return reward // drawn


def _fit(scores: Iterable[int]) -> None:
    if any(not -INT128 <= phi < INT128 for phi in scores):
        raise ValueError("a score does not fit int128")
