"""Robust decoding against the exhaustive search's vectors, and against liars of every kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields import oracle
from protocols.fields.goldilocks import BLOCK, P, Vector
from protocols.fields.prg import expand
from protocols.sharing.gao import decode_word
from protocols.sharing.robust import Decoded, Undecodable, decode, decode_values
from protocols.sharing.shamir import share

SEED = b"\x0b" * 32


@pytest.fixture(scope="module")
def cases(vectors: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((vectors / "shamir" / "robust_decode.json").read_text())
    return content


def shares_for(secret: Vector, degree: int, count: int) -> list[Vector]:
    return share(secret, degree, range(1, count + 1), SEED)


def with_errors(shares: Sequence[Vector], wrong: dict[int, Sequence[int]]) -> list[Vector]:
    """Shares with party index -> coordinates changed."""
    out = [s.copy() for s in shares]
    for party, coordinates in wrong.items():
        for j in coordinates:
            out[party][j] = (int(out[party][j]) + 1 + party + j) % P
    return out


def test_foreign_scalar_cases(cases: dict[str, Any]) -> None:
    for case in cases["cases"]:
        rows = [[int(s, 16)] for s in case["shares"]]
        expected, degree = case["expected"], case["t"]
        if expected["status"] == "undecodable":
            with pytest.raises(Undecodable):
                decode_values(case["points"], rows, degree)
            continue
        values, wrong = decode_values(case["points"], rows, degree)
        assert values == [int(expected["secret"], 16)], case["name"]
        assert list(wrong) == sorted(expected["error_points"]), case["name"]
        polynomial = [int(c, 16) for c in expected["coefficients"]]
        for at in (*case["erased_points"], 1, case["n"], 1000):
            assert decode_values(case["points"], rows, degree, at)[0] == [oracle.evaluate(polynomial, at)], case["name"]


def test_foreign_vector_cases(cases: dict[str, Any]) -> None:
    for case in cases["vector_cases"]:
        rows = [gl.vector(int(s, 16) for s in row) for row in case["shares"]]
        decoded = decode(case["points"], rows, case["t"])
        assert decoded.values.tolist() == [int(s, 16) for s in case["expected"]["secrets"]]
        assert list(decoded.error_points) == sorted(case["expected"]["error_points"])


def test_foreign_invalid_inputs(cases: dict[str, Any]) -> None:
    for case in cases["invalid_inputs"]:
        rows = [np.array([int(s, 16)], dtype=np.uint64) for s in case["shares"]]
        with pytest.raises(ValueError, match=r"point|share") as caught:
            decode(case["points"], rows, case["threshold"] - 1)
        assert not isinstance(caught.value, Undecodable), case["name"]


def same(decoded: Decoded, values: Vector, wrong: Sequence[int]) -> bool:
    return decoded.values.tolist() == values.tolist() and decoded.error_points == tuple(wrong)


@pytest.mark.parametrize(("n", "t"), [(4, 1), (5, 1), (9, 2), (13, 3)])
def test_any_constant_liars_are_corrected_and_named(n: int, t: int) -> None:
    secret = expand(SEED, 20)
    shares = shares_for(secret, t, n)
    for liars in list(combinations(range(n), t))[:40]:
        lying = with_errors(shares, {i: range(20) for i in liars})
        assert same(decode(range(1, n + 1), lying, t), secret, [i + 1 for i in liars])


def test_liar_in_a_single_coordinate_far_in() -> None:
    secret = expand(SEED, BLOCK + 10)
    shares = shares_for(secret, 1, 5)
    for place in (0, BLOCK - 1, BLOCK, BLOCK + 9):
        assert same(decode(range(1, 6), with_errors(shares, {2: [place]}), 1), secret, [3])


def test_liars_that_take_turns() -> None:
    """More liars than can be corrected at one coordinate, but never too many at once."""
    secret = expand(SEED, 30)
    shares = shares_for(secret, 1, 5)
    turns = with_errors(shares, {i: range(i, 30, 5) for i in range(5)})
    assert same(decode(range(1, 6), turns, 1), secret, [1, 2, 3, 4, 5])


def test_two_liars_of_nine_partly_together() -> None:
    secret = expand(SEED, 40)
    shares = shares_for(secret, 2, 9)
    lying = with_errors(shares, {0: range(0, 40, 2), 8: range(0, 40, 3)})
    assert same(decode(range(1, 10), lying, 2), secret, [1, 9])


def test_a_liar_that_is_right_where_others_lie() -> None:
    """The suspects of one coordinate are honest at the next: the guess must change, not add up beyond the bound."""
    secret = expand(SEED, 6)
    shares = shares_for(secret, 1, 7)  # two errors per coordinate
    lying = with_errors(shares, {0: [0, 1], 1: [0], 2: [2], 3: [2, 3], 4: [4], 5: [4]})
    assert same(decode(range(1, 8), lying, 1), secret, [1, 2, 3, 4, 5, 6])


def test_erasures_and_errors() -> None:
    secret = expand(SEED, 10)
    shares = with_errors(shares_for(secret, 1, 5), {3: range(10)})
    for missing in range(5):
        points = [i + 1 for i in range(5) if i != missing]
        decoded = decode(points, [shares[x - 1] for x in points], 1)
        assert same(decoded, secret, [] if missing == 3 else [4])


def test_product_degree_with_one_liar() -> None:
    """n = 5, t = 1: products have degree 2 and still bear one lie; this is why the committee has 4t + 1 members."""
    a, b = expand(SEED, 8, b"a"), expand(SEED, 8, b"b")
    local = [gl.mul(x, y) for x, y in zip(share(a, 1, range(1, 6), SEED), shares_for(b, 1, 5), strict=True)]
    for liar in range(5):
        decoded = decode(range(1, 6), with_errors(local, {liar: range(8)}), 2)
        assert same(decoded, gl.mul(a, b), [liar + 1])


def test_at_another_provers_point() -> None:
    shares = shares_for(expand(SEED, 12), 1, 5)
    lying = with_errors(shares, {0: range(12)})
    helpers = [1, 2, 3, 5]
    decoded = decode(helpers, [lying[x - 1] for x in helpers], 1, at=4)
    assert same(decoded, shares[3], [1])
    assert same(decode(range(1, 6), lying, 1, at=1), shares[0], [1])  # the liar's own right share


def test_too_many_errors() -> None:
    shares = shares_for(expand(SEED, 10), 1, 5)
    with pytest.raises(Undecodable, match="more than 1"):
        decode(range(1, 6), with_errors(shares, {0: [7], 3: [7]}), 1)
    with pytest.raises(Undecodable, match="more than 0"):
        decode([1, 2, 3], with_errors(shares, {0: [9]})[:3], 1)


def test_exactly_enough_shares_cannot_be_checked() -> None:
    secret = expand(SEED, 10)
    shares = shares_for(secret, 1, 5)
    assert same(decode([2, 5], [shares[1], shares[4]], 1), secret, [])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_shares(count: int) -> None:
    with pytest.raises(Undecodable, match="2 needed"):
        decode(range(1, count + 1), [gl.zeros(3)] * count, 1)


def test_max_errors_only_lowers_the_bound() -> None:
    secret = expand(SEED, 4)
    shares = shares_for(secret, 1, 7)
    two = with_errors(shares, {0: [1], 5: [1]})
    assert same(decode(range(1, 8), two, 1, max_errors=2), secret, [1, 6])
    assert same(decode(range(1, 8), two, 1, max_errors=9), secret, [1, 6])
    assert same(decode(range(1, 8), shares, 1, max_errors=0), secret, [])
    for allowed in (0, 1):
        with pytest.raises(Undecodable):
            decode(range(1, 8), two, 1, max_errors=allowed)
    with pytest.raises(Undecodable):
        decode(range(1, 8), with_errors(two, {2: [1]}), 1, max_errors=9)


@pytest.mark.parametrize("length", [0, 1, BLOCK, BLOCK + 1])
def test_lengths(length: int) -> None:
    secret = expand(SEED, length)
    assert same(decode(range(1, 6), shares_for(secret, 1, 5), 1), secret, [])


def test_inputs_are_left_alone() -> None:
    shares = with_errors(shares_for(expand(SEED, 5), 1, 5), {1: range(5)})
    before = [s.tolist() for s in shares]
    for s in shares:
        s.flags.writeable = False
    decode(range(1, 6), shares, 1)
    assert [s.tolist() for s in shares] == before


@pytest.mark.parametrize(("at", "max_errors", "degree"), [(-1, None, 1), (P, None, 1), (0, -1, 1), (0, None, -1)])
def test_wrong_arguments(at: int, max_errors: int | None, degree: int) -> None:
    with pytest.raises(ValueError, match=r"cannot decode|degree"):
        decode([1, 2, 3], [gl.zeros(1)] * 3, degree, at, max_errors)


def test_shares_of_different_length_or_type() -> None:
    with pytest.raises(ValueError, match="at point 2"):
        decode([1, 2], [gl.zeros(2), gl.zeros(3)], 0)
    with pytest.raises(ValueError, match="at point 1"):
        decode([1], [np.zeros(2, dtype=np.int64)], 0)  # type: ignore[list-item]


def test_word_decoder_by_exhaustion() -> None:
    """Every pattern of up to three wrong symbols of eight, degree 1: found up to the bound, not beyond."""
    points = [1, 2, 3, 4, 5, 6, 7, 8]
    word = [oracle.evaluate([9, 4], x) for x in points]
    for count in range(4):
        for places in combinations(range(8), count):
            damaged = [(v + 10 * (i + 1) if i in places else v) % P for i, v in enumerate(word)]
            assert decode_word(points, damaged, 1, 3) == [9, 4]
            assert (decode_word(points, damaged, 1, 2) == [9, 4]) == (count <= 2)


@pytest.mark.parametrize("coefficients", [[], [5], [0, 0, 3], [1, 2, 3]])
def test_word_decoder_on_special_polynomials(coefficients: list[int]) -> None:
    points = [1, 2, 3, 4, 5, 6, 7]
    word = [oracle.evaluate(coefficients, x) for x in points]
    assert decode_word(points, word, 2, 2) == coefficients
    word[4] = (word[4] + 1) % P
    word[0] = 0
    assert decode_word(points, word, 2, 2) == coefficients
