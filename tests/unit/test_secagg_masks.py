"""Masks: what streams yield, what cancels, what is uniform."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand
from protocols.secagg import streams
from protocols.secagg.kernels import ROWS, sum_rows
from protocols.secagg.keys import SessionKeys
from protocols.secagg.masks import mask_update, pair_seed, unmask_vector
from protocols.secagg.streams import LABEL, MaskStream, accumulate, accumulate_streams
from protocols.wire.context import Context

CONTEXT = Context(1, b"\x11" * 20, 7)


def seeds(count: int) -> list[bytes]:
    return [bytes([i]) * 32 for i in range(count)]


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 8191, 8192, 8193, 20001])
@pytest.mark.parametrize(("plus", "minus"), [(0, 0), (1, 0), (0, 1), (8, 9), (17, 3)])
def test_streams_add_up_to_expanded_seeds(length: int, plus: int, minus: int, rng: np.random.Generator) -> None:
    start = rng.integers(0, P, length, dtype=np.uint64)
    total, expected = start.copy(), start.copy()
    accumulate(total, seeds(plus + minus)[:plus], seeds(plus + minus)[plus:])
    for i, seed in enumerate(seeds(plus + minus)):
        (gl.add_into if i < plus else gl.sub_into)(expected, expand(seed, length, LABEL))
    assert np.array_equal(total, expected)


def test_more_streams_than_are_open_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_AT_ONCE", 3)
    total, expected = gl.zeros(10), gl.zeros(10)
    accumulate(total, seeds(8)[:7], seeds(8)[7:])
    monkeypatch.undo()
    accumulate(expected, seeds(8)[:7], seeds(8)[7:])
    assert np.array_equal(total, expected)


class Canned(MaskStream):
    """A stream whose raw words are given."""

    def __init__(self, words: list[int]) -> None:
        self._words = np.array(words, dtype=np.uint64)

    def raw(self, row: npt.NDArray[np.uint64]) -> None:
        row[:], self._words = self._words[: len(row)], self._words[len(row) :]


def test_words_beyond_the_field_are_skipped() -> None:
    words = [5, P, P - 1, 2**64 - 1, P + 1, P, 7, 2**64 - 1, 1, 2, 3]
    total = gl.zeros(4)
    accumulate_streams(total, [Canned(words), Canned([1, 1, 1, 1])], [Canned([0, 0, 2, 0])])
    assert total.tolist() == [6, 0, 6, 2]


def test_the_kernel_sums_any_words(rng: np.random.Generator) -> None:
    rows = rng.integers(0, 2**64 - 1, (ROWS, 500), dtype=np.uint64, endpoint=True)
    rows[:, :4] = np.array([[0], [1], [P - 1], [P], [2**64 - 1], [2**32], [2**32 - 1], [P + 1]], dtype=np.uint64)
    rows[:, 4] = 2**64 - 1
    out = np.empty(500, dtype=np.uint64)
    assert sum_rows(rows, out) == 1
    assert out.tolist() == [sum(column) % P for column in rows.T.tolist()]
    small = rng.integers(0, P - 1, (ROWS, 500), dtype=np.uint64)
    assert sum_rows(small, out) == 0
    assert out.tolist() == [sum(column) % P for column in small.T.tolist()]


@pytest.mark.parametrize("row", range(ROWS))
def test_the_kernel_sees_a_refused_word_in_every_row(row: int) -> None:
    rows = np.zeros((ROWS, 9), dtype=np.uint64)
    rows[row, 8] = P
    assert sum_rows(rows, np.empty(9, dtype=np.uint64)) == 1


def address(k: int) -> bytes:
    return bytes([k + 1]) * 20


class Group:
    """Keys and masked random updates of a group of ``size`` over V."""

    def __init__(self, size: int, valid: set[int], length: int, rng: np.random.Generator) -> None:
        self.keys = [SessionKeys.derive(bytes([k]) * 32, CONTEXT, address(k)) for k in range(size)]
        self.updates = {k: rng.integers(0, P, length, dtype=np.uint64) for k in valid}
        self.valid, self.length = valid, length

    def seed(self, k: int, peer: int) -> bytes:
        return pair_seed(CONTEXT, self.keys[k].mask_secret, address(k), self.keys[peer].mask_public, address(peer))

    def masked(self, k: int) -> Vector:
        others = {peer: self.seed(k, peer) for peer in self.valid - {k}}
        return mask_update(self.updates[k], k, self.keys[k].self_seed, others)

    def unmask(self, survivors: set[int]) -> Vector:
        return unmask_vector(
            CONTEXT,
            self.length,
            {k: address(k) for k in self.valid},
            {k: self.keys[k].mask_public for k in self.valid},
            {k: self.keys[k].self_seed for k in survivors},
            {k: self.keys[k].mask_secret for k in self.valid - survivors},
        )


def total(vectors: list[Vector]) -> Vector:
    return gl.lincomb([1] * len(vectors), vectors)


@pytest.mark.parametrize(
    ("size", "valid", "survivors"),
    [
        (2, {0, 1}, {0, 1}),
        (3, {0, 1, 2}, {0, 2}),
        (4, {0, 1, 3}, {1, 3}),
        (5, {0, 1, 2, 3, 4}, {4, 0, 2}),
        (12, set(range(12)), set(range(0, 12, 2)) | {3}),
    ],
)
def test_masks_cancel_exactly(size: int, valid: set[int], survivors: set[int], rng: np.random.Generator) -> None:
    group = Group(size, valid, 333, rng)
    summed = total([group.masked(k) for k in survivors])
    assert np.array_equal(gl.sub(summed, group.unmask(survivors)), total([group.updates[k] for k in survivors]))


def test_pair_seeds_agree_and_differ(rng: np.random.Generator) -> None:
    group = Group(4, {0, 1, 2, 3}, 1, rng)
    assert group.seed(0, 1) == group.seed(1, 0)
    assert len({group.seed(a, b) for a in range(4) for b in range(a)}) == 6
    elsewhere = Context(1, b"\x11" * 20, 8)
    keys = group.keys
    assert pair_seed(elsewhere, keys[0].mask_secret, address(0), keys[1].mask_public, address(1)) != group.seed(0, 1)
    assert pair_seed(CONTEXT, keys[0].mask_secret, address(9), keys[1].mask_public, address(1)) != group.seed(0, 1)


def test_nobody_masks_with_itself(rng: np.random.Generator) -> None:
    group = Group(2, {0, 1}, 1, rng)
    with pytest.raises(ValueError):
        pair_seed(CONTEXT, group.keys[0].mask_secret, address(0), group.keys[0].mask_public, address(0))
    with pytest.raises(ValueError):
        mask_update(gl.zeros(1), 0, bytes(32), {0: bytes(32)})


def test_both_secrets_of_one_member_are_refused() -> None:
    with pytest.raises(ValueError, match="both"):
        unmask_vector(CONTEXT, 1, {}, {}, {0: bytes(32)}, {0: bytes(32)})


def test_a_masked_update_looks_uniform(rng: np.random.Generator) -> None:
    """Chi-square of the top byte of 64k words of a masked zero: 255 degrees of freedom, bounds far out."""
    group = Group(3, {0, 1, 2}, 1 << 16, rng)
    group.updates[1] = gl.zeros(1 << 16)
    masked = group.masked(1)
    assert int(masked.max()) < P
    for shift in (0, 24, 56):
        counts = np.bincount((masked >> np.uint64(shift)).astype(np.uint8), minlength=256)
        chi = float(((counts - 256.0) ** 2 / 256.0).sum())
        assert 120 < chi < 450


def test_the_update_is_not_changed(rng: np.random.Generator) -> None:
    group = Group(2, {0, 1}, 10, rng)
    before = group.updates[0].copy()
    group.masked(0)
    assert np.array_equal(group.updates[0], before)
