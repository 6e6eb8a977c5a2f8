"""The Merkle tree: every leaf of every small tree, known structure, and what must not verify."""

from __future__ import annotations

import pytest

from protocols.sharing import merkle
from protocols.wire.context import tagged_hash


def leaves(count: int) -> list[bytes]:
    return [b"leaf %d" % i for i in range(count)]


def leaf_hash(data: bytes) -> bytes:
    return tagged_hash("omninode/merkle/leaf", data)


def node_hash(left: bytes, right: bytes) -> bytes:
    return tagged_hash("omninode/merkle/node", left, right)


def root_hash(top: bytes, count: int) -> bytes:
    return tagged_hash("omninode/merkle/root", count.to_bytes(8, "big"), top)


def test_structure() -> None:
    a, b, c = (leaf_hash(x) for x in leaves(3))
    assert merkle.root(leaves(1)) == root_hash(a, 1)
    assert merkle.root(leaves(2)) == root_hash(node_hash(a, b), 2)
    assert merkle.root(leaves(3)) == root_hash(node_hash(node_hash(a, b), c), 3)
    assert merkle.proof(leaves(3), 0) == [b, c]
    assert merkle.proof(leaves(3), 2) == [node_hash(a, b)]
    assert merkle.proof(leaves(1), 0) == []


@pytest.mark.parametrize("count", [*range(1, 18), 33, 100])
def test_every_leaf_verifies_and_only_in_its_place(count: int) -> None:
    data = leaves(count)
    root = merkle.root(data)
    for i in range(count):
        path = merkle.proof(data, i)
        assert merkle.verify(root, data[i], i, count, path)
        assert not merkle.verify(root, b"other", i, count, path)
        assert not merkle.verify(root, data[i], (i + 1) % count, count, path) or count == 1
        assert not merkle.verify(root, data[i], i, count + 1, path)
        assert not merkle.verify(merkle.root(leaves(count + 1)), data[i], i, count, path)


def test_equal_leaves_are_bound_to_their_index() -> None:
    data = [b"same"] * 3
    root = merkle.root(data)
    assert all(merkle.verify(root, b"same", i, 3, merkle.proof(data, i)) for i in range(3))
    assert not merkle.verify(root, b"same", 2, 3, merkle.proof(data, 0))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_damaged_proofs(count: int) -> None:
    data = leaves(count)
    root, path = merkle.root(data), merkle.proof(data, 0)
    damaged = [
        path[:-1],
        [*path, bytes(32)],
        [*path[:-1], bytes(32)],
        [*path[:-1], path[-1][:31]],
        [path[0] + b"\0", *path[1:]],
        path[::-1] if len(path) > 1 else [],
    ]
    assert not any(merkle.verify(root, data[0], 0, count, p) for p in damaged)


@pytest.mark.parametrize(("index", "count"), [(-1, 3), (3, 3), (0, 0), (0, -1), (0, 1 << 64)])
def test_impossible_places(index: int, count: int) -> None:
    assert not merkle.verify(merkle.root(leaves(3)), b"leaf 0", index, count, merkle.proof(leaves(3), 0))


def test_nodes_cannot_pose_as_leaves() -> None:
    a, b = (leaf_hash(x) for x in leaves(2))
    assert merkle.root([a + b]) != merkle.root(leaves(2))
    assert merkle.root([node_hash(a, b)]) != merkle.root(leaves(2))


def test_boundaries_between_leaves_count() -> None:
    assert merkle.root([b"ab", b"c"]) != merkle.root([b"a", b"bc"])
    assert merkle.root([b""]) != merkle.root([b"", b""])


def test_an_odd_leaf_is_not_doubled() -> None:
    """The duplication of the last leaf that let Bitcoin blocks have two forms (CVE-2012-2459)."""
    assert merkle.root(leaves(3)) != merkle.root([*leaves(3), leaves(3)[2]])


def test_refusals() -> None:
    with pytest.raises(ValueError, match="at least one"):
        merkle.root([])
    for i in (-1, 3):
        with pytest.raises(IndexError, match="of 3"):
            merkle.proof(leaves(3), i)


def test_wrong_root() -> None:
    data = leaves(4)
    for root in (b"", bytes(32), merkle.root(data)[:31]):
        assert not merkle.verify(root, data[0], 0, 4, merkle.proof(data, 0))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16, 17])
def test_all_proofs_at_once(count: int) -> None:
    assert merkle.proofs(leaves(count)) == [merkle.proof(leaves(count), i) for i in range(count)]
