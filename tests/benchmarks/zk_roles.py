"""Whose work is measured under certificate zk: data owner, prover, model owner; each in a process of its own.

A role is a function of (connection, stage, arguments); it answers through the connection what it spent, by phase. Keys
are loaded and libraries are there before the watch starts, as in a node that runs.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from eth_hash.auto import keccak

from protocols.bn254 import fr, pairing
from protocols.bn254.fr import Vector
from protocols.sessions.shelf import get_vector, put_vector
from protocols.zk import upload as uploading
from protocols.zk.batch import check_batch, make_batch
from protocols.zk.committee import REFERENCE, Prover
from protocols.zk.decode import decode_scalars
from protocols.zk.params import NB_G, Statement
from protocols.zk.proved_sum import ProvedSum
from protocols.zk.range_check import check_many
from protocols.zk.share_check import check_shares
from protocols.zk.upload import Opened, make_upload, open_upload
from tests.benchmarks.zk_stage import (
    MEASURED,
    N,
    Stage,
    T,
    address_of,
    name_of,
    prover_of,
    seed_of,
    seen_in,
    sum_of,
    update,
)
from tests.benchmarks.zk_watch import Spent, Watch

LIMIT_S = 900.0
Role = Callable[..., None]


@contextmanager
def apart(role: Role, *args: Any) -> Iterator[Connection]:
    """A fresh process in which ``role`` works. RuntimeError if it fails."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=role, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
        process.join(LIMIT_S)
        if process.exitcode != 0:
            raise RuntimeError(f"{role.__name__} ended with {process.exitcode}")
    finally:
        ours.close()
        if process.is_alive():
            process.terminate()
            process.join()


def answer(connection: Connection) -> Any:
    """What the role says next. RuntimeError if it has died or says nothing for a long time."""
    try:
        if connection.poll(LIMIT_S):
            return connection.recv()
    except EOFError:
        pass
    raise RuntimeError("a measured process gave no answer")


def data_owner(connection: Connection, stage: Stage, k: int) -> None:
    """Answers (phases, bytes to all provers, record): shares, commitments, proof; then pieces, one at a time, to disk.

    Part "prove" is in "make the upload" as well.
    """
    key, sess, values = stage.key, stage.sess, update(stage.dimension, k)
    watch, proving = Watch(), vars(uploading)["prove"]

    def prove(*args: Any) -> Any:
        with parts.phase("prove"):
            return proving(*args)

    parts = Watch()
    vars(uploading)["prove"] = prove
    try:
        with watch.phase("make the upload"):
            made = make_upload(key, sess, address_of(k), values, seed_of(k), N, T, stage.bound_squared)
    finally:
        vars(uploading)["prove"] = proving
    sent = N * len(made.public)
    with watch.phase("write the pieces"):
        for j, plain in enumerate(made.plains(), 1):
            (stage.folder / f"own-{j}").write_bytes(plain)
            sent += len(plain)
    connection.send((watch.phases | parts.phases, sent, made.record))


class _Desk:
    """The measured prover's work, phase by phase."""

    def __init__(self, stage: Stage, count: int) -> None:
        pairing.product_is_one([])  # the library is there
        self.stage, self.count, self.key, self.sess = stage, count, stage.key, stage.sess
        self.indices, self.shelf = stage.indices(count), stage.shelf(MEASURED)
        self.watch = Watch()
        self.opened: dict[int, Opened] = {}

    def receive(self) -> None:
        """Every piece, from the bytes that were sealed, to the shelf."""
        with self.watch.phase("receive uploads"):
            for k in self.indices:
                public, path = self.stage.dealt(k)
                root = keccak(public[: len(public) - 64 * T - 32 * N])
                plain = path.read_bytes()
                opened = open_upload(self.key, self.sess, address_of(k), MEASURED, N, T, root, public, plain)
                put_vector(self.shelf, name_of(k), opened.share())
                self.opened[k] = Opened(opened.record, opened.dealing, opened.params, opened.point, b"")

    def check(self) -> None:
        """Records, then shares. RuntimeError if one is bad."""
        records = [self.opened[k].record for k in self.indices]
        with self.watch.phase("check records"):
            found = check_many(self.key, self.sess, records, b"\5" * 32, self.stage.bound_squared)
            self.everyone = seen_in(self.stage, {k: self.opened[k].record for k in self.indices})
        if any(found.values()):
            raise RuntimeError(f"records are refused: {found}")
        dealings = [self.opened[k].dealing for k in self.indices]
        with self.watch.phase("check shares"):
            wrong = check_shares(self.key, MEASURED, self._share, dealings, b"\6" * 32)
        if wrong:
            raise RuntimeError(f"shares are wrong: {wrong}")

    def _share(self, place: int) -> Vector:
        return get_vector(self.shelf, name_of(self.indices[place])).reshape(-1, 4)

    def prove(self, connection: Connection) -> Prover:
        """All openings with the others."""
        prover = prover_of(self.stage, self.key, self.shelf, MEASURED, self.count, self.everyone)
        value = None
        for index, step in enumerate(prover.steps):
            others: dict[int, bytes] = connection.recv()
            with self.watch.phase("A, E" if step.name in "AE" else step.name) as spent:
                if value is not None:
                    prover.accept(index - 1, value)
                own = prover.message(index)
                messages = {j: step.read(data) for j, data in (others | {MEASURED: own}).items()}
                decoded = step.decode(messages, step.need(N, T))
                spent.sent = len(own)
            if decoded is None or decoded.liars:
                raise RuntimeError(f"step {step.name} is not decoded")
            value = decoded.values
            connection.send(own)
        assert value is not None
        prover.accept(len(prover.steps) - 1, value)
        return prover

    def batch(self, prover: Prover) -> tuple[int, int]:
        """Put together and checked as by the contract; the commitment of the sum."""
        records = [self.opened[k].record for k in range(self.count)]
        reference = self.opened[REFERENCE].record if self.stage.statement is Statement.SCORE else None
        with self.watch.phase("check batch"):
            mask, values = (1 << self.count) - 1, prover.values
            batch = make_batch(self.stage.statement, records, mask, values, prover.proof(), reference)
            checked = check_batch(self.key, self.sess, batch, self.stage.bound_squared)
        return checked.c_agg

    def output(self) -> bytes:
        """Our share of the sum."""
        with self.watch.phase("output") as spent:
            data = fr.to_bytes(sum_of(self.shelf, self.count))
            spent.sent = len(data)
        return data


def prover(connection: Connection, stage: Stage, count: int) -> None:
    """In every step takes the others' messages and answers its own; at last (phases, sum's commitment, share of it)."""
    desk = _Desk(stage, count)
    desk.receive()
    desk.check()
    aggregate = desk.batch(desk.prove(connection))
    share = desk.output()
    connection.send((desk.watch.phases, aggregate, share))


def owner(connection: Connection, stage: Stage, aggregate: tuple[int, int]) -> None:
    """Takes the shares of the sum, answers (phases, sum)."""
    key, shares = stage.key, connection.recv()
    watch = Watch()
    with watch.phase("open the sum"):
        first, second, *_ = read = {j: fr.from_bytes(data) for j, data in shares.items()}
        search = ProvedSum(key, T, aggregate)
        search.find({first: read[first]}, first)
        value = search.find({first: read[first], second: read[second]}, second)
        total = None if value is None else fr.to_signed(value[:-NB_G])
    with watch.phase("name liars"):
        decoded = decode_scalars(read, T, 2 * T + 1)
    if total is None or decoded is None or decoded.liars:
        raise RuntimeError("the sum does not open")
    spent: dict[str, Spent] = watch.phases
    connection.send((spent, total))
