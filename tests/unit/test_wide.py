"""256-bit arithmetic in kernels against its definition on Python's integers, at the edges of words and moduli."""

from __future__ import annotations

import random

import numpy as np
import pytest

from protocols.bn254.field import Q, R
from protocols.fields import wide
from protocols.fields.jit import SIZE, TABLE, TABLE_OUT, VOID, kernel
from protocols.fields.wide import Number, add_mod, add_wide, less, mul_montgomery, sub_mod, sub_wide

_R, _Q = wide.words(R), wide.words(Q)
_R_HELP, _Q_HELP = (np.uint64(-pow(p, -1, 2**64) % 2**64) for p in (R, Q))
Words = np.typing.NDArray[np.uint64]


@kernel(VOID(TABLE, TABLE, TABLE_OUT))
def everything(a: Words, b: Words, out: Words) -> None:
    """Eight results for every row of a and b: sums, differences, products mod R and Q, then without a modulus."""
    for i in range(len(a)):
        x, y = (a[i, 0], a[i, 1], a[i, 2], a[i, 3]), (b[i, 0], b[i, 1], b[i, 2], b[i, 3])
        results = (
            add_mod(x, y, _R),
            add_mod(x, y, _Q),
            sub_mod(x, y, _R),
            sub_mod(x, y, _Q),
            mul_montgomery(x, y, _R, _R_HELP),
            mul_montgomery(x, y, _Q, _Q_HELP),
            add_wide(x, y),
            sub_wide(x, y),
        )
        for k in range(8):
            for word in range(4):
                out[8 * i + k, word] = results[k][word]


@kernel(SIZE(TABLE, TABLE))
def smaller(a: Words, b: Words) -> int:
    """How many rows of a are less than those of b."""
    count = 0
    for i in range(len(a)):
        if less((a[i, 0], a[i, 1], a[i, 2], a[i, 3]), (b[i, 0], b[i, 1], b[i, 2], b[i, 3])):
            count += 1
    return count


EDGES = [0, 1, 2, 2**64 - 1, 2**64, 2**128 - 1, 2**192, R - 1, R - 2, (R - 1) // 2, (R + 1) // 2, 2**253 - 1]


def numbers(seed: bytes) -> list[int]:
    rng = random.Random(seed)
    return EDGES + [rng.randrange(R) for _ in range(12)]


def table(values: list[int]) -> Words:
    return np.array([wide.words(x) for x in values], dtype=np.uint64)


def definitions(x: Number, y: Number) -> list[Number]:
    return [
        add_mod(x, y, _R),
        add_mod(x, y, _Q),
        sub_mod(x, y, _R),
        sub_mod(x, y, _Q),
        mul_montgomery(x, y, _R, _R_HELP),
        mul_montgomery(x, y, _Q, _Q_HELP),
        add_wide(x, y),
        sub_wide(x, y),
    ]


def test_kernels_compute_what_the_definitions_say(seed: bytes) -> None:
    values = numbers(seed)
    pairs = [(x, y) for x in values for y in values]
    a, b = table([x for x, _ in pairs]), table([y for _, y in pairs])
    out = np.empty((8 * len(pairs), 4), dtype=np.uint64)
    everything(a, b, out)
    expected = [result for x, y in pairs for result in definitions(wide.words(x), wide.words(y))]
    assert out.tolist() == np.array(expected, dtype=np.uint64).tolist()
    assert smaller(a, b) == sum(x < y for x, y in pairs)
    assert sum(less(wide.words(x), wide.words(y)) for x, y in pairs) == sum(x < y for x, y in pairs)


def test_the_first_factor_may_be_any_256_bit_number() -> None:
    pairs = [(2**256 - 1, R - 1), (2**256 - 1, 0), (2**255, R - 1), (Q, R - 1), (R, R - 1), (2**256 - R, 1)]
    out = np.empty((8 * len(pairs), 4), dtype=np.uint64)
    everything(table([x for x, _ in pairs]), table([y for _, y in pairs]), out)
    for i, (x, y) in enumerate(pairs):
        assert wide.integer(out[8 * i + 4]) == x * y * pow(2, -256, R) % R
        assert wide.integer(out[8 * i + 5]) == x * y * pow(2, -256, Q) % Q


def test_words_and_back() -> None:
    for x in (0, 1, 2**64 - 1, 2**256 - 1, R):
        assert wide.integer(wide.words(x)) == x
    for x in (-1, 2**256):
        with pytest.raises(OverflowError):
            wide.words(x)
    wide.apart()
