"""Checking records: everything of "what can go wrong" that concerns one data owner's range proof."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.bn254 import fr, g1
from protocols.bn254.field import Q, R
from protocols.bn254.g1 import GENERATOR, INFINITY
from protocols.bn254.pairing import opposite
from protocols.sessions.zk_records import AT_ONCE
from protocols.zk import range_check
from protocols.zk.errors import Check, Refused
from protocols.zk.key import Key, session_hash
from protocols.zk.params import NB_G
from protocols.zk.range_check import Search, challenges, check, check_many, join, split, terms
from protocols.zk.range_proof import prove
from protocols.zk.record import Record, decode
from tests.unit import zk_kit as kit
from tests.unit.bn254_kit import number
from tests.unit.zk_kit import (
    BOUND,
    CONTRACT,
    SMALL,
    TAU,
    Forger,
    holds,
    load,
    plus,
    record_of,
    scalars,
    session,
    small_key,
    times,
    word_of,
)  # fmt: skip

NORM_BITS = (BOUND**2).bit_length()
POINTS = ("c", "c_m", "c_s", "c_q", "w", "w2")
HALF = pow(2, -1, R)
PYTHAGOREAN = (HALF * (7 + pow(7, -1, R)) % R, HALF * (7 - pow(7, -1, R)) * pow(5, -(R - 1) // 4, R) % R)


def key_of(norms: bool) -> Key:
    return small_key(SMALL, NORM_BITS if norms else None)


@lru_cache
def good(norms: bool = False, address: int = 0x1000) -> Record:
    """An honest record."""
    values = np.array([1, -2, 3, 4] * 6, dtype=np.int64)
    blinders = fr.vector(scalars(f"g{address}", NB_G))
    key = key_of(norms)
    return prove(key, session(key), address, values, blinders, b"\x07" * 32, bytes(32), BOUND**2)


def verdict(record: Record, sess: bytes | None = None, norms: bool = False) -> Check | None:
    """Why it is refused; without a pairing."""
    key = key_of(norms)
    return kit.verdict(key, session(key) if sess is None else sess, record)


def paired_verdict(record: Record, norms: bool = False) -> Check | None:
    """The same with one."""
    key = key_of(norms)
    try:
        check(key, session(key), record, BOUND**2)
    except Refused as error:
        return error.check
    return None


@pytest.mark.parametrize("norms", [False, True])
def test_an_honest_record_passes_and_gives_its_challenges(norms: bool) -> None:
    key, record = key_of(norms), good(norms)
    at = check(key, session(key), record, BOUND**2)
    assert at == challenges(key, session(key), record)
    at_z, at_wz = split(record.evaluations)
    assert join(at_z, at_wz) == record.evaluations
    merged = sum(pow(at.v, i, R) * x for i, x in enumerate(at_z))
    after = sum(pow(at.v, i, R) * x for i, x in enumerate(at_wz))
    assert at.opened == (merged + at.u * after) % R
    assert bool(at.delta) is norms and decode(record.encode(), norms) == record


def test_records_of_the_vectors_pass_together(vectors: Path) -> None:
    score = load(vectors, "score_K3_n5")
    key = small_key(SMALL, score["session"]["B2"].bit_length(), number(score["tau"]))
    records = [record_of(entry) for entry in score["records"]]
    found = check_many(key, word_of(score["session"]["hash"]), records, bytes(32), score["session"]["B2"])
    assert found == dict.fromkeys(range(len(records)))


# False claims, by a prover who computes everything rightly except for what cannot be

FALSE = {
    "above": [32],
    "below": [-33],
    "wrapped vector of norm 1": list(PYTHAGOREAN),
    "fractions of norm 1": [HALF] * 4,
    "in the padding": [0] * 24 + [40],
}


def test_the_false_vectors_have_norm_one_in_the_field() -> None:
    for name in ("wrapped vector of norm 1", "fractions of norm 1"):
        assert sum(x * x for x in FALSE[name]) % R == 1


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("name", FALSE)
def test_what_is_not_in_the_range_has_no_proof(name: str, norms: bool) -> None:
    key = key_of(norms)
    bits = [0] * NORM_BITS if norms else None
    forger = Forger(key, session(key), FALSE[name], bits=bits)
    assert verdict(forger.record(), norms=norms) is Check.RANGE_IDENTITY and not forger.exact
    forger.force = True
    forced = forger.record()
    assert verdict(forced, norms=norms) is Check.PAIRING
    if name == "above":
        assert paired_verdict(forced, norms) is Check.PAIRING


@pytest.mark.parametrize("row", [-32, 31])
def test_the_ends_of_the_range_pass_in_the_slow_prover_too(row: int) -> None:
    key = key_of(False)
    forger = Forger(key, session(key), [row])
    assert holds(key, forger.sess, forger.record()) and forger.exact


def test_padding_is_not_what_a_record_speaks_of() -> None:
    """It is guarded by the check of shares and by the committee's proof."""
    key = key_of(False)
    forger = Forger(key, session(key), [0] * 24 + [1, -1])
    assert holds(key, forger.sess, forger.record())


def counts_for(forger: Forger, alpha: int) -> list[int]:
    """Multiplicities for which the running sum closes under this alpha: the first entry makes up for the rest."""
    counts = forger.multiplicities()
    missing = sum(pow(alpha + g, -1, R) for g in forger.rows)
    missing -= sum(m * pow(alpha + t, -1, R) for m, t in zip(counts, forger.table, strict=True))
    counts[0] = (counts[0] + missing * (alpha + forger.table[0])) % R
    return counts


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("lie", ["one more", "exchanged", "stale alpha"])
def test_wrong_multiplicities(lie: str, force: bool) -> None:
    key = key_of(False)
    forger = Forger(key, session(key), [1, 2, 3] if lie != "stale alpha" else [40], force=force)
    counts = forger.multiplicities()
    if lie == "one more":
        counts[0] += 1
    elif lie == "exchanged":
        counts[0], counts[32] = counts[32], counts[0]
    else:
        counts = counts_for(forger, challenges(key, forger.sess, forger.record()).alpha)
    forger.counts = counts
    assert verdict(forger.record()) is (Check.PAIRING if force else Check.RANGE_IDENTITY)
    assert not forger.exact


def test_multiplicities_for_the_alpha_that_comes_would_pass() -> None:
    """Why alpha must follow C_m: the sum closes for any values if it is known before."""
    key = key_of(False)
    forger = Forger(key, session(key), [40])
    sums = forger.sums(12345, counts_for(forger, 12345))
    last = pow(12345, -1, R) - counts_for(forger, 12345)[-1] * pow(12345 + 31, -1, R)
    assert (sums[-1] + last) % R == 0


# An honest record, changed afterwards


@pytest.mark.parametrize("norms", [False, True])
def test_an_evaluation_changed(norms: bool) -> None:
    record = good(norms)
    for i in range(len(record.evaluations)):
        values = list(record.evaluations)
        values[i] = (values[i] + 1) % R
        assert verdict(replace(record, evaluations=tuple(values)), norms=norms) is Check.RANGE_IDENTITY, i
        values[i] = record.evaluations[i] + R
        assert verdict(replace(record, evaluations=tuple(values)), norms=norms) is Check.SCALAR, i


@pytest.mark.parametrize("norms", [False, True])
def test_evaluations_that_satisfy_the_identity_but_are_not_those_of_the_commitments(norms: bool) -> None:
    record = good(norms)
    key = key_of(norms)
    at = challenges(key, session(key), record)
    at_z, at_wz = split(record.evaluations)
    values = list(at_z)
    values[3] = values[3] + 1
    wrong = replace(record, evaluations=join(values, at_wz))
    off = range_check.identity(key, at, wrong.evaluations, BOUND**2)
    values[1] = (values[1] - off * pow(at.alpha + at_z[0], -1, R)) % R  # m (alpha + g) takes it up
    assert verdict(replace(record, evaluations=join(values, at_wz)), norms=norms) is Check.PAIRING


@pytest.mark.parametrize(
    ("name", "norms"), [*((name, norms) for name in POINTS for norms in (False, True)), ("c_e", True), ("c_nn", True)]
)
def test_a_point_changed(name: str, norms: bool) -> None:
    record = good(norms)
    point = getattr(record, name)
    expected = Check.PAIRING if name in ("w", "w2") else Check.RANGE_IDENTITY
    assert paired_verdict(replace(record, **{name: plus(point, GENERATOR)}), norms) is expected
    assert verdict(replace(record, **{name: opposite(point)}), norms=norms) is expected
    for bad in ((point[0] + Q, point[1]), (point[0], point[1] + Q), (point[0], point[1] ^ 1)):
        with pytest.raises(Refused, match="point"):
            decode(replace(record, **{name: bad}).encode(), norms)
    if name in ("w", "w2"):
        assert paired_verdict(replace(record, **{name: (point[0], point[1] ^ 1)}), norms=norms) is Check.POINT
        assert paired_verdict(replace(record, **{name: (point[0] + Q, point[1])}), norms=norms) is Check.POINT


def test_openings_exchanged_or_moved_against_each_other() -> None:
    record, key = good(), key_of(False)
    assert verdict(replace(record, w=record.w2, w2=record.w)) is Check.PAIRING
    moved = replace(record, w=plus(record.w, times(5)), w2=plus(record.w2, times(R - 5)))
    assert verdict(moved) is Check.PAIRING
    assert challenges(key, session(key), moved).u != challenges(key, session(key), record).u


@pytest.mark.parametrize("norms", [False, True])
def test_nothing_is_no_proof(norms: bool) -> None:
    record = good(norms)
    empty = INFINITY if norms else None
    values = (0,) * len(record.evaluations)
    zero = Record(0, INFINITY, bytes(32), INFINITY, empty, empty, INFINITY, INFINITY, values, INFINITY, INFINITY)
    assert decode(bytes(len(record.encode())), norms) == zero  # infinity is a point
    assert verdict(zero, norms=norms) is Check.RANGE_IDENTITY


@pytest.mark.parametrize("norms", [False, True])
def test_a_record_is_for_one_owner_its_shares_and_one_session(norms: bool) -> None:
    record, key = good(norms), key_of(norms)
    identity = Check.RANGE_IDENTITY
    assert verdict(replace(record, address=record.address + 1), norms=norms) is identity
    assert verdict(replace(record, dg=b"\x08" * 32), norms=norms) is identity
    for other in (
        session(key, number=8), session(key, BOUND**2 + 1), session_hash(1, CONTRACT, 7, 0, key.digest, BOUND**2),
        session_hash(31337, CONTRACT[::-1], 7, 0, key.digest, BOUND**2),
        session_hash(31337, CONTRACT, 7, 1, key.digest, BOUND**2), session(key_of(not norms)),
    ):  # fmt: skip
        assert verdict(record, other, norms) is identity


def test_a_record_of_the_other_kind() -> None:
    for norms in (False, True):
        assert verdict(good(not norms), norms=norms) is Check.SHAPE
        with pytest.raises(ValueError, match="kind"):
            challenges(key_of(norms), bytes(32), good(not norms))


def test_under_another_string_nothing_passes() -> None:
    key = small_key(SMALL, None, 99)
    record = good()
    with pytest.raises(Refused, match="pairing"):
        check(key, session(key_of(False)), record)


def test_an_address_of_more_than_160_bits() -> None:
    assert verdict(replace(good(), address=1 << 160)) is Check.ORDER


# Many at once


def test_many_good_records_take_one_pairing(monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    truly = range_check.paired
    monkeypatch.setattr(range_check, "paired", lambda *args: count.append(1) or truly(*args))
    key, records = key_of(False), [good(False, 0x1000 + i) for i in range(5)]
    assert check_many(key, session(key), records, b"\x05" * 32) == dict.fromkeys(range(5))
    assert len(count) == 1
    assert check_many(key, session(key), [], bytes(32)) == {}
    with pytest.raises(ValueError, match="seed"):
        check_many(key, session(key), records, b"")


def test_bad_records_among_many_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_check, "paired", kit.paired_by_tau)
    key, records = key_of(False), [good(False, 0x1000 + i) for i in range(6)]
    records[1] = replace(records[1], w=plus(records[1].w, GENERATOR))
    records[2] = replace(records[2], dg=bytes(32))
    records[3] = replace(records[3], w=(1, 3))
    records[4] = replace(records[4], evaluations=(R, *records[4].evaluations[1:]))
    found = check_many(key, session(key), records, b"\x06" * 32)
    named = {index: (error.check, error.index) for index, error in found.items() if error is not None}
    assert sorted(found) == list(range(6))
    assert named == {
        1: (Check.PAIRING, 1), 2: (Check.RANGE_IDENTITY, 2), 3: (Check.POINT, 3), 4: (Check.SCALAR, 4),
    }  # fmt: skip


@pytest.mark.parametrize("bad", [set(), {0}, {5}, {1, 4}, {0, 1, 2, 3, 4, 5}], ids=str)
@pytest.mark.parametrize("most", [1, 3])
def test_bad_records_are_found_step_by_step(bad: set[int], most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No step takes more pairings; one is enough if all are good; what is half good is told apart by few."""
    asked = list[int]()

    def paired(*args: Any) -> bool:
        asked.append(1)
        return kit.paired_by_tau(*args)

    monkeypatch.setattr(range_check, "paired", paired)
    key, records = key_of(False), [good(False, 0x1000 + i) for i in range(7)]
    records[6] = replace(records[6], dg=bytes(32))
    for k in bad:
        records[k] = replace(records[k], w=plus(records[k].w, GENERATOR))
    search = Search(key, session(key), records, b"\x06" * 32)
    assert sorted(search.verdicts) == [6] and asked == []
    while not search.done:
        before = len(asked)
        search.advance(most)
        assert 1 <= len(asked) - before <= most
        assert all((search.verdicts[k] is not None) == (k in bad) for k in search.verdicts if k != 6)
    assert sorted(search.verdicts) == list(range(7))
    assert len(asked) <= (1 if not bad else 5 if len(bad) == 1 else 11)


@settings(max_examples=40, deadline=None)
@given(bad=st.one_of(st.sets(st.integers(0, 63)), st.integers(0, 64).map(lambda k: set(range(64 - k, 64)))))
def test_a_short_phase_judges_all_records(bad: set[int]) -> None:
    """Eight blocks have five steps. 64 records, however many are bad; which, only ``_paired`` knows here."""

    class Told(Search):
        def _paired(self, indices: list[int]) -> bool:
            return not bad & set(indices)

    with pytest.MonkeyPatch.context() as patch:
        for name, answer in (("check_identity", None), ("check_points", None), ("terms", ([], []))):
            patch.setattr(range_check, name, lambda *_, answer=answer: answer)
        search = Told(key_of(False), bytes(32), [good()] * 64, bytes(32))
    for _ in range(5):
        search.advance(AT_ONCE)
    assert search.done and {k for k, verdict in search.verdicts.items() if verdict is not None} == bad
    assert sorted(search.verdicts) == list(range(64))


def test_errors_of_two_records_that_cancel_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Openings moved in opposite directions: only the secret weights tell them from good ones."""
    key, records = key_of(False), [good(False, 0x1000), good(False, 0x1001)]
    sess = session(key)
    bent = [replace(records[0], w=plus(records[0].w, times(3))), records[1]]
    at = [challenges(key, sess, record) for record in bent]
    by = 3 * (at[0].z - TAU) * pow(at[1].z - TAU, -1, R)  # record 0 is wrong by 3 (z - tau); record 1 takes it back
    bent[1] = replace(records[1], w=plus(records[1].w, times(-by % R)))
    at[1] = challenges(key, sess, bent[1])
    sums = [terms(key, record, challenge) for record, challenge in zip(bent, at, strict=True)]
    left, right = (g1.to_integers(range_check.add_up([*sums[0][side], *sums[1][side]]))[0] for side in (0, 1))
    assert left == times(TAU, right)
    monkeypatch.setattr(range_check, "paired", kit.paired_by_tau)
    found = check_many(key, sess, bent, b"\x07" * 32)
    assert [error and error.check for error in found.values()] == [Check.PAIRING, Check.PAIRING]
