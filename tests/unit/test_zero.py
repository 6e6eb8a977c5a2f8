"""Pseudo-random sharings: right degree, right zeros, hidden from any t, computed from one's own seeds only."""

from __future__ import annotations

from itertools import combinations
from math import comb

import pytest

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.fields.prg import expand
from protocols.sharing.rebuild import helper_message, rebuild
from protocols.sharing.robust import Undecodable, decode
from protocols.sharing.shamir import combine, share
from protocols.sharing.zero import Seeds, subsets, vanishing_share, zero_share

COMMITTEES = [(4, 1), (5, 1), (9, 2), (7, 3)]
LENGTH = 4


def all_seeds(n: int, t: int) -> dict[tuple[int, ...], bytes]:
    return {members: bytes(members).ljust(32, b"\x55") for members in subsets(n, t)}


def held_by(seeds: Seeds, point: int) -> dict[tuple[int, ...], bytes]:
    return {members: seed for members, seed in seeds.items() if point in members}


def zero_shares(n: int, t: int, seeds: Seeds, label: bytes = b"l") -> list[Vector]:
    return [zero_share(held_by(seeds, x), x, n, t, label, LENGTH) for x in range(1, n + 1)]


def vanishing_shares(n: int, t: int, seeds: Seeds, at: int, label: bytes = b"l") -> dict[int, Vector]:
    points = [x for x in range(1, n + 1) if x != at]
    return {x: vanishing_share(held_by(seeds, x), x, at, n, t, label, LENGTH) for x in points}


def test_subsets() -> None:
    assert subsets(4, 1) == ((1, 2, 3), (1, 2, 4), (1, 3, 4), (2, 3, 4))
    assert subsets(3, 0) == ((1, 2, 3),)
    assert len(subsets(9, 2)) == comb(9, 2)
    for n, t in ((3, 3), (3, -1), (0, 0)):
        with pytest.raises(ValueError, match="no sets"):
            subsets(n, t)


@pytest.mark.parametrize(("n", "t"), COMMITTEES)
def test_zero_sharing_has_degree_2t_and_value_zero(n: int, t: int) -> None:
    shares = zero_shares(n, t, all_seeds(n, t))
    first = list(range(1, 2 * t + 2))
    for chosen in (first, list(range(n - 2 * t, n + 1))):
        assert not combine(chosen, [shares[x - 1] for x in chosen]).any()
    for at in range(2 * t + 2, n + 1):
        assert combine(first, shares[: 2 * t + 1], at).tolist() == shares[at - 1].tolist()
    assert all(s.all() for s in shares)
    lower = list(range(1, 2 * t + 1))
    assert combine(lower, shares[: 2 * t]).all(), "the degree is not below 2t"


@pytest.mark.parametrize(("n", "t"), COMMITTEES)
def test_zero_sharing_is_random_to_any_t(n: int, t: int) -> None:
    """The one seed that a coalition of t lacks changes every other share and none of its own."""
    seeds = all_seeds(n, t)
    before = zero_shares(n, t, seeds)
    for coalition in list(combinations(range(1, n + 1), t))[:12]:
        outside = tuple(x for x in range(1, n + 1) if x not in coalition)
        after = zero_shares(n, t, seeds | {outside: b"\x66" * 32})
        for x in range(1, n + 1):
            same = before[x - 1] == after[x - 1]
            assert same.all() if x in coalition else not same.any()


@pytest.mark.parametrize(("n", "t"), COMMITTEES)
def test_vanishing_sharing_has_degree_t_and_its_zero(n: int, t: int) -> None:
    for at in (1, n):
        shares = vanishing_shares(n, t, all_seeds(n, t), at)
        points = sorted(shares)
        decoded = decode(points, [shares[x] for x in points], t, at)
        assert not decoded.values.any()
        assert decoded.error_points == ()
        assert combine(points, [shares[x] for x in points]).all(), "random at 0"


@pytest.mark.parametrize(("n", "t"), COMMITTEES)
def test_vanishing_sharing_uses_no_seed_of_the_party_it_is_for(n: int, t: int) -> None:
    for at in (1, n):
        seeds = {members: seed for members, seed in all_seeds(n, t).items() if at not in members}
        shares = vanishing_shares(n, t, seeds, at)
        assert [shares[x].tolist() for x in shares] == [
            s.tolist() for s in vanishing_shares(n, t, all_seeds(n, t), at).values()
        ]


@pytest.mark.parametrize(("n", "t"), COMMITTEES)
def test_vanishing_sharing_is_random_to_a_coalition_with_the_asker(n: int, t: int) -> None:
    """at and t - 1 others lack one seed of the sets used: it moves all other shares."""
    seeds, at = all_seeds(n, t), 2
    before = vanishing_shares(n, t, seeds, at)
    for others in list(combinations([x for x in range(1, n + 1) if x != at], t - 1))[:8]:
        outside = tuple(x for x in range(1, n + 1) if x != at and x not in others)
        after = vanishing_shares(n, t, seeds | {outside: b"\x66" * 32}, at)
        for x, value in before.items():
            assert (value == after[x]).all() == (x in others)


def test_labels_and_purposes_are_independent() -> None:
    seeds = all_seeds(5, 1)
    zero = [zero_shares(5, 1, seeds, label)[0].tolist() for label in (b"a", b"b", b"")]
    vanishing = [vanishing_shares(5, 1, seeds, at)[1].tolist() for at in (2, 3)]
    assert len({tuple(v) for v in zero + vanishing}) == 5


def test_longer_sharings_begin_alike() -> None:
    seeds = all_seeds(5, 1)
    assert zero_share(seeds, 3, 5, 1, b"l", 9)[:4].tolist() == zero_share(seeds, 3, 5, 1, b"l", 4).tolist()


def test_t_zero_needs_nothing() -> None:
    assert not zero_share({(1, 2, 3): bytes(32)}, 1, 3, 0, b"l", 2).any()


def test_missing_seeds_and_wrong_points() -> None:
    seeds = all_seeds(5, 1)
    short = dict(list(seeds.items())[1:])
    with pytest.raises(ValueError, match=r"set \(1, 2, 3, 4\)"):
        zero_share(short, 1, 5, 1, b"l", 1)
    with pytest.raises(ValueError, match=r"set \(1, 2, 3, 4\)"):
        vanishing_share(short, 1, 5, 5, 1, b"l", 1)
    assert zero_share(short, 5, 5, 1, b"l", 1).any(), "that seed is not one of point 5"
    for point in (0, 6):
        with pytest.raises(ValueError, match="not in"):
            zero_share(seeds, point, 5, 1, b"l", 1)
        with pytest.raises(ValueError, match="not in"):
            vanishing_share(seeds, 1, point, 5, 1, b"l", 1)
    with pytest.raises(ValueError, match="oneself"):
        vanishing_share(seeds, 2, 2, 5, 1, b"l", 1)


def test_products_open_to_the_product_and_nothing_else() -> None:
    """Local products plus zero: two factorisations with one product are opened by alike looking shares of degree 2t."""
    seeds = all_seeds(5, 1)
    a, b = expand(b"\x01" * 32, LENGTH), expand(b"\x02" * 32, LENGTH)
    local = [
        gl.mul(x, y)
        for x, y in zip(share(a, 1, range(1, 6), a.tobytes()), share(b, 1, range(1, 6), b.tobytes()), strict=True)
    ]
    masked = [gl.add(x, z) for x, z in zip(local, zero_shares(5, 1, seeds), strict=True)]
    assert decode(range(1, 6), masked, 2).values.tolist() == gl.mul(a, b).tolist()
    assert all((x != y).all() for x, y in zip(local, masked, strict=True))


def messages(at: int, shares: list[Vector], label: bytes = b"do") -> dict[int, Vector]:
    seeds = all_seeds(5, 1)
    return {x: helper_message(shares[x - 1], held_by(seeds, x), x, at, 5, 1, label) for x in range(1, 6) if x != at}


@pytest.mark.parametrize("at", range(1, 6))
def test_a_prover_rebuilds_its_share_although_one_helper_lies(at: int) -> None:
    shares = share(expand(b"\x03" * 32, LENGTH), 1, range(1, 6), b"\x04" * 32)
    sent = messages(at, shares)
    liar = max(sent)
    for lie in (False, True):
        if lie:
            sent[liar] = expand(b"\x05" * 32, LENGTH)
        decoded = rebuild(list(sent), list(sent.values()), 1, at)
        assert decoded.values.tolist() == shares[at - 1].tolist()
        assert decoded.error_points == ((liar,) if lie else ())


def test_the_rebuilding_prover_learns_only_its_share() -> None:
    """What it receives interpolates to noise at 0, not to the secret, and differs from every helper's share."""
    secret = expand(b"\x03" * 32, LENGTH)
    shares = share(secret, 1, range(1, 6), b"\x04" * 32)
    sent = messages(4, shares)
    assert (combine(list(sent), list(sent.values())) != secret).all()
    assert all((sent[x] != shares[x - 1]).all() for x in sent)
    assert all((sent[x] != messages(4, shares, b"other")[x]).all() for x in sent)


def test_rebuild_refuses() -> None:
    shares = share(gl.zeros(2), 1, range(1, 6), bytes(32))
    with pytest.raises(ValueError, match="asks and helps"):
        rebuild([1, 2, 3], shares[:3], 1, 3)
    with pytest.raises(Undecodable):
        rebuild([1, 2, 3], [gl.zeros(1), gl.zeros(1), gl.vector([1])], 1, 4)
