"""The committee of the vectors of the proofs, and calldata as they have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from protocols.bn254 import fr
from protocols.zk.batch import Batch
from protocols.zk.committee import REFERENCE, Prover, Seat
from protocols.zk.key import Key, session_hash
from protocols.zk.params import Statement
from protocols.zk.statement import Seen
from tests.unit.bn254_kit import number
from tests.unit.zk_kit import SMALL, small_key, word_of

NAMES = {"values": "gram", "A": "A(z)", "E": "S,q(z)"}
"""Names of openings in the vectors, where they are others than ours."""


def numbers(data: Any) -> Iterator[int]:
    """All numbers of nested lists."""
    if isinstance(data, list):
        for item in data:
            yield from numbers(item)
    else:
        yield number(data) if isinstance(data, str) else data


def words(*data: Any) -> bytes:
    """32 bytes per number."""
    return b"".join(x.to_bytes(32, "big") for item in data for x in numbers(item))


def proof_bytes(proof: Any) -> bytes:
    """The proof of a file."""
    return words(*(proof[name] for name in ("S", "q", "E", "W", "W2")))


def key_of(data: Any) -> Key:
    """The key of a file; ``score`` has its own tau."""
    return small_key(SMALL, None, number(data["parameters"]["tau"] if "parameters" in data else data["tau"]))


def seats(data: Any, label: str) -> dict[int, Seat]:
    """The provers' seeds and label."""
    seeds = {tuple(map(int, k.split(","))): word_of(v) for k, v in data["replicated_seeds"].items()}
    return {j: Seat(j, 5, 1, {s: seed for s, seed in seeds.items() if j in s}, label.encode()) for j in range(1, 6)}


def gram_committee(honest: Any, label: str) -> dict[int, Prover]:
    """The provers of ``honest_K3_n5``."""
    key, sess = key_of(honest), word_of(honest["session"]["hash"])
    seen = [Seen(owner["addr"], word_of(owner["range"]["t0_t3"][3])) for owner in honest["data_owners"]]
    mask = sum(1 << k for k in honest["statement"]["accepted"])
    return {
        j: Prover(key, sess, seen, _shares(honest["data_owners"], j, 0), seat, lambda _: mask)
        for j, seat in seats(honest, label).items()
    }


def score_committee(score: Any) -> dict[int, Prover]:
    """The provers of ``score_K3_n5``."""
    key, sess = key_of(score), word_of(score["session"]["hash"])
    f, *seen = [Seen(record["addr"], word_of(record["t"])) for record in score["records"]]
    return {
        j: Prover(key, sess, seen, _shares(score["data_owners"], j, 1), seat, lambda _: 0, f)
        for j, seat in seats(score, score["label"]).items()
    }


def _shares(owners: Any, j: int, first: int) -> Callable[[int], fr.Vector]:
    own = {k - first: fr.vector(numbers(owner["shares"][str(j)])) for k, owner in enumerate(owners)}
    assert not first or REFERENCE in own
    return own.__getitem__


def parse(calldata: str, key: Key, contract: str) -> tuple[bytes, Batch, int]:
    """(sess, batch, squared bound) of a call of ``verify``."""
    data = bytes.fromhex(calldata[10:])
    head = [int.from_bytes(data[i : i + 32], "big") for i in range(0, 224, 32)]
    parts = []
    for offset in head[4:]:
        length = int.from_bytes(data[offset : offset + 32], "big")
        parts.append(data[offset + 32 : offset + 32 + length])
    sess = session_hash(31337, number(contract).to_bytes(20, "big"), head[0], head[1], key.digest, head[2])
    return sess, Batch(Statement.GRAM, parts[0], head[3], parts[1], parts[2]), head[2]
