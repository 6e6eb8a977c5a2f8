"""Distances of group means from the inner products of group sums, exactly, as integers (design: ROUNDS, step 6)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import isqrt, lcm


def distances(gram_signed: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[list[int]]:
    """L^2 ||A_r/|U_r| - A_s/|U_s|||^2 for every pair of groups, L = lcm of the sizes, from their inner products.

    D_rs = c_r^2 G_rr + c_s^2 G_ss - 2 c_r c_s G_rs with c_r = L / sizes[r].
    gram_signed: (R, R) inner products of the groups' sums, lifted to signed integers.  sizes: |U_r| > 0.
    Symmetric, zero diagonal. ValueError if shapes differ or a size is not positive.
    """
    count = len(sizes)
    if len(gram_signed) != count or any(len(row) != count for row in gram_signed) or any(u < 1 for u in sizes):
        raise ValueError(f"{count} positive sizes and a matrix of as many rows and columns were expected")
    common = lcm(*sizes)
    c = [common // u for u in sizes]
    out = [[0] * count for _ in sizes]
    for r, s in combinations(range(count), 2):
        out[r][s] = out[s][r] = (
            c[r] ** 2 * gram_signed[r][r] + c[s] ** 2 * gram_signed[s][s] - 2 * c[r] * c[s] * gram_signed[r][s]
        )
    return out


def upper(matrix: Sequence[Sequence[int]]) -> list[int]:
    """The upper triangle without the diagonal, row by row: D01, D02, .., D12, .. as the contract takes it."""
    return [matrix[r][s] for r, s in combinations(range(len(matrix)), 2)]


def from_upper(count: int, flat: Sequence[int]) -> list[list[int]]:
    """The symmetric (count, count) matrix with zero diagonal behind ``upper``. ValueError if the length is wrong."""
    if count < 0 or len(flat) != count * (count - 1) // 2:
        raise ValueError(f"{len(flat)} distances do not fill the upper triangle of {count} groups")
    out = [[0] * count for _ in range(count)]
    for (r, s), value in zip(combinations(range(count), 2), flat, strict=True):
        out[r][s] = out[s][r] = value
    return out


def groups_of(flat: Sequence[int]) -> int:
    """How many groups an upper triangle is for (0 entries: 1). ValueError if its length is no triangular number."""
    count = (1 + isqrt(1 + 8 * len(flat))) // 2
    if count * (count - 1) // 2 != len(flat):
        raise ValueError(f"{len(flat)} is not the number of pairs of anything")
    return count
