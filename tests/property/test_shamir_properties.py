"""Sharing and rebuilding, whatever the secret, the degree and who shows up."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from protocols.fields import goldilocks as gl
from protocols.fields import oracle
from protocols.fields.goldilocks import P
from protocols.sharing import shamir

seeds = st.binary(min_size=32, max_size=32)
secrets = st.lists(st.integers(0, P - 1), max_size=8)


@given(secrets, st.integers(0, 4), st.sets(st.integers(1, P - 1), min_size=5, max_size=9), seeds, st.data())
def test_vectors(secret: list[int], degree: int, chosen: set[int], seed: bytes, data: st.DataObject) -> None:
    points = sorted(chosen)
    who = data.draw(st.permutations(range(len(points)))).copy()[: degree + 1]
    at = data.draw(st.integers(0, P - 1))
    plain = shamir.share(gl.vector(secret), degree, points, seed)
    dealt = [shamir.open_piece(p, len(secret)) for p in shamir.deal(gl.vector(secret), degree, points, seed)]
    for shares in (plain, dealt):
        nodes, known = [points[i] for i in who], [shares[i] for i in who]
        assert shamir.combine(nodes, known).tolist() == secret
        expected = [oracle.interpolate(nodes, [int(s[j]) for s in known], at) for j in range(len(secret))]
        assert shamir.combine(nodes, known, at).tolist() == expected


@given(st.binary(min_size=32, max_size=32), st.integers(1, 12), st.integers(0, 5), seeds, st.data())
def test_secrets(secret: bytes, threshold: int, spare: int, seed: bytes, data: st.DataObject) -> None:
    shares = shamir.share_secret(secret, threshold, threshold + spare, seed)
    who = data.draw(st.permutations(range(1, threshold + spare + 1)))[: threshold + data.draw(st.integers(0, spare))]
    assert shamir.rebuild_secret(who, [shares[x - 1] for x in who]) == secret


@given(st.lists(st.tuples(st.integers(-1, 9), st.binary(max_size=48)), max_size=6))
def test_garbage_is_32_bytes_or_a_value_error(rows: list[tuple[int, bytes]]) -> None:
    with suppress(ValueError):
        assert len(shamir.rebuild_secret([x for x, _ in rows], [s for _, s in rows])) == 32


@given(st.binary(min_size=40, max_size=40), seeds)
def test_garbage_share_among_good_ones(share: bytes, seed: bytes) -> None:
    shares = shamir.share_secret(bytes(32), 2, 2, seed)
    with suppress(ValueError):
        assert len(shamir.rebuild_secret([1, 2], [shares[0], share])) == 32
