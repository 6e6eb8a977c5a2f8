"""Which groups are kept, from the integer distances of their means. The contract recomputes the same (R' <= 16).

R: groups as created, R': groups that passed the norm and wrap-around tests, D: their R' x R' distances (symmetric, zero
diagonal, non-negative integers), "index": position 0 .. R' - 1 among the groups that passed, in ascending group number.
Everything is integer arithmetic.

1. R' = 0: no output. Rule ``none``: all R' indices are kept; nothing else matters.
2. Otherwise f = max(0, floor(mu_bps R / 10000) - (R - R')). R' < f + 3: no output. From here k = R' - f - 2 is at least
   1, and the score S(r) is the sum of the k smallest of { D[r][s] : s != r }.
3. ``outlier`` (Proof of Contribution's outlier removal): M = lower median of the scores, that is the one at position
   floor((R' - 1)/2), from 0, in ascending order. Candidates: r with 4 S(r) > 9 M, strictly. Candidates are ordered by S
   descending and, among equal S, by index descending; the first f of that order are dropped (all, if there are no
   more).
4. ``multi-krum`` (Blanchard et al. 2017): order by S ascending, among equal S by index ascending; the first R' - f
   are kept.
5. ``m-krum`` (OmniLytics 2021, Algorithm 1): m' = min(m, k); m' = 0: no output. T = all indices; m' times: with
   kT = max(1, |T| - f - 2), S_T(r) = sum of the kT smallest of { D[r][s] : s in T, s != r } (0 if |T| = 1); the r of
   lowest S_T, among equal the lowest index, moves from T to the kept ones. (m' <= k means |T| >= f + 3 throughout: the
   floor is never reached.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

NONE, OUTLIER, MULTI_KRUM, M_KRUM = range(4)
"""The rules' numbers, as in ``sessions.params.Rule`` and the contract."""
MAX_GROUPS = 16
"""The most groups that the contract's selection takes."""
BPS = 10_000
"""mu is given in units of 1/10000."""


def corrupted(created: int, mu_bps: int) -> int:
    """floor(mu R): how many of the groups created may be bad."""
    return mu_bps * created // BPS


def select(
    rule: int, distances: Sequence[Sequence[int]], created: int, passed: int, mu_bps: int, m: int
) -> tuple[int, ...] | None:
    """Indices that are kept, ascending, never empty; None: no output (refunds). Rules and ties: see the module.

    distances: (passed, passed).  created: R.  mu_bps: mu in 1/10000.  m: of m-Krum, else ignored.
    ValueError for an unknown rule, passed > created, negative arguments or a matrix of another shape.
    """
    if not NONE <= rule <= M_KRUM or not 0 <= passed <= created or mu_bps < 0 or m < 0:
        raise ValueError(f"rule {rule}, {passed} of {created} groups, mu {mu_bps}, m {m}")
    if len(distances) != passed or any(len(row) != passed for row in distances):
        raise ValueError(f"distances of {passed} groups were expected")
    if passed == 0:
        return None
    if rule == NONE:
        return tuple(range(passed))
    f = max(0, corrupted(created, mu_bps) - (created - passed))
    if passed < f + 3:
        return None
    if rule == M_KRUM:
        return _m_krum(distances, f, m)
    scores = _scores(distances, range(passed), f)
    return _outlier(scores, f) if rule == OUTLIER else _multi_krum(scores, f)


def _scores(distances: Sequence[Sequence[int]], among: Iterable[int], f: int) -> dict[int, int]:
    """Krum's score of each group within the set ``among``."""
    members = list(among)
    nearest = max(1, len(members) - f - 2)
    return {r: sum(sorted(distances[r][s] for s in members if s != r)[:nearest]) for r in members}


def _outlier(scores: dict[int, int], f: int) -> tuple[int, ...]:
    median = sorted(scores.values())[(len(scores) - 1) // 2]
    candidates = [r for r, s in scores.items() if 4 * s > 9 * median]
    dropped = sorted(candidates, key=lambda r: (scores[r], r), reverse=True)[:f]
    return tuple(r for r in scores if r not in dropped)


def _multi_krum(scores: dict[int, int], f: int) -> tuple[int, ...]:
    return tuple(sorted(sorted(scores, key=lambda r: (scores[r], r))[: len(scores) - f]))


def _m_krum(distances: Sequence[Sequence[int]], f: int, m: int) -> tuple[int, ...] | None:
    rest = list(range(len(distances)))
    kept: list[int] = []
    for _ in range(min(m, len(rest) - f - 2)):
        scores = _scores(distances, rest, f)
        best = min(rest, key=lambda r: (scores[r], r))
        rest.remove(best)
        kept.append(best)
    return tuple(sorted(kept)) or None


def guarantees(rule: int, created: int, mu_bps: int, m: int, what: str = "groups") -> tuple[bool, str]:
    """Whether the papers' guarantee holds for these numbers, and a sentence for the user that says why.

    created: R.  what: of what there are R, in words.  ValueError for rules that are not of this module.

    Krum's (Blanchard et al. 2017): 2f + 2 < R with f = floor(mu R). OmniLytics' for m-Krum adds m < (1 - 2 mu)R - 2, mu
    < 1/2. ``outlier`` rests on the same majority condition. ``none`` promises nothing.
    """
    if not NONE <= rule <= M_KRUM:
        raise ValueError(f"rule {rule} is none of distances")
    f = corrupted(created, mu_bps)
    if rule == NONE:
        return False, f"no selection: one bad of {created} {what} spoils the result"
    if 2 * f + 2 >= created:
        return False, f"2f + 2 < R does not hold: f = {f} of R = {created} {what} may be bad"
    if rule == M_KRUM:
        most = Fraction((BPS - 2 * mu_bps) * created, BPS) - 2
        if mu_bps * 2 >= BPS or not m < most:
            return False, f"m < (1 - 2 mu)R - 2 does not hold: m = {m}, the right side is {float(most):g}"
        return True, f"2f + 2 < R and m < (1 - 2 mu)R - 2 hold: f = {f}, R = {created}, m = {m}"
    return True, f"2f + 2 < R holds: f = {f}, R = {created}"
