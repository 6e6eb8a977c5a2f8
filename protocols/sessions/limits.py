"""Which numbers a session may have. The contract refuses the same, more coarsely; here a sentence names the way out."""

from __future__ import annotations

from math import isqrt

from protocols.fields.goldilocks import P
from protocols.gram.projections import WIDEST_WINDOW, WRAP_ALPHA_DEN, WRAP_ALPHA_NUM
from protocols.pine import params as pine
from protocols.selection.rules import MAX_GROUPS, corrupted
from protocols.selection.scores import INT128
from protocols.sessions.params import MOST_PROVED, MOST_VERIFIED, Mode, Payout, Rule, SessionParams
from protocols.zk.params import LARGEST_SIZE, NB_G

MOST_OWNERS = 256
MOST_COMPARED = 64
"""Data owners of a verified session whose rule compares all pairs."""
MOST_PROVERS = 16
MOST_FAULTY_PROVED = 2
"""The largest threshold of certificate ``zk``: dealing seeds takes a round more, and it has no phase QUERY."""
MOST_GROUP_SIZE = 32
MOST_DIMENSION = (1 << 24) - 1
MOST_DIMENSION_PROVED = ((1 << 28) - (1 << 16)) // 32 - NB_G
"""Of certificate ``zk``: a piece, 32 bytes for each coordinate and blinder, travels in one request of 256 MiB."""
PRIVATE_DIMENSION = 4096
"""Below it the projections say too much about a sum: the session must say ``public_sums``."""
LEAST_ACCEPTED = 3
LEAST_WINDOWS = (3, 10, 10)
"""Blocks of register, upload, settle."""
MOST_FRAC_BITS = 40
LARGEST_PROVED = LARGEST_SIZE // 2 - 1
"""The largest bound that certificate ``zk`` can prove: its table has a row for each value, of either sign."""


def largest_bound(dimension: int, group_size: int, groups: int) -> int:
    """The largest ``bound`` = floor(B 2^frac_bits) that goes with these numbers (0: none does).

    With M = groups * group_size members at most and S = 2 N - 1 in the largest group:
    sums and projections of all updates together stay below p/2: 2 * 2 * 8.7 M bound < p (the contract's margin);
    squared norms of a group's sum: 2 (S bound)^2 < p;
    and the window w = ceil(8.7 S bound) of the wrap-around test: w <= 2^28 and (2 d + 1) w < p (PINE's argument).
    """
    largest_group = min(2 * group_size - 1, groups * group_size)
    members = groups * group_size
    by_field = (P * WRAP_ALPHA_DEN - 1) // (4 * WRAP_ALPHA_NUM * members)
    by_norm = isqrt((P - 1) // 2) // (2 * group_size - 1)
    window = min(WIDEST_WINDOW, (P - 1) // (2 * dimension + 1))
    by_window = window * WRAP_ALPHA_DEN // (WRAP_ALPHA_NUM * largest_group)
    return max(0, min(by_field, by_norm, by_window))


def check_params(params: SessionParams) -> None:
    """ValueError, with a sentence that names the number and what is allowed, unless the session may be created."""
    _check_sizes(params)
    _check_committee(params)
    _check_rule(params)
    _check_payout(params)
    _check_windows(params)
    _check_field(params)


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}; it must be between {least} and {most}")


def _check_sizes(p: SessionParams) -> None:
    if p.mode not in (Mode.GROUPED, Mode.VERIFIED):
        raise ValueError(f"mode {p.mode} is not known")
    if p.zk and p.mode != Mode.VERIFIED:
        raise ValueError("certificate zk proves single updates: it goes with mode verified only")
    if p.mode == Mode.VERIFIED:
        most = MOST_PROVED if p.zk else MOST_COMPARED if _compares(p.rule) else MOST_VERIFIED
        _within("group_size", p.group_size, 1, 1)
        _within("data_owners", p.groups, LEAST_ACCEPTED, most)
    else:
        _within("group_size", p.group_size, 2, MOST_GROUP_SIZE)
        _within("groups", p.groups, 1, min(MAX_GROUPS, MOST_OWNERS // p.group_size))
    _within("min_accepted", p.min_accepted, LEAST_ACCEPTED, p.groups * p.group_size)
    _within("reward", p.reward, 1, 2**128 - 1)
    _within("prover_fee", p.prover_fee, 0, 2**128 - 1)
    _within("deposit", p.deposit, 0, 2**128 - 1)


def _check_committee(p: SessionParams) -> None:
    if p.zk and p.threshold > MOST_FAULTY_PROVED:
        raise ValueError(
            f"threshold is {p.threshold}; under certificate zk it must be between 1 and {MOST_FAULTY_PROVED}: its "
            "phases give time to agree on seeds among no more faulty provers"
        )
    _within("threshold", p.threshold, 1, (MOST_PROVERS - 1) // 4)
    _within("committee", p.committee, 4 * p.threshold + 1, MOST_PROVERS)


def _check_rule(p: SessionParams) -> None:
    _within("mu_bps", p.mu_bps, 0, 9999)
    if p.mode == Mode.GROUPED and p.rule == Rule.TRUST:
        raise ValueError("rule trust judges single updates: it goes with mode verified only")
    if not _compares(p.rule):
        return
    faulty = corrupted(p.groups, p.mu_bps)
    if p.groups < faulty + 3:
        raise ValueError(
            f"{'groups' if p.mode == Mode.GROUPED else 'data_owners'} is {p.groups}; with mu = {p.mu_bps / 10_000} "
            f"and a selection rule at least {faulty + 3} are needed"
        )
    if p.rule == Rule.M_KRUM:
        _within("m_krum", p.m_krum, 1, p.groups - faulty - 2)


def _compares(rule: Rule) -> bool:
    """Whether the rule is one on distances of all pairs."""
    return rule not in (Rule.NONE, Rule.TRUST)


def _check_payout(p: SessionParams) -> None:
    if p.payout == Payout.EQUAL:
        _within("score_cap", p.score_cap, 0, 0)
        return
    if p.mode == Mode.GROUPED:
        raise ValueError("payout by contribution scores single updates: it goes with mode verified only")
    if p.zk and _compares(p.rule):
        raise ValueError(
            "under certificate zk a rule on distances proves no scores: pay equally, or choose rule trust or none"
        )
    _within("score_cap", p.score_cap, 1, INT128 - 1)


def _check_windows(p: SessionParams) -> None:
    names = ("register_blocks", "upload_blocks", "settle_blocks")
    for name, least in zip(names, LEAST_WINDOWS, strict=True):
        _within(name, getattr(p, name), least, 2**16 - 1)


def _check_field(p: SessionParams) -> None:
    if p.zk and p.dimension > MOST_DIMENSION_PROVED:
        raise ValueError(
            f"dimension is {p.dimension}; under certificate zk at most {MOST_DIMENSION_PROVED}: a share of an update "
            "has 32 bytes for each coordinate, and a node takes no larger request"
        )
    _within("dimension", p.dimension, 1, MOST_DIMENSION)
    _within("frac_bits", p.frac_bits, 0, MOST_FRAC_BITS)
    most = most_bound(p)
    if p.mode == Mode.VERIFIED:
        if p.public_sums:
            raise ValueError("public_sums goes with mode grouped only: here no sum but the output is opened")
        if not 1 <= p.bound <= most:
            raise ValueError(
                f"bound is {p.bound} in units of 2^-{p.frac_bits}; the largest that can be proved with "
                f"d = {p.dimension} is {most} (lower frac_bits or the bound itself)"
            )
        return
    if p.dimension < PRIVATE_DIMENSION and not p.public_sums:
        raise ValueError(
            f"dimension is {p.dimension}; below {PRIVATE_DIMENSION} the checks reveal sums of groups to the provers: "
            "say public_sums if that is fine"
        )
    if not 1 <= p.bound <= most:
        raise ValueError(
            f"bound is {p.bound} in units of 2^-{p.frac_bits}; the largest allowed with d = {p.dimension}, "
            f"{p.groups} groups of {p.group_size} is {most} (lower frac_bits or the bound itself)"
        )


def most_bound(p: SessionParams) -> int:
    """The largest ``bound`` that goes with the other numbers of a session."""
    if p.mode == Mode.VERIFIED:
        return LARGEST_PROVED if p.zk else pine.largest_bound(p.dimension)
    return largest_bound(p.dimension, p.group_size, p.groups)
