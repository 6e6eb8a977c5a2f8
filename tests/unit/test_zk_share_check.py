"""Shares against commitments: what data owners and provers can do wrong, and who is convicted (PROOFS 16)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.bn254 import fr, g1
from protocols.bn254.fr import Vector
from protocols.sessions.zk_complaints import LEAST, WORK
from protocols.zk import pieces, share_check, sharing
from protocols.zk.key import Key
from protocols.zk.share_check import Search, Verdict, check_shares, check_sum, judge, sum_commitment
from protocols.zk.sharing import Dealing, Sharing
from tests.unit.zk_shares import COMMITTEE, PARAMS, SESS, small_key

ADDRESS = 0x1234
POINTS = range(1, COMMITTEE + 1)


@pytest.fixture(scope="module")
def key() -> Key:
    return small_key()


def random_vector(k: int) -> Vector:
    return pieces.expand(bytes([k]) * 32, PARAMS.length)


class Owner:
    """A data owner that does as it is told."""

    def __init__(self, key: Key, k: int, threshold: int = 1) -> None:
        self.secret = random_vector(k)
        self.seed = bytes([k + 100]) * 32
        self.sharing = sharing.deal(self.secret, threshold, self.seed)
        self.shares = {point: self.sharing.share(point) for point in POINTS}
        self.c = sharing.commit(key, self.secret)
        self.c_e = self.sharing.commitments(key)

    def plain(self, point: int) -> bytes:
        threshold = self.sharing.threshold
        if point <= threshold:
            return bytes([point]) * 32 + sharing.seeds_of(threshold, self.seed)[point - 1]
        return bytes([point]) * 32 + fr.to_bytes(self.shares[point])

    @property
    def dealing(self) -> Dealing:
        """Commits to the shares as they are, good or bad."""
        leaves = [pieces.leaf(SESS, ADDRESS, p, bytes([p]) * 32, fr.to_bytes(self.shares[p])) for p in POINTS]
        return Dealing(self.c, self.c_e, tuple(leaves))


@cache
def honest_owner(k: int) -> Owner:
    return Owner(small_key(), k)


@pytest.fixture
def owners() -> list[Owner]:
    return [honest_owner(k) for k in range(7)]


class Shelf:
    """Hands out shares one at a time and counts how often."""

    def __init__(self, shares: list[Vector]) -> None:
        self.shares, self.reads = shares, [0] * len(shares)

    def __call__(self, k: int) -> Vector:
        self.reads[k] += 1
        return self.shares[k]


def off_by_one(vector: Vector, where: int) -> Vector:
    changed = vector.copy()
    changed[where : where + 1] = fr.shift(vector[where : where + 1], 1)
    return changed


def test_good_shares_pass_and_each_is_read_once(key: Key, owners: list[Owner], seed: bytes) -> None:
    for point in POINTS:
        shelf = Shelf([owner.shares[point] for owner in owners])
        assert check_shares(key, point, shelf, [owner.dealing for owner in owners], seed) == set()
        assert shelf.reads == [1] * len(owners)


def test_no_shares(key: Key, seed: bytes) -> None:
    assert check_shares(key, 1, Shelf([]), [], seed) == set()


@settings(max_examples=12)
@given(
    bad=st.sets(st.integers(0, 6), min_size=1), where=st.integers(0, PARAMS.length - 1), point=st.sampled_from(POINTS)
)
def test_bad_shares_are_found_by_bisection(bad: set[int], where: int, point: int) -> None:
    owners = [honest_owner(k) for k in range(7)]
    shares = [off_by_one(o.shares[point], where) if k in bad else o.shares[point] for k, o in enumerate(owners)]
    shelf = Shelf(shares)
    assert check_shares(small_key(), point, shelf, [owner.dealing for owner in owners], bytes(32)) == bad
    assert max(shelf.reads) <= 4  # once, and at most once for each of the three halvings of seven


@settings(max_examples=8)
@given(bad=st.sets(st.integers(0, 6)), most=st.integers(1, 3))
def test_bad_shares_are_found_step_by_step(bad: set[int], most: int) -> None:
    """What is known only grows, and a step reads no share more often than it multiplies."""
    owners = [honest_owner(k) for k in range(7)]
    shelf = Shelf([off_by_one(o.shares[2], 0) if k in bad else o.shares[2] for k, o in enumerate(owners)])
    search = Search(small_key(), 2, shelf, [owner.dealing for owner in owners], bytes(32))
    steps = 0
    while not search.done:
        known, reads = len(search.bad) + len(search.good), sum(shelf.reads)
        search.advance(most)
        steps += 1
        assert search.bad <= bad and not search.good & bad and known <= len(search.bad) + len(search.good)
        assert sum(shelf.reads) - reads <= 7 * most
    assert search.bad == bad and len(search.good) == 7 - len(bad) and steps <= -(-7 // most)
    search.advance(most)
    assert Search(small_key(), 2, shelf, [], bytes(32)).done


def searched(bad: set[int], steps: int, most: int) -> Search:
    """Among 64 shares, with the set of the bad ones of a range instead of a point; not more than 64 multiplications."""

    class Counting(Search):
        spent = 0

        def _excess(self, start: int, stop: int) -> g1.Points:
            self.spent += 1
            return np.array([sum(1 << k for k in bad if start <= k < stop)], dtype=object)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share_check, "g1", SimpleNamespace(add=np.add, neg=np.negative))
        search = Counting(small_key(), 2, lambda _: fr.zeros(0), [honest_owner(0).dealing] * 64, bytes(32))
        for _ in range(steps):
            search.advance(most)
    assert search.bad <= bad and not search.good & bad and search.spent <= min(64, steps * most)
    return search


@settings(max_examples=30, deadline=None)
@given(bad=st.sets(st.integers(0, 63)))
def test_a_short_phase_judges_all_shares(bad: set[int]) -> None:
    """Eight blocks have five steps. 64 shares of 2^17 rows, however many are bad."""
    assert searched(bad, 5, WORK >> 17).done


@pytest.mark.parametrize("bad", [{0, 16, 32, 48}, {0, 15, 30, 45}, {5}, {7, 40}])
def test_the_largest_ranges_come_first(bad: set[int]) -> None:
    """2^20 rows: too few steps for four bad shares, and at most one good one left out beside each."""
    assert len(searched(bad, 5, LEAST).good) >= 64 - 2 * len(bad)


def test_errors_that_cancel_in_the_sum_are_found(key: Key, owners: list[Owner], seed: bytes) -> None:
    """One share too large by something and another too small by the same: the factors tell them apart."""
    shares = [owner.shares[3] for owner in owners]
    change = random_vector(77)
    shares[1], shares[2] = fr.add(shares[1], change), fr.sub(shares[2], change)
    dealings = [owner.dealing for owner in owners]
    assert fr.total(fr.combine([1] * 7, shares)) == fr.total(fr.combine([1] * 7, [o.shares[3] for o in owners]))
    assert check_shares(key, 3, Shelf(shares), dealings, seed) == {1, 2}


def test_a_share_for_another_point_is_bad(key: Key, owners: list[Owner], seed: bytes) -> None:
    shares = [owner.shares[4 if k == 5 else 2] for k, owner in enumerate(owners)]
    assert check_shares(key, 2, Shelf(shares), [owner.dealing for owner in owners], seed) == {5}


def test_a_wrong_length_is_an_error_of_the_caller(key: Key, owners: list[Owner], seed: bytes) -> None:
    with pytest.raises(ValueError, match="lengths"):
        check_shares(key, 1, Shelf([fr.zeros(3)]), [owners[0].dealing], seed)


def padded_commitment(key: Key, vector: Vector, padding: dict[int, int]) -> g1.Point:
    """com of a vector whose padding is not zero."""
    values = fr.zeros(PARAMS.size)
    values[: PARAMS.dimension] = vector[:-6]
    for row, value in padding.items():
        values[row : row + 1] = fr.single(value)
    return key.commit_values(values, vector[-6:])


def test_padding_that_is_not_zero_is_seen_by_every_prover(key: Key, owners: list[Owner], seed: bytes) -> None:
    """Also where its sum is zero: shares have no padding, so no share fits the commitment."""
    cheat = Owner(key, 60)
    cheat.c = padded_commitment(key, cheat.secret, {30: 1, 31: -1})
    dealings = [owners[0].dealing, cheat.dealing]
    for point in POINTS:
        shares = [owners[0].shares[point], cheat.shares[point]]
        assert check_shares(key, point, Shelf(shares), dealings, seed) == {1}


def test_a_dealing_of_degree_2t_is_seen(key: Key, seed: bytes) -> None:
    """C_1 as if it were of degree 1: whoever does not happen to lie on that line sees it."""
    cheat = Owner(key, 61, threshold=2)
    real = cheat.c_e
    cheat.c_e = real[:1]
    bad = [bool(check_shares(key, p, Shelf([cheat.shares[p]]), [cheat.dealing], seed)) for p in POINTS]
    assert all(bad)
    line = Sharing(cheat.secret, [cheat.shares[1]])  # the best it can do: the shares at t points fit
    cheat.c_e = line.commitments(key)
    bad = [bool(check_shares(key, p, Shelf([cheat.shares[p]]), [cheat.dealing], seed)) for p in POINTS]
    assert bad == [False, True, True, True, True]


def test_a_wrong_commitment_of_the_sharing_is_seen(key: Key, owners: list[Owner], seed: bytes) -> None:
    owner = owners[0]
    for wrong in (g1.GENERATOR, g1.INFINITY, owner.c):
        dealing = replace(owner.dealing, c_e=(wrong,))
        for point in POINTS:
            assert check_shares(key, point, Shelf([owner.shares[point]]), [dealing], seed) == {0}


@pytest.mark.parametrize("threshold", [1, 2])
def test_sums_of_shares(key: Key, threshold: int) -> None:
    owners = [Owner(key, 20 + k, threshold) for k in range(4)]
    dealings = [owner.dealing for owner in owners]
    for point in POINTS:
        total = fr.combine([1] * 4, [owner.shares[point] for owner in owners])
        assert check_sum(key, point, total, dealings)
        assert not check_sum(key, point, off_by_one(total, 29), dealings)
        assert not check_sum(key, point, total, dealings[:3])
        assert not check_sum(key, point % 5 + 1, total, dealings)
        assert not check_sum(key, point, total[:-1], dealings)
        assert not check_sum(key, point, fr.zeros(0), dealings)
        assert check_sum(key, point, owners[0].shares[point], dealings[:1])  # a share that was rebuilt


def test_commitments_of_sums(key: Key, owners: list[Owner]) -> None:
    dealings = [owner.dealing for owner in owners[:3]]
    factors = [5, 1, 2**200]
    expected = sharing.commit(key, fr.combine(factors, [owner.shares[4] for owner in owners[:3]]))
    assert sum_commitment(dealings, 4, factors) == expected
    assert sum_commitment([], 4) == g1.INFINITY
    aggregate = sharing.commit(key, fr.combine([1, 1, 1], [owner.secret for owner in owners[:3]]))
    assert sum_commitment(dealings, 0) == aggregate  # at 0: of the vectors themselves


def complain(key: Key, owner: Owner, point: int, plain: bytes | None = None) -> Verdict:
    return judge(key, SESS, ADDRESS, point, owner.dealing, owner.plain(point) if plain is None else plain)


@pytest.mark.parametrize("point", POINTS)
def test_a_prover_that_complains_of_a_good_share_lied(key: Key, owners: list[Owner], point: int) -> None:
    assert complain(key, owners[0], point) is Verdict.PROVER


@pytest.mark.parametrize("point", [2, 3, 4, 5])
def test_a_data_owner_that_committed_to_a_bad_share_is_out(key: Key, point: int) -> None:
    cheat = Owner(key, 62)
    cheat.shares[point] = off_by_one(cheat.shares[point], 7)
    assert complain(key, cheat, point) is Verdict.DATA_OWNER
    assert all(complain(key, cheat, other) is Verdict.PROVER for other in POINTS if other != point)


def test_a_data_owner_whose_seed_is_not_its_share_is_out(key: Key) -> None:
    cheat = Owner(key, 63)
    cheat.c_e = (g1.GENERATOR,)
    assert [complain(key, cheat, point) for point in POINTS] == [Verdict.DATA_OWNER] * 5


def test_a_prover_that_shows_an_altered_share_lied(key: Key, owners: list[Owner]) -> None:
    good = owners[0].plain(4)
    altered = fr.to_bytes(off_by_one(owners[0].shares[4], 0))
    hostile = [
        good[:32] + altered,
        bytes(32) + good[32:],  # another blind
        owners[0].plain(5),
        owners[0].plain(1),
        owners[1].plain(4),
        b"",
        good[:-1],
        good + b"\x00",
        good[:32] + b"\xff" * 32 + good[64:],  # a scalar that is not canonical: it could not have been opened
    ]
    assert [complain(key, owners[0], 4, plain) for plain in hostile] == [Verdict.PROVER] * len(hostile)


def test_a_complaint_is_bound_to_session_and_address(key: Key) -> None:
    cheat = Owner(key, 64)
    cheat.shares[3] = off_by_one(cheat.shares[3], 1)
    plain = cheat.plain(3)
    assert judge(key, SESS, ADDRESS, 3, cheat.dealing, plain) is Verdict.DATA_OWNER
    assert judge(key, SESS, ADDRESS + 1, 3, cheat.dealing, plain) is Verdict.PROVER
    assert judge(key, bytes(32), ADDRESS, 3, cheat.dealing, plain) is Verdict.PROVER


@pytest.mark.parametrize("point", [0, -1, 6])
def test_there_is_no_verdict_without_a_prover(key: Key, owners: list[Owner], point: int) -> None:
    with pytest.raises(ValueError, match="no prover"):
        judge(key, SESS, ADDRESS, point, owners[0].dealing, bytes(64))


def test_shares_of_honest_provers_fix_the_vector(key: Key, owners: list[Owner]) -> None:
    """What the check is for: t + 1 that passed give the committed vector."""
    owner = owners[2]
    rows = sharing.basis_polynomials((2, 5))
    rebuilt = fr.combine([row[0] for row in rows], [owner.shares[2], owner.shares[5]])
    assert np.array_equal(rebuilt, owner.secret)
    assert sharing.commit(key, rebuilt) == owner.c
