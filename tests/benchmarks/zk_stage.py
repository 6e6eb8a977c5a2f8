"""Everybody but those who are measured, under certificate zk: data owners' uploads on disk, four of five provers.

What they make is what they would make in earnest, byte for byte; they only know the string's secret, which saves them
the sums of multiples. Committee of five, one may lie; the third, who gets whole vectors, is measured.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from omninode.learning.precision import largest_bound
from omninode.store.shelf import DiskShelf
from protocols.bn254 import fr, poly
from protocols.bn254.fr import Vector
from protocols.sessions.shelf import get_vector, put_vector
from protocols.sharing.zero import subsets
from protocols.wire.context import tagged_hash
from protocols.zk.batch import seen
from protocols.zk.committee import REFERENCE, Prover, Seat
from protocols.zk.key import Key
from protocols.zk.params import Statement
from protocols.zk.pieces import read_plain
from protocols.zk.range_check import challenges
from protocols.zk.record import Record
from protocols.zk.statement import Seen
from protocols.zk.upload import make_upload, open_public
from tests.benchmarks.zk_known import key_of, known, session_of

N, T, MEASURED = 5, 1, 3
OTHERS = tuple(j for j in range(1, N + 1) if j != MEASURED)
THREADS = 2
Update = npt.NDArray[np.int64]


def address_of(k: int) -> int:
    """Of data owner k; of the reference's owner."""
    return 0x9000 if k == REFERENCE else 0x1000 + k


def update(dimension: int, number: int) -> Update:
    """Random, within the bound, at 60 degrees to each other."""
    noise = np.random.default_rng(number + 1).standard_normal(dimension)
    noise += np.random.default_rng(1 << 16).standard_normal(dimension)
    return np.trunc(noise * (0.99 * largest_bound(dimension) / np.linalg.norm(noise))).astype(np.int64)


def seed_of(k: int) -> bytes:
    """All randomness of one upload."""
    return tagged_hash("benchmark upload", (k + 1).to_bytes(8, "big"))


@dataclass(frozen=True)
class Stage:
    """What lies in a folder: the key, public parts by data owner, pieces of the measured prover, others' shares."""

    folder: Path
    dimension: int
    statement: Statement

    @cached_property
    def key(self) -> Key:
        """As a node has it; made once and kept in the folder."""
        path = self.folder / "key"
        if not path.exists():
            path.write_bytes(pickle.dumps(key_of(self.dimension, self.statement, THREADS)))
        key: Key = pickle.loads(path.read_bytes())
        return key

    @cached_property
    def sess(self) -> bytes:
        """What is proved is proved for this."""
        return session_of(self.key)

    @property
    def bound_squared(self) -> int:
        """B^2."""
        return largest_bound(self.dimension) ** 2

    def shelf(self, point: int) -> DiskShelf:
        """Of one prover. It is emptied."""
        return DiskShelf(self.folder / f"shelf-{point}")

    def dealt(self, k: int) -> tuple[bytes, Path]:
        """What everybody gets of an upload, and where the measured prover's piece is."""
        return (self.folder / f"public-{k}").read_bytes(), self.folder / f"plain-{k}"

    def record(self, k: int) -> Record:
        """Of a data owner that has uploaded."""
        public = self.dealt(k)[0]
        root = (self.folder / f"root-{k}").read_bytes()
        return open_public(self.key, address_of(k), N, T, root, public)[0]

    def indices(self, count: int) -> list[int]:
        """Of the records of a batch, in its order; for SCORE the reference's comes first."""
        return [*([REFERENCE] if self.statement is Statement.SCORE else []), *range(count)]


def upload_all(stage: Stage, count: int) -> Mapping[int, DiskShelf]:
    """Let so many data owners upload, and the reference's owner; the shelves of the provers that are not measured."""
    key, indices = known(stage.key), stage.indices(count)
    shelves = {j: stage.shelf(j) for j in OTHERS}

    def work(k: int) -> None:
        values = update(stage.dimension, k)
        made = make_upload(key, stage.sess, address_of(k), values, seed_of(k), N, T, stage.bound_squared)
        (stage.folder / f"public-{k}").write_bytes(made.public)
        (stage.folder / f"root-{k}").write_bytes(made.root)
        (stage.folder / f"plain-{k}").write_bytes(made.plain(MEASURED))
        for j, shelf in shelves.items():
            put_vector(shelf, name_of(k), read_plain(key.params, j, T, made.plain(j)).share)

    poly.each(work, indices, THREADS)
    return shelves


def name_of(k: int) -> str:
    """Of a share on a shelf."""
    return f"share-{k}"


def seat(point: int, count: int) -> Seat:
    """Of a prover, for a batch of so many."""
    seeds = {members: tagged_hash("benchmark seed", bytes(members)) for members in subsets(N, T) if point in members}
    return Seat(point, N, T, seeds, tagged_hash("benchmark batch", count.to_bytes(8, "big")))


def prover_of(stage: Stage, key: Key, shelf: DiskShelf, point: int, count: int, everyone: Mapping[int, Seen]) -> Prover:
    """A prover whose shares lie on a shelf; everybody is accepted. everyone: by index, the reference too."""

    def share(k: int) -> Vector:
        return get_vector(shelf, name_of(k)).reshape(-1, 4)

    order = [everyone[k] for k in range(count)]
    return Prover(
        key, stage.sess, order, share, seat(point, count), lambda _: (1 << count) - 1, everyone.get(REFERENCE)
    )


def seen_in(stage: Stage, records: Mapping[int, Record]) -> dict[int, Seen]:
    """Records as the transcript has them."""
    return {k: seen(record, challenges(stage.key, stage.sess, record)) for k, record in records.items()}


class Others:
    """The provers that are not measured."""

    def __init__(self, stage: Stage, shelves: Mapping[int, DiskShelf], count: int) -> None:
        records = {k: stage.record(k) for k in stage.indices(count)}
        everyone, key = seen_in(stage, records), known(stage.key)
        self._shelves, self._count = shelves, count
        self._provers = {j: prover_of(stage, key, shelf, j, count, everyone) for j, shelf in shelves.items()}
        self.steps = self._provers[OTHERS[0]].steps

    def messages(self, index: int) -> dict[int, bytes]:
        """What they send in a step."""
        out: dict[int, bytes] = {}

        def work(j: int) -> None:
            out[j] = self._provers[j].message(index)

        poly.each(work, self._provers, THREADS)
        return out

    def accept(self, index: int, received: Mapping[int, bytes]) -> None:
        """Decode everybody's messages, that of the measured one too. RuntimeError unless all are right."""
        step = self.steps[index]
        decoded = step.decode({j: step.read(data) for j, data in received.items()}, step.need(N, T))
        if decoded is None or decoded.liars:
            raise RuntimeError(f"step {step.name}: {decoded and decoded.liars} lied")
        if index + 1 < len(self.steps):  # the measured one goes on alone
            poly.each(lambda j: self._provers[j].accept(index, decoded.values), self._provers, THREADS)

    def sums(self) -> dict[int, bytes]:
        """Their output, everybody being accepted."""
        return {j: fr.to_bytes(sum_of(shelf, self._count)) for j, shelf in self._shelves.items()}


def sum_of(shelf: DiskShelf, count: int) -> Vector:
    """(d + 6, 4): of the shares of all data owners, one after another."""
    total: Vector | None = None
    for k in range(count):
        share = get_vector(shelf, name_of(k)).reshape(-1, 4)
        if total is None:
            total = share.copy()
        else:
            fr.add_into(total, share)
    if total is None:
        raise ValueError("nobody is accepted")
    return total


def true_sum(dimension: int, count: int) -> Update:
    """What the owner should find."""
    total = np.zeros(dimension, dtype=np.int64)
    for k in range(count):
        total += update(dimension, k)
    return total
