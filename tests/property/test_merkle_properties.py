"""Merkle trees over any leaves: proofs verify, changed ones do not, garbage is just false."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocols.sharing import merkle

trees = st.lists(st.binary(max_size=40), min_size=1, max_size=20)


@given(trees, st.data())
def test_proofs(leaves: list[bytes], data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(leaves) - 1))
    root, path = merkle.root(leaves), merkle.proof(leaves, i)
    assert merkle.verify(root, leaves[i], i, len(leaves), path)
    other = data.draw(st.binary(max_size=40))
    assert merkle.verify(root, other, i, len(leaves), path) == (other == leaves[i])
    j = data.draw(st.integers(-2, len(leaves) + 2))
    assert not merkle.verify(root, leaves[i], j, len(leaves), path) or i == j


@given(trees, trees)
def test_roots_tell_lists_apart(a: list[bytes], b: list[bytes]) -> None:
    assert (merkle.root(a) == merkle.root(b)) == (a == b)


@given(st.binary(), st.binary(), st.integers(), st.integers(), st.lists(st.binary(max_size=33), max_size=70))
def test_garbage_is_false(root: bytes, leaf: bytes, index: int, count: int, proof: list[bytes]) -> None:
    assert merkle.verify(root, leaf, index, count, proof) is False
