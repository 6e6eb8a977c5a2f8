"""A prover's part of the proof of a batch, statements GRAM and SCORE, without input or output.

    values --> S --> q --> A --> E --> W --> proof

In every step the prover sends ``message(i)`` to the others, and ``accept(i, value)`` takes what was decoded of
everybody's. All provers accept the same values, so all end with the same proof, whose challenges are hashes of what was
opened before. Products of shares have degree 2t; each is opened with a sharing of zero added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from protocols.bn254 import fr, g1, poly
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.zk import products, replicated
from protocols.zk.decode import Table
from protocols.zk.key import Key
from protocols.zk.opening import Step, steps_of
from protocols.zk.params import NB_S, Statement
from protocols.zk.products import Share
from protocols.zk.replicated import Seeds
from protocols.zk.running import Column, quotient, running_sum, vector_column
from protocols.zk.statement import Claim, Proof, Seen, encode_values

REFERENCE = -1
"""The number under which ``share`` gives the reference."""

Select = Callable[[Sequence[int]], int]
"""From the values to the mask of accepted records."""


@dataclass(frozen=True, slots=True)
class Seat:
    """point: of this prover, 1 .. n.  seeds: of the sets that hold it.  label: never used before with these seeds.

    Two different values opened under one label leak their difference: the label names session, attempt and statement.
    """

    point: int
    n: int
    t: int
    seeds: Seeds = field(repr=False)
    label: bytes

    def zero(self, name: str, count: int) -> Vector:
        """Shares of zeros of degree 2t."""
        return replicated.zero(self.seeds, self.point, self.n, self.t, self._label(name), count)

    def rand(self, name: str, count: int) -> Vector:
        """Shares of random elements of degree t."""
        return replicated.rand(self.seeds, self.point, self.n, self.t, self._label(name), count)

    def _label(self, name: str) -> bytes:
        return self.label + b"/" + name.encode()


class Prover:
    """One prover's state. ``steps`` says what is opened; messages are made and values accepted in that order.

    seen: what the transcript has of the records, in the order of the shares.  reference: for SCORE.
    share: k -> (d + 6, 4), this prover's share of the k-th vector, or of the reference for REFERENCE; asked repeatedly.
    select: for GRAM, the accepted records by their values; for SCORE the mask is not bound and it is not called.
    """

    def __init__(
        self,
        key: Key,
        sess: bytes,
        seen: Sequence[Seen],
        share: Share,
        seat: Seat,
        select: Select,
        reference: Seen | None = None,
    ) -> None:
        self._key, self._sess, self._seen, self._reference = key, sess, tuple(seen), reference
        self._share, self._seat, self._select = share, seat, select
        self.statement = Statement.GRAM if reference is None else Statement.SCORE
        self.steps: tuple[Step, ...] = steps_of(self.statement, len(seen), seat.t)
        self._accepted: list[Table] = []
        self._messages: dict[int, bytes] = {}
        self._points: dict[str, g1.Point] = {}
        self._evaluations: list[int] = []

    @property
    def position(self) -> int:
        """The step whose value is accepted next; len(steps) when the proof is complete."""
        return len(self._accepted)

    def message(self, index: int) -> bytes:
        """What this prover sends in a step. ValueError before the steps that it builds on are accepted."""
        if index > self.position and (index, self.position) != (4, 3):
            raise ValueError(f"step {self.steps[index].name} builds on {self.steps[self.position].name}")
        if index not in self._messages:
            make = (self._values, self._sum, self._quotient, self._at_z, self._masked_at_z, self._openings)[index]
            self._messages[index] = self.steps[index].write(make())
        return self._messages[index]

    def accept(self, index: int, value: Table) -> None:
        """The decoded value of a step, each once, in order (ValueError). Refused(SHAPE) for values beyond 128 bits."""
        if index != self.position or len(value) != self.steps[index].count:
            raise ValueError(f"step {index} with {len(value)} elements in place of step {self.position}")
        self.message(index)  # what it is made of is forgotten in later steps
        take = (self._take_values, self._take_sum, self._take_quotient, self._take_a, self._take_e, self._take_w)
        take[index](value)
        self._accepted.append(value)

    @property
    def values(self) -> tuple[int, ...]:
        """The opened inner products as integers, after the first step."""
        return self.claim.values

    def proof(self) -> bytes:
        """416 bytes, or 448 for SCORE. ValueError before the last step."""
        if self.position < len(self.steps):
            raise ValueError("the proof is not complete")
        p = self._points
        return Proof(p["S"], p["q"], tuple(self._evaluations), p["W"], p["W2"]).encode()

    def _values(self) -> Vector:
        d, threads, count = self._key.params.dimension, self._key.threads, len(self._seen)
        if self.statement is Statement.GRAM:
            return fr.add(products.gram(self._share, count, d, threads), self._seat.zero("G", self.steps[0].count))
        f = np.ascontiguousarray(self._share(REFERENCE)[:d])
        scores = products.with_one(self._share, count, f, threads)
        return fr.add(scores, self._seat.zero("V", count))

    def _take_values(self, value: Vector) -> None:
        values = tuple(fr.signed(x) for x in fr.integers(value))
        encode_values(values)  # refused here, in whatever statement
        mask = self._select(values) if self.statement is Statement.GRAM else 0
        self.claim = Claim(self.statement, self._sess, self._seen, self._reference, values, mask)
        self._transcript = self.claim.transcript()
        weights = self.claim.weights(self._transcript)
        params = self._key.params
        self._c = self.claim.total(weights) * pow(params.size, -1, R) % R
        self._a = vector_column(self._key, products.weighted(self._share, weights, params.length))
        self._b = self._a if self._reference is None else vector_column(self._key, self._share(REFERENCE))

    def _sum(self) -> g1.Points:
        self._s: Column = running_sum(self._key, self._a, self._b, self._c, self._seat.rand("bS", NB_S))
        self._masked_s = poly.add(self._s.coefficients, self._seat.zero("OS", 3))
        return self._commit(self._masked_s)

    def _take_sum(self, value: g1.Points) -> None:
        self._points["S"] = g1.to_integers(value)[0]
        self._beta = self._transcript.absorb(self._points["S"])

    def _quotient(self) -> g1.Points:
        q = quotient(self._key, self._a, self._b, self._s, self._beta)
        self._masked_q = poly.add(q, self._seat.zero("Oq", 2))
        return self._commit(self._masked_q)

    def _take_quotient(self, value: g1.Points) -> None:
        self._points["q"] = g1.to_integers(value)[0]
        self._z = self._transcript.absorb(self._points["q"])
        self._a_poly = self._a.coefficients
        self._f_poly = None if self._reference is None else self._b.coefficients
        del self._a, self._b, self._s

    def _at_z(self) -> Vector:
        columns = [self._a_poly] if self._f_poly is None else [self._a_poly, self._f_poly]
        return fr.vector(poly.evaluate(c, self._z) for c in columns)

    def _masked_at_z(self) -> Vector:
        at = ((self._masked_s, self._z), (self._masked_s, self._z * self._key.omega % R), (self._masked_q, self._z))
        return fr.vector(poly.evaluate(column, z) for column, z in at)

    def _take_a(self, value: Vector) -> None:
        self._evaluations = fr.integers(value)

    def _take_e(self, value: Vector) -> None:
        self._evaluations += [*fr.integers(value), poly.evaluate(self._key.p_poly, self._z)]
        self._gamma = self._transcript.absorb(*self._evaluations)

    def _openings(self) -> g1.Points:
        columns = [self._a_poly, self._masked_s, self._masked_q, self._key.p_poly]
        if self._f_poly is not None:
            columns.append(self._f_poly)
        total = fr.zeros(max(map(len, columns)))
        for i, column in enumerate(columns):
            fr.add_scaled(total[: len(column)], pow(self._gamma, i, R), column)
        w, _ = poly.divide_by_linear(total, self._z)
        w2, _ = poly.divide_by_linear(self._masked_s, self._z * self._key.omega % R)
        return np.concatenate([self._commit(w), self._commit(w2)])

    def _take_w(self, value: g1.Points) -> None:
        self._points["W"], self._points["W2"] = g1.to_integers(value)

    def _commit(self, coefficients: Vector) -> g1.Points:
        return g1.from_integers([self._key.commit(coefficients)])
