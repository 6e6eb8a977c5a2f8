"""Openings: values in spite of lies and gaps, liars named, nothing decided too early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.bn254 import fr, g1
from protocols.bn254.field import R
from protocols.zk import decode as decode_module
from protocols.zk.decode import Decoded, Table, combine_points, decode_points, decode_scalars, lagrange
from protocols.zk.opening import Step, steps_of
from protocols.zk.params import Statement
from tests.unit.zk_batch import shares_of
from tests.unit.zk_kit import scalars, times

Decode = Callable[[dict[int, Table], int, int], Decoded | None]


def as_points(v: Table) -> Table:
    return g1.multiply_fixed(g1.generator(), v)


def as_scalars(v: Table) -> Table:
    return v


BOTH = pytest.mark.parametrize(("decode", "lift"), [(decode_scalars, as_scalars), (decode_points, as_points)])


def dealt(count: int, n: int, degree: int, lift: Callable[[Table], Table]) -> tuple[Table, dict[int, Table]]:
    secret = fr.vector(scalars("secret", count))
    shares = shares_of(secret, n, 0, "codeword", degree)
    return lift(secret), {j: lift(s) for j, s in shares.items()}


@BOTH
def test_honest(decode: Decode, lift: Any) -> None:
    secret, received = dealt(3, 5, 2, lift)
    for missing in (None, 1, 5):
        some = {j: m for j, m in received.items() if j != missing}
        decoded = decode(some, 2, 4)
        assert decoded is not None and decoded.liars == ()
        assert np.array_equal(decoded.values, secret)


@BOTH
@pytest.mark.parametrize("liar", range(1, 6))
def test_a_liar_is_named(decode: Decode, lift: Any, liar: int) -> None:
    secret, received = dealt(4, 5, 2, lift)
    received[liar] = received[liar].copy()
    received[liar][3] = received[liar % 5 + 1][0]
    decoded = decode(received, 2, 4)
    assert decoded is not None and decoded.liars == (liar,)
    assert np.array_equal(decoded.values, secret)


@BOTH
def test_a_liar_and_a_gap_are_waited_for(decode: Decode, lift: Any) -> None:
    secret, received = dealt(1, 5, 2, lift)
    received[2] = received[3]
    gap = {j: m for j, m in received.items() if j != 5}
    assert decode(gap, 2, 4) is None
    decoded = decode(received, 2, 4)
    assert decoded is not None and decoded.liars == (2,) and np.array_equal(decoded.values, secret)


@BOTH
def test_too_few_messages(decode: Decode, lift: Any) -> None:
    _, received = dealt(1, 5, 2, lift)
    assert decode({}, 2, 4) is None
    assert decode({j: received[j] for j in (1, 2, 3)}, 2, 4) is None


@BOTH
def test_more_liars_than_agreed(decode: Decode, lift: Any) -> None:
    _, received = dealt(1, 5, 2, lift)
    received[1], received[2] = received[2], received[1]
    assert decode(received, 2, 4) is None


@BOTH
def test_different_liars_in_different_elements(decode: Decode, lift: Any) -> None:
    """Vectors have one set of liars: two at different places are two."""
    _, received = dealt(3, 5, 2, lift)
    for liar, place in ((1, 0), (4, 2)):
        received[liar] = received[liar].copy()
        received[liar][place] = received[3][1]
    assert decode(received, 2, 4) is None
    secret, received = dealt(3, 9, 4, lift)
    for liar, place in ((1, 0), (7, 2)):
        received[liar] = received[liar].copy()
        received[liar][place] = received[3][1]
    decoded = decode(received, 4, 7)
    assert decoded is not None and decoded.liars == (1, 7) and np.array_equal(decoded.values, secret)


@BOTH
def test_lies_that_cancel_in_a_sum(decode: Decode, lift: Any) -> None:
    secret, received = dealt(2, 5, 2, lift)
    shift = scalars("shift", 1)[0]
    moved = lift(fr.vector([shift, -shift % R]))
    received[3] = g1.add(received[3], moved) if moved.shape[1] == 8 else fr.add(received[3], moved)
    decoded = decode(received, 2, 4)
    assert decoded is not None and decoded.liars == (3,) and np.array_equal(decoded.values, secret)


@BOTH
def test_the_largest_committee(decode: Decode, lift: Any) -> None:
    secret, received = dealt(2, 16, 6, lift)
    for liar in (3, 9, 16):
        received[liar] = received[1]
    decoded = decode(received, 6, 10)
    assert decoded is not None and decoded.liars == (3, 9, 16) and np.array_equal(decoded.values, secret)
    received[4] = received[1]
    assert decode(received, 6, 10) is None


def test_sets_of_liars_cost_no_sum_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """One liar too many: all 697 sets of three or fewer of sixteen are looked at, with a handful of combinations."""
    _, received = dealt(1, 16, 6, as_points)
    for liar in (3, 4, 9, 16):
        received[liar] = received[1]
    counts = {"combine_points": 0, "multiply_fixed": 0}

    def counted(name: str, real: Callable[..., Table]) -> Callable[..., Table]:
        def call(*args: Any) -> Table:
            counts[name] += 1
            return real(*args)

        return call

    times, combine = counted("multiply_fixed", g1.multiply_fixed), counted("combine_points", combine_points)
    monkeypatch.setattr(decode_module, "_POINTS", replace(decode_module._POINTS, combine=combine, times=times))
    assert decode_points(received, 6, 10) is None
    assert counts == {"combine_points": 9 + 1 + 2 + 3 + 4, "multiply_fixed": 1 + 2 + 3}


@BOTH
def test_without_redundancy(decode: Decode, lift: Any) -> None:
    """Three provers of threshold one: nothing can be wrong, so nothing is right for sure."""
    secret, received = dealt(1, 3, 2, lift)
    decoded = decode(received, 2, 3)
    assert decoded is not None and np.array_equal(decoded.values, secret)
    received[1] = received[2]
    decoded = decode(received, 2, 3)
    assert decoded is not None and decoded.liars == () and not np.array_equal(decoded.values, secret)


@BOTH
def test_wrong_arguments(decode: Decode, lift: Any) -> None:
    _, received = dealt(2, 5, 2, lift)
    for bad in ({0: received[1]}, {R: received[1]}, {1: received[1], 2: received[2][:1]}):
        with pytest.raises(ValueError):
            decode(bad, 2, 4)
    with pytest.raises(ValueError):
        decode(received, 2, 2)
    with pytest.raises(ValueError):
        decode(received, -1, 4)
    with pytest.raises(ValueError):
        combine_points([1], [])


@given(st.data())
def test_any_pattern_of_lies_and_gaps(data: st.DataObject) -> None:
    """Up to t liars: the value is right whenever there is one, and there is one as soon as D + 1 + t honest spoke."""
    t = data.draw(st.integers(1, 2))
    n, degree = 4 * t + 1 + data.draw(st.integers(0, 2)), data.draw(st.sampled_from([t, 2 * t]))
    secret, received = dealt(3, n, degree, as_scalars)
    liars = data.draw(st.sets(st.integers(1, n), max_size=t))
    for liar in liars:
        received[liar] = received[liar].copy()
        received[liar][data.draw(st.integers(0, 2))] = fr.single(data.draw(st.integers(0, R - 1)))
    gone = data.draw(st.sets(st.integers(1, n), max_size=n))
    some = {j: m for j, m in received.items() if j not in gone}
    decoded = decode_scalars(some, degree, degree + 1 + t)
    if decoded is None:
        assert len(set(some) - liars) < degree + 1 + t
    else:
        assert np.array_equal(decoded.values, secret) and set(decoded.liars) <= liars


def test_many_scalars_at_once() -> None:
    secret, received = dealt(2080, 5, 2, as_scalars)
    received[4] = received[4].copy()
    received[4][2079] = received[4][0]
    decoded = decode_scalars(received, 2, 4)
    assert decoded is not None and decoded.liars == (4,) and np.array_equal(decoded.values, secret)


def test_lagrange() -> None:
    assert sum(c * (7 * x * x + x + 1) for c, x in zip(lagrange((1, 2, 4), 0), (1, 2, 4), strict=True)) % R == 1
    assert lagrange((3,), 0) == (1,)


def test_steps_read_only_what_is_canonical() -> None:
    scalar, point = Step("a", 2, False, 2), Step("b", 2, True, 1)
    assert (scalar.size, point.size) == (64, 64)
    message = scalar.read((5).to_bytes(32, "big") * 2)
    assert scalar.write(message) == (5).to_bytes(32, "big") * 2
    good = b"".join(c.to_bytes(32, "big") for c in times(9))
    assert point.write(point.read(good)) == good
    for step, data in (
        (scalar, bytes(63)),
        (scalar, bytes(32) + R.to_bytes(32, "big")),
        (point, good[:-1] + bytes([good[-1] ^ 1])),
        (point, b"\xff" * 64),
        (point, b""),
    ):
        with pytest.raises(ValueError):
            step.read(data)


def test_steps_of_the_statements() -> None:
    gram, score = steps_of(Statement.GRAM, 3, 1), steps_of(Statement.SCORE, 3, 2)
    assert [(s.name, s.degree, s.points, s.count) for s in gram] == [
        ("values", 2, False, 6), ("S", 2, True, 1), ("q", 2, True, 1),
        ("A", 1, False, 1), ("E", 2, False, 3), ("W", 2, True, 2),
    ]  # fmt: skip
    assert [s.degree for s in score] == [4, 4, 4, 2, 4, 4]
    assert (score[0].count, score[3].count) == (3, 2)
    assert (gram[0].need(5, 1), gram[3].need(5, 1), gram[0].need(3, 1)) == (4, 3, 3)
