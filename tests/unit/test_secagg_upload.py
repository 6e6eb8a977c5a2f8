"""Pieces for provers: packing, commitment."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from protocols.fields.goldilocks import P
from protocols.secagg.upload import commit_upload, pack_piece, piece_bytes, split_plain, unpack_piece, verify_upload
from protocols.sharing.shamir import combine, deal, open_piece
from protocols.wire.context import Context

CONTEXT = Context(1, b"\x11" * 20, 7)
OWNER = b"o" * 20
SEED = b"s" * 32
LENGTH = 9


def test_pieces_survive_packing(rng: np.random.Generator) -> None:
    secret = rng.integers(0, P, LENGTH, dtype=np.uint64)
    pieces = deal(secret, 1, range(1, 6), SEED)
    opened = [open_piece(unpack_piece(pack_piece(piece), LENGTH), LENGTH) for piece in pieces]
    assert np.array_equal(combine([2, 5], [opened[1], opened[4]]), secret)
    assert sorted(len(pack_piece(piece)) for piece in pieces) == [33, *[piece_bytes(LENGTH)] * 4]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x01" + bytes(31),
        b"\x01" + bytes(33),
        b"\x02" + bytes(32),
        bytes(1 + 8 * 8),
        b"\x00" + b"\xff" * 72,
    ],
)
def test_other_bytes_are_no_piece(data: bytes) -> None:
    with pytest.raises(ValueError):
        unpack_piece(data, LENGTH)


def test_plain_is_blind_and_piece() -> None:
    _, committed = commit_upload(CONTEXT, OWNER, [b"p" * 32], SEED)
    assert split_plain(committed[0].plain) == (committed[0].blind, committed[0].data)
    for short in (b"", bytes(32)):
        with pytest.raises(ValueError):
            split_plain(short)


def test_each_piece_proves_its_place_and_no_other() -> None:
    pieces: list[bytes | np.ndarray] = [bytes([i]) * 32 for i in range(5)]
    root, committed = commit_upload(CONTEXT, OWNER, pieces, SEED)
    for i, piece in enumerate(committed, start=1):

        def ok(
            context: Context = CONTEXT, owner: bytes = OWNER, point: int = i, root: bytes = root, n: int = 5,
            piece: object = piece, **changes: bytes,
        ) -> bool:  # fmt: skip
            p = dataclasses.replace(piece, **changes)  # type: ignore[type-var]
            return verify_upload(context, owner, point, root, p.proof, n, p.blind, p.data)  # type: ignore[attr-defined]

        assert ok()
        assert not ok(context=dataclasses.replace(CONTEXT, session=8))
        assert not ok(owner=b"x" * 20)
        assert not any(ok(point=j) for j in range(-1, 8) if j != i)
        assert not ok(root=bytes(32))
        assert not ok(n=6)
        assert not ok(blind=bytes(32))
        assert not ok(blind=piece.blind[:-1])
        assert not ok(data=piece.data + b"\0")


def test_commitment_is_deterministic_and_hides() -> None:
    root, committed = commit_upload(CONTEXT, OWNER, [bytes(32)] * 3, SEED)
    assert commit_upload(CONTEXT, OWNER, [bytes(32)] * 3, SEED) == (root, committed)
    assert len({piece.blind for piece in committed}) == 3
    assert commit_upload(CONTEXT, OWNER, [bytes(32)] * 3, b"t" * 32)[0] != root
    assert repr(committed[0].blind) not in repr(committed[0])
