"""Batches of certificate zk for tests: data owners with records and shares, committees that lie, proofs remade."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from protocols.bn254 import fr, poly
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.sharing.zero import subsets
from protocols.zk import alone, range_check, range_proof
from protocols.zk.batch import Batch, make_batch, seen
from protocols.zk.committee import REFERENCE, Prover, Seat
from protocols.zk.decode import Table
from protocols.zk.key import Key
from protocols.zk.params import NB_G, Statement, ZkParams
from protocols.zk.record import Record
from protocols.zk.statement import Seen
from tests.unit.zk_kit import SMALL, scalars, session, small_key

BOUND_SQUARED = 40**2
Tamper = Callable[[int, int, Table], Table | None]
"""(step, point, message) -> what that prover sends instead; None: nothing."""


@dataclass(frozen=True, eq=False)
class World:
    """Data owners of a session. rows: 0 .. K - 1, and for SCORE the reference under REFERENCE."""

    statement: Statement
    key: Key
    sess: bytes
    vectors: Mapping[int, Vector]
    records: Mapping[int, Record]

    @property
    def count(self) -> int:
        """K."""
        return len(self.vectors) - (REFERENCE in self.vectors)

    @property
    def owners(self) -> list[Record]:
        """The records of data owners."""
        return [self.records[k] for k in range(self.count)]

    def seen(self, k: int) -> Seen:
        """A record in the transcript."""
        return seen(self.records[k], range_check.challenges(self.key, self.sess, self.records[k]))

    @property
    def everyone(self) -> list[Seen]:
        """All but the reference."""
        return [self.seen(k) for k in range(self.count)]

    @property
    def reference(self) -> Seen | None:
        """Of SCORE."""
        return self.seen(REFERENCE) if REFERENCE in self.records else None

    def batch(self, mask: int, values: tuple[int, ...], proof: bytes) -> Batch:
        """As it is posted."""
        return make_batch(self.statement, self.owners, mask, values, proof, self.records.get(REFERENCE))

    def alone(self, mask: int | None = None) -> Prover:
        """A committee of one, which accepts everybody or ``mask``."""
        both = None if self.reference is None else (self.reference, self.vectors[REFERENCE])
        vectors = [self.vectors[k] for k in range(self.count)]
        chosen = (1 << self.count) - 1 if mask is None else mask
        return alone.committee_of_one(self.key, self.sess, self.everyone, vectors, b"\1" * 32, lambda _: chosen, both)


@cache
def world(
    statement: Statement, count: int = 3, number: int = 7, bound_squared: int = BOUND_SQUARED, params: ZkParams = SMALL
) -> World:
    """Honest data owners with coordinates of -5 .. 5; the same every time."""
    norm_bits = None if statement is Statement.GRAM else BOUND_SQUARED.bit_length()
    key = small_key(params, norm_bits)
    sess = session(key, bound_squared, number)
    rng = np.random.default_rng(5)
    vectors, records = {}, {}
    for k in range(REFERENCE if statement is Statement.SCORE else 0, count):
        values = rng.integers(-5, 6, params.dimension)
        blinders = fr.vector(scalars(f"blinders {k}", NB_G))
        vectors[k] = np.concatenate([fr.from_signed(values), blinders])
        address = 0x9000 if k == REFERENCE else 0x1000 + 16 * k
        dg, secret = bytes([k + 2]) * 32, bytes([k + 102]) * 32
        records[k] = range_proof.prove(key, sess, address, values, blinders, dg, secret, bound_squared)
    return World(statement, key, sess, vectors, records)


def shares_of(vector: Vector, n: int, t: int, label: str, degree: int | None = None) -> dict[int, Vector]:
    """Shamir shares at 1 .. n."""
    top = [fr.vector(scalars(f"{label} {e}", len(vector))) for e in range(1, (t if degree is None else degree) + 1)]
    return {j: fr.combine([1, *(j**e for e in range(1, len(top) + 1))], [vector, *top]) for j in range(1, n + 1)}


@dataclass(frozen=True, eq=False)
class Run:
    """How a committee ended. liars: by step.  batch: None if some step could not be decoded."""

    liars: list[tuple[int, ...]]
    sent: list[dict[int, bytes]]
    batch: Batch | None
    provers: dict[int, Prover]


def committee(
    w: World, n: int = 5, t: int = 1, mask: int | None = None, label: bytes = bytes(32), altered: int = 0
) -> dict[int, Prover]:
    """Provers with shares. altered: the prover whose shares are not those that were dealt."""
    seeds = {s: bytes([*s, *bytes(32 - len(s))]) for s in subsets(n, t)}
    dealt = {k: shares_of(vector, n, t, f"share {k}") for k, vector in w.vectors.items()}
    chosen = (1 << w.count) - 1 if mask is None else mask
    out = {}
    for j in range(1, n + 1):
        own = {k: fr.shift(shares[j], 1) if j == altered else shares[j] for k, shares in dealt.items()}
        seat = Seat(j, n, t, seeds, label)
        out[j] = Prover(w.key, w.sess, w.everyone, own.__getitem__, seat, lambda _: chosen, w.reference)
    return out


def drive(w: World, provers: dict[int, Prover], t: int = 1, tamper: Tamper = lambda i, j, m: m) -> Run:
    """All steps, with everybody's messages but for what ``tamper`` changes."""
    first, liars, sent = next(iter(provers.values())), [], []
    for index, step in enumerate(first.steps):
        sent.append({j: p.message(index) for j, p in provers.items()})
        messages = {j: tamper(index, j, step.read(m)) for j, m in sent[-1].items()}
        received = {j: m for j, m in messages.items() if m is not None}
        decoded = step.decode(received, step.need(len(provers), t))
        if decoded is None:
            return Run(liars, sent, None, provers)
        liars.append(decoded.liars)
        for p in provers.values():
            p.accept(index, decoded.values)
    mask = (1 << w.count) - 1 if w.statement is Statement.SCORE else first.claim.mask
    return Run(liars, sent, w.batch(mask, first.values, first.proof()), provers)


@cache
def honest_run(statement: Statement) -> Run:
    """Five provers who do as they should."""
    w = world(statement)
    return drive(w, committee(w))


def proved(prover: Prover, change: Callable[[int, Table], Table] = lambda i, value: value) -> bytes:
    """The proof of a committee of one, which may change what it opens."""
    for index, step in enumerate(prover.steps):
        prover.accept(index, change(index, step.read(prover.message(index))))
    return prover.proof()


def forged_quotient(prover: Prover, value: Table) -> Table:
    """S(z), S(w z) as they are, and the q(z) that makes the identity hold: what a committee that lies would open."""
    key, z = prover._key, prover._z
    s, s_next, _ = fr.integers(value)
    a, *f = prover._evaluations
    p = poly.evaluate(key.p_poly, z)
    left = s_next - s - a * (f[0] if f else a) + prover._c + prover._beta * p * a
    return fr.vector([s, s_next, left * pow(pow(z, key.params.size, R) - 1, -1, R)])
