"""Whatever the elements: the kernels do what Python's integers do."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protocols.fields import goldilocks as gl
from protocols.fields import oracle
from protocols.fields.goldilocks import HALF, P

near = [0, 2**32 - 1, 2**32, HALF, P - 1]
elements = st.one_of(st.sampled_from(near), st.integers(0, P - 1))
pairs = st.lists(st.tuples(elements, elements), max_size=40).map(
    lambda rows: ([a for a, _ in rows], [b for _, b in rows])
)


@given(pairs)
def test_elementwise(pair: tuple[list[int], list[int]]) -> None:
    a, b = pair
    u, v = gl.vector(a), gl.vector(b)
    assert gl.add(u, v).tolist() == oracle.add(a, b)
    assert gl.sub(u, v).tolist() == oracle.sub(a, b)
    assert gl.mul(u, v).tolist() == oracle.mul(a, b)
    assert gl.neg(u).tolist() == oracle.neg(a)
    assert gl.dot(u, v) == oracle.dot(a, b)
    assert (u.tolist(), v.tolist()) == (a, b)


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=6), st.integers(0, 20), st.data())
def test_lincomb(coeffs: list[int], length: int, data: st.DataObject) -> None:
    row = st.lists(elements, min_size=length, max_size=length)
    rows = [data.draw(row) for _ in coeffs]
    expected = oracle.lincomb(coeffs, rows) if length else []
    assert gl.lincomb(coeffs, [gl.vector(r) for r in rows]).tolist() == expected


@given(st.lists(elements, max_size=40))
def test_ways_out_and_back(a: list[int]) -> None:
    v = gl.vector(a)
    assert gl.from_bytes(gl.to_bytes(v)).tolist() == a
    assert gl.to_signed(v).tolist() == [oracle.lift(x) for x in a]
    assert gl.from_signed(gl.to_signed(v)).tolist() == a


@given(st.binary(max_size=80))
def test_any_bytes_are_a_vector_or_a_value_error(data: bytes) -> None:
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
    try:
        assert gl.to_bytes(gl.from_bytes(data)) == data
    except ValueError:
        assert len(data) % 8 or max(words) >= P


@given(st.integers(-(2**80), 2**80))
def test_inverse(c: int) -> None:
    if c % P:
        assert gl.inv(c) * c % P == 1


@given(st.integers(1, 3 * gl.BLOCK), st.integers(0, 2**32))
def test_long_vectors(length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, P, length, dtype=np.uint64) for _ in range(2))
    assert gl.sub(gl.add(a, b), b).tolist() == a.tolist()
    assert gl.lincomb([2, P - 1], [a, a]).tolist() == a.tolist()
    assert gl.dot(a, gl.add(b, b)) == 2 * gl.dot(a, b) % P
