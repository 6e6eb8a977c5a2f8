"""Pairings and commitments against another implementation's vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.bn254 import fr, g1, pairing, poly, srs
from protocols.bn254.field import Q, R
from protocols.bn254.g1 import GENERATOR, Point
from protocols.bn254.msm import msm
from protocols.bn254.pairing import G2_GENERATOR, G2_INFINITY
from tests.unit.bn254_kit import load, number, point, twisted


def test_products_of_pairings(vectors: Path) -> None:
    cases = load(vectors, "pairing")["pairing_checks"]
    for case in cases:
        pairs = [(point(pair["g1"]), twisted(pair["g2"])) for pair in case["pairs"]]
        assert pairing.product_is_one(pairs) is case["product_is_one"], case["name"]
    assert len(cases) == 12


def test_multiples_in_the_second_group(vectors: Path) -> None:
    data = load(vectors, "pairing")
    assert twisted(data["g2_generator"]) == G2_GENERATOR
    for case in data["g2_scalar_mul_of_generator"]:
        assert pairing.multiply_g2(G2_GENERATOR, number(case["scalar"])) == twisted(case["result"])


def test_points_that_are_refused() -> None:
    x0, x1, y0, y1 = G2_GENERATOR
    pairing.check_g2(G2_GENERATOR)
    for bad in (G2_INFINITY, (x1, x0, y1, y0), (x0 + Q, x1, y0, y1), (x0, x1, y0, y1 + 1), (-1, x1, y0, y1)):
        with pytest.raises(ValueError, match="second group"):
            pairing.check_g2(bad)
    with pytest.raises(ValueError, match="first group"):
        pairing.product_is_one([((1, 3), G2_GENERATOR)])
    with pytest.raises(ValueError, match="first group"):
        pairing.product_is_one([((1 + Q, 2), G2_GENERATOR)])


def outside_the_subgroup() -> pairing.Twisted:
    """A point on the twisted curve, y^2 = x^3 + 3/(9 + i), for the first small x that has one: not of order R."""
    from py_ecc.optimized_bn128 import FQ2, b2

    for x0 in range(1, 100):
        square = FQ2([x0, 0]) ** 3 + b2
        base = square ** ((Q - 3) // 4)  # a root as for any prime that is 3 mod 4 (Adj, Rodriguez-Henriquez 2012)
        alpha, y = base * base * square, base * square
        y = y * (FQ2([0, 1]) if alpha == FQ2([-1, 0]) else (FQ2.one() + alpha) ** ((Q - 1) // 2))
        if y * y == square:
            return (x0, 0, int(y.coeffs[0]), int(y.coeffs[1]))
    raise AssertionError("no point found")


def test_a_point_of_another_order_is_refused() -> None:
    stray = outside_the_subgroup()
    assert pairing.multiply_g2(stray, 2) != G2_INFINITY  # it is on the curve
    with pytest.raises(ValueError, match="order"):
        pairing.check_g2(stray)


def test_bytes_in_the_order_of_the_precompile() -> None:
    data = pairing.g2_to_bytes(G2_GENERATOR)
    assert [int.from_bytes(data[i : i + 32], "big") for i in range(0, 128, 32)] == [
        G2_GENERATOR[i] for i in (1, 0, 3, 2)
    ]
    assert pairing.g2_from_bytes(data) == G2_GENERATOR
    for bad in (bytes(128), data[:127], data[32:] + data[:32]):
        with pytest.raises(ValueError, match="second group"):
            pairing.g2_from_bytes(bad)


@pytest.fixture(scope="module")
def kzg(vectors_module: Path) -> Any:
    return load(vectors_module, "kzg")


@pytest.fixture(scope="module")
def vectors_module() -> Path:
    from tests.conftest import VECTORS

    if not VECTORS.is_dir():
        pytest.skip(f"no test vectors at {VECTORS}: set OMNINODE_VECTORS to their folder")
    return VECTORS


def test_the_string_of_a_known_secret(kzg: Any) -> None:
    string = srs.known(number(kzg["tau"]), 8, "test")
    assert g1.to_integers(string.powers) == [point(p) for p in kzg["srs_g1"]]
    assert string.tau2 == twisted(kzg["srs_g2"][1])
    assert twisted(kzg["srs_g2"][0]) == G2_GENERATOR


def test_commitments_and_openings(kzg: Any) -> None:
    """The equation of every opening is checked in the exponent, as tau is known; two are paired as well."""
    string, tau = srs.known(number(kzg["tau"]), 8, "test"), number(kzg["tau"])
    paired: set[bool] = set()
    for case in kzg["polynomials"]:
        p = fr.vector(number(c) for c in case["coefficients"])
        commitment = srs.commit(string.powers, p)
        assert g1.to_integers(commitment) == [point(case["commitment"])]
        for opening in case["openings"]:
            z, y, proof, valid = number(opening["z"]), number(opening["y"]), point(opening["proof"]), opening["valid"]
            left = opened(commitment, z, y, proof)
            w = g1.from_integers([proof])
            assert (g1.to_integers(left) == g1.to_integers(g1.multiply(w, fr.vector([tau])))) is valid
            if valid:
                quotient, value = poly.divide_by_linear(p, z)
                assert value == y
                assert g1.to_integers(srs.commit(string.powers, quotient)) == [proof]
            if valid not in paired and proof != g1.INFINITY:
                paired.add(valid)
                (point_left,) = g1.to_integers(left)
                assert pairing.same_ratio(point_left, G2_GENERATOR, proof, string.tau2) is valid
    assert paired == {True, False}


def opened(commitment: g1.Points, z: int, y: int, proof: Point) -> g1.Points:
    """C - y [1] + z W."""
    points = np.concatenate([commitment, g1.from_integers([GENERATOR, proof])])
    return msm(points, fr.vector([1, -y % R, z]))


def test_the_lagrange_basis(kzg: Any) -> None:
    data, string, tau = kzg["evaluation_form"], srs.known(number(kzg["tau"]), 8, "test"), number(kzg["tau"])
    assert poly.root_of_unity(8) == number(data["omega"])
    basis = srs.basis(string.powers, 8, 0)
    assert g1.to_integers(basis.lagrange) == [point(p) for p in data["lagrange_srs_g1"]]
    assert np.array_equal(srs.known_basis(tau, 8, 0).lagrange, basis.lagrange)
    values = fr.vector(number(y) for y in data["evaluations"])
    assert g1.to_integers(basis.commit(values, fr.zeros(0))) == [point(data["commitment"])]
