"""What the tests of shares under certificate ``zk`` have in common: a small key, the vectors' data owners."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.bn254 import fr, srs
from protocols.bn254.fr import Vector
from protocols.zk.key import Key, make_key
from protocols.zk.params import NB_G, ZkParams
from tests.unit.bn254_kit import number, point

PARAMS = ZkParams(24, 6, 64)
TAU = 0x1234567890ABCDEF1234567890ABCDEF
COMMITTEE, THRESHOLD = 5, 1
SESS = bytes(range(32))


@cache
def small_key(norm_bits: int | None = None) -> Key:
    """The key of the vectors, in Lagrange form."""
    string = srs.known(TAU, PARAMS.powers, "vectors")
    return make_key(PARAMS, string, norm_bits, srs.known_basis(TAU, PARAMS.size, NB_G))


def honest_vectors(vectors: Path) -> Any:
    """The file ``honest_K3_n5``."""
    path = vectors / "zk" / "honest_K3_n5.json"
    if not path.is_file():
        pytest.skip(f"no vectors of proofs at {path}")
    return json.loads(path.read_text())


def points(data: Any) -> tuple[tuple[int, int], ...]:
    """Of a list of coordinate pairs."""
    return tuple(point(pair) for pair in data)


def scalars(data: Any) -> Vector:
    """Of a list of hexadecimal numbers."""
    return fr.vector(map(number, data))


def vector_of(owner: Any) -> Vector:
    """(d + 6, 4): what a data owner of the vectors shares."""
    return np.concatenate([fr.vector(owner["g"]), scalars(owner["blinders"])])


def some_values(rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(24,) coordinates of 6 bits."""
    return rng.integers(-32, 32, PARAMS.dimension, dtype=np.int64)
