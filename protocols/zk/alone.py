"""The committee's proof made by one party that knows the vectors: an oracle for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocols.bn254.fr import Vector
from protocols.zk.committee import REFERENCE, Prover, Seat, Select
from protocols.zk.key import Key
from protocols.zk.statement import Claim, Seen


@dataclass(frozen=True, slots=True)
class Proved:
    """claim: with the values, and for GRAM the mask.  proof: 416 bytes, or 448."""

    claim: Claim
    proof: bytes


def committee_of_one(
    key: Key,
    sess: bytes,
    seen: Sequence[Seen],
    vectors: Sequence[Vector],
    seed: bytes,
    select: Select,
    reference: tuple[Seen, Vector] | None = None,
) -> Prover:
    """A prover whose shares are the vectors themselves: everything that it sends is what is opened.

    vectors: (d + 6, 4) each, coordinates and blinders.  seed: 32 secret bytes, used for this proof alone.
    """
    everything = {k: vector for k, vector in enumerate(vectors)}
    if reference is not None:
        everything[REFERENCE] = reference[1]
    seat = Seat(1, 1, 0, {(1,): seed}, b"alone")
    return Prover(key, sess, seen, everything.__getitem__, seat, select, reference[0] if reference else None)


def prove_alone(
    key: Key,
    sess: bytes,
    seen: Sequence[Seen],
    vectors: Sequence[Vector],
    seed: bytes,
    select: Select,
    reference: tuple[Seen, Vector] | None = None,
) -> Proved:
    """GRAM, or SCORE where there is a reference, of vectors that are known. Arguments as ``committee_of_one``."""
    prover = committee_of_one(key, sess, seen, vectors, seed, select, reference)
    for index, step in enumerate(prover.steps):
        prover.accept(index, step.read(prover.message(index)))
    return Proved(prover.claim, prover.proof())
