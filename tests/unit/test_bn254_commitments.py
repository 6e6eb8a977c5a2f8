"""Commitments of the proofs' own vectors: data owners, their shares, the public polynomials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.bn254 import fr, g1, pairing, poly, srs
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.bn254.srs import Basis, Srs
from tests.unit.bn254_kit import number, point

BLINDERS = 6


@pytest.fixture
def honest(vectors: Path) -> Any:
    path = vectors / "zk" / "honest_K3_n5.json"
    if not path.is_file():
        pytest.skip(f"no vectors of proofs at {path}")
    return json.loads(path.read_text())


def string_of(honest: Any) -> tuple[Srs, Basis, int]:
    parameters = honest["parameters"]
    tau, n = number(parameters["tau"]), parameters["N"]
    return srs.known(tau, parameters["srs_powers"], "vectors"), srs.known_basis(tau, n, BLINDERS), n


def padded(entries: Vector, n: int) -> tuple[Vector, Vector]:
    """Values on all of H and blinders, from the d + 6 entries that travel."""
    values = fr.zeros(n)
    values[: len(entries) - BLINDERS] = entries[:-BLINDERS]
    return values, entries[-BLINDERS:]


def test_public_polynomials_and_the_string(honest: Any) -> None:
    string, basis, n = string_of(honest)
    d, half = honest["parameters"]["d"], 1 << honest["parameters"]["b"] - 1
    table = [i - half if i < 2 * half else 0 for i in range(n)]
    padding = [int(i >= d) for i in range(n)]
    assert poly.root_of_unity(n) == number(honest["parameters"]["omega"])
    for values, name in ((table, "C_T"), (padding, "C_P")):
        expected = [point(honest["key"][name])]
        assert g1.to_integers(basis.commit(fr.vector(values), fr.zeros(0))) == expected
        assert g1.to_integers(srs.commit(string.powers, poly.interpolate(fr.vector(values)))) == expected
    words = b"".join(number(word).to_bytes(32, "big") for word in honest["key"]["tau2_evm"])
    assert pairing.g2_to_bytes(string.tau2) == words


def test_data_owners_and_the_commitments_of_their_shares(honest: Any) -> None:
    string, basis, n = string_of(honest)
    for owner in honest["data_owners"]:
        entries = fr.vector([*owner["g"], *(number(c) for c in owner["blinders"])])
        values, blinders = padded(entries, n)
        commitment = basis.commit(values, blinders)
        assert g1.to_integers(commitment) == [point(owner["C"])]
        assert np.array_equal(srs.commit(string.powers, poly.blinded(values, blinders)), commitment)
        extra = g1.from_integers(point(p) for p in owner["C_e"])
        for j, share in owner["shares"].items():
            weights = fr.vector(pow(int(j), e, R) for e in range(1, len(extra) + 1))
            expected = g1.add(commitment, g1.total(g1.multiply(extra, weights)))
            assert np.array_equal(basis.commit(*padded(fr.vector(number(x) for x in share), n)), expected)
