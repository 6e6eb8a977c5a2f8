"""The field kernels against the vectors made elsewhere, the plain-Python oracle and their own contracts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields import oracle
from protocols.fields.goldilocks import HALF, P, Vector

EDGES = [0, 1, 2, 2**32 - 2, 2**32 - 1, 2**32, 2**32 + 1, 2**63, HALF, HALF + 1, P - 2**32, P - 2, P - 1]
PAIRS = [(a, b) for a in EDGES for b in EDGES]


def load(vectors: Path, name: str) -> dict[str, list[dict[str, str]]]:
    content: dict[str, list[dict[str, str]]] = json.loads((vectors / "bn254" / name).read_text())
    return content


def column(cases: list[dict[str, str]], key: str) -> Vector:
    return gl.vector(int(case[key], 16) for case in cases)


def test_foreign_field_vectors(vectors: Path) -> None:
    cases = load(vectors, "field_goldilocks.json")["cases"]
    a, b = column(cases, "a"), column(cases, "b")
    for key, got in (
        ("add", gl.add(a, b)),
        ("sub", gl.sub(a, b)),
        ("mul", gl.mul(a, b)),
        ("neg_a", gl.neg(a)),
        ("sqr_a", gl.mul(a, a)),
    ):
        assert got.tolist() == column(cases, key).tolist(), key
    assert gl.dot(a, b) == sum(int(case["mul"], 16) for case in cases) % P


@pytest.mark.parametrize("side", ["a", "b"])
def test_foreign_inverses(vectors: Path, side: str) -> None:
    for case in load(vectors, "field_goldilocks.json")["cases"]:
        expected = case[f"inv_{side}"]
        if expected is None:
            with pytest.raises(ZeroDivisionError):
                gl.inv(int(case[side], 16))
        else:
            assert gl.inv(int(case[side], 16)) == int(expected, 16)


def test_foreign_roots_of_unity(vectors: Path) -> None:
    roots = json.loads((vectors / "bn254" / "field_goldilocks_misc.json").read_text())["two_adic"]["roots"]
    for order, text in roots.items():
        power = gl.vector([int(text, 16)])
        for _ in range(int(order)):
            assert power[0] != 1
            power = gl.mul(power, power)
        assert power.tolist() == [1]


def test_foreign_canonical_form(vectors: Path) -> None:
    for case in load(vectors, "field_goldilocks_misc.json")["canonical_decode"]:
        data = int(case["u64"], 16).to_bytes(8, "little")
        if case["canonical"]:
            assert gl.from_bytes(data).tolist() == [int(case["reduced"], 16)]
        else:
            with pytest.raises(ValueError, match="not in"):
                gl.from_bytes(data)


def test_foreign_reduction_of_128_bits(vectors: Path) -> None:
    for case in load(vectors, "field_goldilocks_misc.json")["reduce_u128"]:
        high, low = (gl.vector([int(case[key], 16) % P]) for key in ("hi", "lo"))
        gl.axpy(low, 2**64, high)
        assert low.tolist() == [int(case["result"], 16)]


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_edges_against_the_oracle(name: str) -> None:
    a, b = [x for x, _ in PAIRS], [y for _, y in PAIRS]
    assert getattr(gl, name)(gl.vector(a), gl.vector(b)).tolist() == getattr(oracle, name)(a, b)


@pytest.mark.parametrize("c", [*EDGES, -1, -P, P, P + 5, 2**200])
def test_scale_and_axpy_take_any_integer(c: int) -> None:
    x = gl.vector(EDGES)
    assert gl.scale(x, c).tolist() == oracle.scale(EDGES, c)
    acc = gl.vector(reversed(EDGES))
    gl.axpy(acc, c, x)
    assert acc.tolist() == oracle.add(oracle.scale(EDGES, c), EDGES[::-1])


def test_in_place_operations() -> None:
    acc, x = gl.vector(EDGES), gl.vector(EDGES[::-1])
    gl.add_into(acc, x)
    assert acc.tolist() == oracle.add(EDGES, EDGES[::-1])
    gl.sub_into(acc, x)
    assert acc.tolist() == EDGES
    gl.sub_into(acc, acc)
    assert not acc.any()
    assert x.tolist() == EDGES[::-1]


def test_lincomb_across_blocks(rng: np.random.Generator) -> None:
    length = gl.BLOCK + 3
    vectors = [rng.integers(0, P, length, dtype=np.uint64) for _ in range(3)]
    coeffs = [1, -1, 2**63]
    expected = oracle.lincomb(coeffs, [v.tolist() for v in vectors])
    assert gl.lincomb(coeffs, vectors).tolist() == expected


def test_dot_of_largest_elements() -> None:
    v = gl.vector([P - 1] * 1000)
    assert gl.dot(v, v) == 1000
    assert gl.dot(gl.zeros(0), gl.zeros(0)) == 0


def test_signs() -> None:
    numbers = np.array([0, 1, -1, 2**62, -(2**62), HALF, -HALF], dtype=np.int64)
    elements = gl.from_signed(numbers)
    assert elements.tolist() == [int(x) % P for x in numbers]
    assert gl.to_signed(elements).tolist() == numbers.tolist()
    assert [gl.lift(int(x)) for x in elements] == numbers.tolist()
    assert gl.to_signed(gl.vector(EDGES)).tolist() == [oracle.lift(x) for x in EDGES]


@pytest.mark.parametrize("value", [HALF + 1, -HALF - 1, 2**63 - 1, -(2**63)])
def test_signed_numbers_that_do_not_fit(value: int) -> None:
    with pytest.raises(ValueError, match="beyond"):
        gl.from_signed(np.array([0, value], dtype=np.int64))


def test_bytes() -> None:
    data = gl.to_bytes(gl.vector([1, P - 1]))
    assert data.hex() == "0100000000000000" + "00000000ffffffff"
    assert gl.from_bytes(data).tolist() == [1, P - 1]
    back = gl.from_bytes(data)
    back[0] = 7  # not a view of the bytes
    assert gl.from_bytes(b"").tolist() == []


@pytest.mark.parametrize("data", [b"\0" * 7, b"\0" * 9, b"\xff" * 8, P.to_bytes(8, "little")])
def test_bytes_that_are_no_vector(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"field elements|not in"):
        gl.from_bytes(data)


@pytest.mark.parametrize("value", [-1, P, 2**64])
def test_vector_reduces_nothing(value: int) -> None:
    with pytest.raises(ValueError, match="element 1"):
        gl.vector([0, value])


def test_read_only_and_strided_inputs_are_fine() -> None:
    frozen = gl.vector(EDGES)
    frozen.flags.writeable = False
    strided = gl.vector([x for x in EDGES for _ in (0, 1)])[::2]
    assert gl.add(frozen, strided).tolist() == oracle.add(EDGES, EDGES)
    assert gl.dot(frozen, strided) == oracle.dot(EDGES, EDGES)
    assert gl.lincomb([3, 4], [frozen, strided]).tolist() == oracle.scale(EDGES, 7)
    for acc in (frozen, strided):
        with pytest.raises(ValueError, match="in place"):
            gl.add_into(acc, frozen)


def test_wrong_shapes_and_types() -> None:
    v = gl.zeros(4)
    with pytest.raises(ValueError, match="different lengths"):
        gl.add(v, gl.zeros(3))
    with pytest.raises(ValueError, match="uint64"):
        gl.mul(v, np.zeros(4, dtype=np.int64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="uint64"):
        gl.neg(np.zeros((2, 2), dtype=np.uint64))
    with pytest.raises(ValueError, match="int64"):
        gl.from_signed(np.zeros(2))  # type: ignore[arg-type]
    for coeffs, vectors in (([1], [v, v]), ([], [])):
        with pytest.raises(ValueError, match="coefficients"):
            gl.lincomb(coeffs, vectors)
    with pytest.raises(ValueError, match="different lengths"):
        gl.lincomb([0, 1], [v, gl.zeros(5)])


def test_oracle_interpolates_what_it_evaluates() -> None:
    polynomial = [5, P - 3, 2**40]
    values = [oracle.evaluate(polynomial, x) for x in (1, 7, 9)]
    assert oracle.interpolate([1, 7, 9], values, 12) == oracle.evaluate(polynomial, 12)
    assert oracle.neg([0, 1]) == [0, P - 1]
