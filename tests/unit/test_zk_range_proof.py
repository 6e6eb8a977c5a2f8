"""The data owner's prover: byte for byte the vectors and the slow prover; what it refuses to prove."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.bn254 import fr, srs
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.errors import LocalProtocolError
from protocols.zk import columns as integer
from protocols.zk import range_proof
from protocols.zk.columns import Collision, Integers
from protocols.zk.key import Key, make_key
from protocols.zk.params import NB_G, ZkParams, choose, norm_bits
from protocols.zk.range_check import challenges
from protocols.zk.range_proof import Claim, commit_values, draws, prove, prove_blinded
from protocols.zk.record import Record
from tests.unit.bn254_kit import number, point
from tests.unit.zk_kit import BOUND, SMALL, TAU, Forger, holds, load, record_of, scalars, session, small_key, word_of

B2 = BOUND**2
DG = b"\x07" * 32
BLINDERS = fr.vector(scalars("g", NB_G))


def integers(rows: list[int], d: int = 24) -> Integers:
    """(d,) with zeros after."""
    return np.array(rows + [0] * (d - len(rows)), dtype=np.int64)


def proved(key: Key, values: Integers, seed: bytes = bytes(32), bound_squared: int | None = B2) -> Record:
    """By the data owner at 0x1000."""
    return prove(key, session(key, bound_squared or 0), 0x1000, values, BLINDERS, DG, seed, bound_squared)


def given_blinders(blinders: dict[str, list[int]]) -> Callable[[str, int], Vector]:
    """Draws what the other prover has."""

    def draw(name: str, number: int) -> Vector:
        assert len(blinders[name]) == number
        return fr.vector(blinders[name])

    return draw


def test_the_vectors_byte_for_byte(vectors: Path) -> None:
    honest = load(vectors, "honest_K3_n5")
    key, sess = small_key(SMALL, None, number(honest["parameters"]["tau"])), word_of(honest["session"]["hash"])
    calldata = bytes.fromhex(honest["calldata"][2:])
    for owner in honest["data_owners"]:
        values, blinders = integers(owner["g"]), fr.vector(map(number, owner["blinders"]))
        expected = owner["range"]
        assert list(integer.multiplicities(SMALL, values)) == expected["multiplicities"]
        c = commit_values(key, values, blinders)
        assert c == point(owner["C"])
        claim = Claim(key, sess, owner["addr"], values, blinders, c, word_of(owner["share_digest"]), 0)
        draw = given_blinders({name: [number(x) for x in expected[f"{name}_poly"][64:]] for name in ("m", "s")})
        record = prove_blinded(claim, draw)
        for name, p in (("C_m", record.c_m), ("C_s", record.c_s), ("C_q", record.c_q), ("W", record.w)):
            assert p == point(expected[name]), name
        assert record.encode() in calldata
        at = challenges(key, sess, record)
        assert [at.alpha, at.z, at.v, at.u] == [number(expected[name]) for name in ("alpha", "z", "v", "u")]
        assert at.t3 == word_of(expected["t0_t3"][3])


def test_columns_of_the_vectors(vectors: Path) -> None:
    for owner in load(vectors, "honest_K3_n5")["data_owners"]:
        values, expected = integers(owner["g"]), owner["range"]
        counts = integer.multiplicities(SMALL, values)
        sums = integer.running_sum(SMALL, values, counts, number(expected["alpha"]))
        assert fr.integers(sums) == [x if isinstance(x, int) else number(x) for x in expected["s_values"]]


def test_commitments_of_the_vectors_of_scores(vectors: Path) -> None:
    score = load(vectors, "score_K3_n5")
    key = small_key(SMALL, score["session"]["B2"].bit_length(), number(score["tau"]))
    sess = word_of(score["session"]["hash"])
    for values, owner, entry in zip(score["g"], score["data_owners"], score["records"], strict=True):
        theirs = record_of(entry)
        blinders = fr.vector(map(number, owner["blinders"]))
        mine = prove(key, sess, theirs.address, integers(values), blinders, theirs.dg, bytes(32), 1420)
        assert (mine.c, mine.address, mine.dg) == (theirs.c, theirs.address, theirs.dg)
        assert challenges(key, sess, theirs).t3 == word_of(entry["t"])
        assert all(holds(key, sess, record, 1420, number(score["tau"])) for record in (mine, theirs))


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("size", [4, 8, 16, 32, 64, 128])
def test_the_slow_prover_says_the_same(size: int, norms: bool) -> None:
    bits = {4: 2, 8: 3, 16: 3, 32: 5, 64: 4, 128: 7}[size]
    params = ZkParams(size - size // 4, bits, size)
    half = 1 << bits - 1
    values = integers([(5 * i * i + i) % (2 * half) - half for i in range(params.dimension)], params.dimension)
    bound = int(np.dot(values, values)) + 2
    key = small_key(params, bound.bit_length() if norms else None)
    slow = Forger(key, session(key, bound), values.tolist(), bound_squared=bound)
    c = commit_values(key, values, BLINDERS)
    claim = Claim(key, slow.sess, slow.address, values, BLINDERS, c, slow.dg, bound)
    record = prove_blinded(claim, given_blinders(slow.blinders))
    assert record == slow.record() and slow.exact
    assert holds(key, slow.sess, record, bound)


def test_a_record_is_a_function_of_its_arguments() -> None:
    key, values = small_key(), integers([1, -2, 3])
    record = proved(key, values)
    assert record == proved(key, values)
    other = proved(key, values, seed=b"\x01" * 32)
    assert record.c == other.c and record.c_m != other.c_m and record.c_s != other.c_s
    elsewhere = prove(key, session(key), 0x1001, values, BLINDERS, DG, bytes(32))
    assert elsewhere.c == record.c and elsewhere.c_m != record.c_m  # never the same blinders for two proofs


def test_neither_basis_nor_threads_change_a_byte() -> None:
    values = integers([31, -32, 7])
    for bits in (None, 12):
        string = srs.known(TAU, SMALL.powers, "kit")
        slow = make_key(SMALL, string, bits)
        fast = make_key(SMALL, string, bits, srs.known_basis(TAU, 64, NB_G), threads=2)
        assert proved(slow, values, bound_squared=4000) == proved(fast, values, bound_squared=4000)


@pytest.mark.parametrize("value", [-32, 31])
def test_the_ends_of_the_range_are_provable(value: int) -> None:
    key = small_key()
    assert holds(key, session(key), proved(key, integers([value] * 24)))


@pytest.mark.parametrize("value", [-33, 32, 2**62, -(2**63)])
@pytest.mark.parametrize("bits", [None, 62])
def test_coordinates_beyond_are_never_clipped(value: int, bits: int | None) -> None:
    with pytest.raises(ValueError, match="1 coordinates are not in"):
        proved(small_key(SMALL, bits), integers([0, value]), bound_squared=2**61)


def test_other_arguments_that_make_no_proof() -> None:
    key, sess, values = small_key(), bytes(32), integers([1])
    good = {"sess": sess, "address": 1, "values": values, "blinders": BLINDERS, "dg": DG, "seed": bytes(32)}
    for bad in (
        {"sess": bytes(31)}, {"address": 1 << 160}, {"address": -1}, {"values": values[:-1]}, {"dg": b""},
        {"values": values.astype(np.float64)}, {"blinders": BLINDERS[:5]}, {"seed": b"short"},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            prove(key, **{**good, **bad})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a bound is needed"):
        prove(small_key(SMALL, 10), **good)  # type: ignore[arg-type]


def test_a_norm_at_the_bound_is_provable_and_no_more() -> None:
    values = integers([3, -4, 12])  # 13^2
    key = small_key(SMALL, 8)
    for bound_squared in (169, 170, 255):
        record = proved(key, values, bound_squared=bound_squared)
        assert holds(key, session(key, bound_squared), record, bound_squared)
    with pytest.raises(ValueError, match="squared norm is 169"):
        proved(key, values, bound_squared=168)
    with pytest.raises(ValueError, match="bits"):
        proved(key, values, bound_squared=256)


def test_after_a_collision_of_the_challenge_blinders_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    key, values = small_key(), integers([5])
    first = proved(key, values)
    attempts, truly = [], integer.running_sum

    def colliding(params: ZkParams, rows: Integers, counts: Integers, alpha: int) -> Vector:
        attempts.append(alpha)
        if len(attempts) == 1:  # as if it were: alpha + T_0 = 0
            return truly(params, rows, counts, 32)
        return truly(params, rows, counts, alpha)

    monkeypatch.setattr(range_proof.integer, "running_sum", colliding)
    record = proved(key, values)
    assert len(set(attempts)) == 2
    assert record.c == first.c and record.c_m != first.c_m
    assert holds(key, session(key), record)


def test_columns_that_do_not_fit_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(params: ZkParams, rows: Integers, counts: Integers, alpha: int) -> Vector:
        sums = truly(params, rows, counts, alpha)
        sums[3] = sums[4]
        return sums

    truly = integer.running_sum
    monkeypatch.setattr(range_proof.integer, "running_sum", broken)
    with pytest.raises(LocalProtocolError, match="identity"):
        proved(small_key(), integers([5]))


def test_blinders_of_names_attempts_and_secrets_differ() -> None:
    drawn = [
        tuple(fr.integers(draws(secret, attempt)(name, 2)))
        for secret in (bytes(32), b"\x01" * 32) for attempt in (0, 1) for name in ("m", "e", "nn", "s")
    ]  # fmt: skip
    assert len(set(drawn)) == 16
    assert len({x for pair in drawn for x in pair}) == 32


@settings(max_examples=15)
@given(st.data(), st.sampled_from([1, 7, 32]), st.sampled_from([None, 14]), st.binary(min_size=32, max_size=32))
def test_any_vector_in_range_has_a_record_that_holds(
    data: st.DataObject, dimension: int, bits: int | None, seed: bytes
) -> None:
    rows = data.draw(st.lists(st.integers(-16, 15), min_size=dimension, max_size=dimension))
    bound_squared = sum(x * x for x in rows) + data.draw(st.integers(0, 100))
    key = small_key(ZkParams(dimension, 5, 32), bits)
    record = proved(key, integers(rows, dimension), seed, bound_squared)
    assert holds(key, session(key, bound_squared), record, bound_squared)


@pytest.mark.parametrize("bound", [1, 2, 3, 15])
def test_the_smallest_sizes_that_are_chosen(bound: int) -> None:
    params = choose(3, bound)
    key = small_key(params, norm_bits(bound))
    values = integers([0, bound, 0], 3)
    sess = session(key, bound**2)
    assert holds(key, sess, proved(key, values, bound_squared=bound**2), bound**2)
    with pytest.raises(ValueError, match="squared norm"):
        proved(key, values, bound_squared=bound**2 - 1)


def test_columns_add_up() -> None:
    values = integers([31, -32, 0, 5])
    counts = integer.multiplicities(SMALL, values)
    assert counts.sum() == 64 and counts[32] == 61
    assert integer.squared_norm(values) == 31**2 + 32**2 + 25
    assert integer.squared_norm(np.full(200_000, -(2**22), dtype=np.int64)) == 200_000 * 2**44
    bits = integer.slack_bits(SMALL, values, 2100, 12)
    assert sum(int(bit) << j for j, bit in enumerate(bits)) == 2100 - 2010
    sums = integer.norm_sum(SMALL, values, bits, 2100)
    share = 2100 * pow(64, -1, R)
    assert fr.integers(sums)[:2] == [0, (31**2 + int(bits[0]) - share) % R]
    for broken in (bits + 1, bits * 2):
        with pytest.raises(ValueError, match="add up"):
            integer.norm_sum(SMALL, values, broken, 2100)
    with pytest.raises(ValueError, match="add up"):
        integer.running_sum(SMALL, values, np.roll(counts, 1), 12345)
    with pytest.raises(Collision):
        integer.running_sum(SMALL, values, counts, R - 31)
