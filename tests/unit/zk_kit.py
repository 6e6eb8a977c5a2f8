"""Certificate zk on Python's integers: a slow prover that can lie, keys whose secret is known, the vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from protocols.bn254 import fr, g1, srs
from protocols.bn254.field import R
from protocols.bn254.g1 import Point, Points
from protocols.bn254.poly import root_of_unity
from protocols.zk.errors import Check, Refused
from protocols.zk.hashing import h, tag
from protocols.zk.key import Key, make_key, session_hash
from protocols.zk.params import NB_G, NB_M, NB_S, ZkParams
from protocols.zk.range_check import add_up, check_identity, terms
from protocols.zk.record import Record, check_points
from tests.unit.bn254_kit import number, point, value

TAU = 0x1234567890ABCDEF1234567890ABCDEF
SMALL = ZkParams(24, 6, 64)
"""The vectors' sizes: 24 coordinates of 6 bits."""
FULL = ZkParams(64, 6, 64)
"""As many coordinates as rows: none is padding."""
BOUND = 31
CONTRACT = bytes(range(1, 21))


def load(vectors: Path, name: str) -> Any:
    """A file of vectors of the proofs; the test is skipped where it is absent."""
    path = vectors / "zk" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no vectors of proofs at {path}")
    return json.loads(path.read_text())


def word_of(text: str) -> bytes:
    """0x.. as 32 bytes."""
    return number(text).to_bytes(32, "big")


@lru_cache(maxsize=16)
def small_key(params: ZkParams = SMALL, norm_bits: int | None = None, tau: int = TAU) -> Key:
    """A key of a known tau, with a basis."""
    string = srs.known(tau, params.powers, "kit")
    return make_key(params, string, norm_bits, srs.known_basis(tau, params.size, NB_G))


def session(key: Key, bound_squared: int = BOUND**2, number: int = 7) -> bytes:
    """sess of a session of the development chain."""
    return session_hash(31337, CONTRACT, number, 0, key.digest, bound_squared)


def scalars(label: str, count: int) -> list[int]:
    """Fixed elements of the field, as random as a hash."""
    data = hashlib.shake_256(label.encode()).digest(48 * count)
    return [int.from_bytes(data[48 * i : 48 * i + 48], "big") % R for i in range(count)]


def times(scalar: int, p: Point = g1.GENERATOR) -> Point:
    """scalar * p."""
    return g1.to_integers(g1.multiply(g1.from_integers([p]), fr.vector([scalar])))[0]


def plus(p: Point, q: Point) -> Point:
    """p + q."""
    return g1.to_integers(g1.add(g1.from_integers([p]), g1.from_integers([q])))[0]


def interpolated(rows: Sequence[int], blinders: Sequence[int] = ()) -> list[int]:
    """Coefficients of poly(rows, blinders), from the definition."""
    n, inverse = len(rows), pow(root_of_unity(len(rows)), -1, R)
    powers = [pow(inverse, i, R) for i in range(n)]
    low = [sum(y * powers[i * j % n] for i, y in enumerate(rows) if y) * pow(n, -1, R) % R for j in range(n)]
    out = low + [0] * len(blinders)
    for i, c in enumerate(blinders):
        out[i] = (out[i] - c) % R
        out[n + i] = c % R
    return out


def total(*terms: tuple[int, Sequence[int]]) -> list[int]:
    """sum factor * polynomial."""
    out = [0] * max(len(p) for _, p in terms)
    for factor, p in terms:
        for i, c in enumerate(p):
            out[i] = (out[i] + factor * c) % R
    return out


def product(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """a * b by the schoolbook."""
    out = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        if x:
            for j, y in enumerate(b):
                out[i + j] += x * y
    return [c % R for c in out]


def quotient(p: Sequence[int], n: int) -> tuple[list[int], bool]:
    """p / (X^n - 1), and whether nothing remains."""
    rest = list(p)
    for i in range(len(rest) - 1, n - 1, -1):
        rest[i - n] = (rest[i - n] + rest[i]) % R
    return rest[n:], not any(rest[:n])


def divided(p: Sequence[int], z: int) -> list[int]:
    """(p - p(z)) / (X - z)."""
    out, carry = [0] * len(p), 0
    for i in range(len(p) - 1, -1, -1):
        out[i] = carry = (p[i] + carry * z) % R
    return out[1:]


@dataclass
class Forger:
    """A prover that proves whatever it is given, rightly if that is true, under a key whose tau it knows.

    rows: g on all of H, any elements.  counts, bits: m and e, or those of the definition.  force: q(z) is not the
    quotient's value but what makes the identity hold.  exact: whether the quotient left no remainder.
    """

    key: Key
    sess: bytes
    rows: Sequence[int]
    address: int = 0x1000
    dg: bytes = b"\x07" * 32
    bound_squared: int = BOUND**2
    counts: Sequence[int] | None = None
    bits: Sequence[int] | None = None
    force: bool = False
    tau: int = TAU
    blinders: dict[str, list[int]] = field(default_factory=dict)
    exact: bool = False

    def __post_init__(self) -> None:
        for name, count in (("g", NB_G), ("m", NB_M), ("s", NB_S), ("e", NB_M), ("nn", NB_S)):
            self.blinders.setdefault(name, scalars(name, count))
        self.rows = [x % R for x in self.rows] + [0] * (self.n - len(self.rows))
        half = 1 << self.key.params.bits - 1
        self.table = [i - half if i < 2 * half else 0 for i in range(self.n)]

    @property
    def n(self) -> int:
        """N."""
        return self.key.params.size

    def com(self, p: Sequence[int]) -> Point:
        """[p(tau)]."""
        return times(value(p, self.tau))

    def multiplicities(self) -> list[int]:
        """How often entries of the table occur; what is not in it is not counted."""
        found = {t: i for i, t in reversed(list(enumerate(self.table)))}
        out = [0] * self.n
        for x in self.rows:
            if (i := found.get(fr.signed(x))) is not None:
                out[i] += 1
        return out

    def sums(self, alpha: int, counts: Sequence[int]) -> list[int]:
        """s, whether it closes or not."""
        steps = [
            pow(alpha + g, -1, R) - m * pow(alpha + t, -1, R)
            for g, m, t in zip(self.rows, counts, self.table, strict=True)
        ]
        return [sum(steps[:i]) % R for i in range(self.n)]

    def slack(self) -> list[int]:
        """The bits of B^2 - ||g||^2 over the integers."""
        rest = self.bound_squared - sum(fr.signed(x) ** 2 for x in self.rows)
        return [rest >> j & 1 for j in range(self.key.norm_bits or 0)]

    def norm_columns(self) -> tuple[list[int], list[int], list[int]]:
        """e, nn, p on H."""
        p = [1 << j if j < (self.key.norm_bits or 0) else 0 for j in range(self.n)]
        e = list(self.slack() if self.bits is None else self.bits)
        e += [0] * (self.n - len(e))
        share = self.bound_squared * pow(self.n, -1, R)
        steps = [g * g + a * b - share for g, a, b in zip(self.rows, p, e, strict=True)]
        return e, [sum(steps[:i]) % R for i in range(self.n)], p

    def step(self, p: Sequence[int]) -> list[int]:
        """p(wX) - p(X)."""
        return [(pow(self.key.omega, i, R) - 1) * c % R for i, c in enumerate(p)]

    def record(self) -> Record:
        """Section 4, or 12 under a key with norms, step by step."""
        polys = {"g": interpolated(self.rows, self.blinders["g"]), "T": interpolated(self.table)}
        counts = self.multiplicities() if self.counts is None else self.counts
        columns = {"m": [c % R for c in counts]}
        if self.key.norms:
            columns["e"], columns["nn"], p = self.norm_columns()
            polys["p"] = interpolated(p)
        for name, rows in columns.items():
            polys[name] = interpolated(rows, self.blinders[name])
        c = {name: self.com(polys[name]) for name in ("g", *columns)}
        first = [self.address, c["g"], self.dg, *(c[name] for name in columns)]
        t0 = h(tag("rangenorm" if self.key.norms else "range"), self.sess, *first)
        alpha = int.from_bytes(t0, "big") % R
        polys["s"] = interpolated(self.sums(alpha, counts), self.blinders["s"])
        c["s"] = self.com(polys["s"])
        state = h(t0, c["s"]) if self.key.norms else t0
        delta = int.from_bytes(state, "big") % R
        polys["q"], self.exact = quotient(self.numerator(polys, alpha, delta), self.n)
        c["q"] = self.com(polys["q"])
        t1 = h(state, c["q"]) if self.key.norms else h(t0, c["s"], c["q"])
        return self.opened(polys, c, t1, alpha, delta)

    def numerator(self, polys: dict[str, list[int]], alpha: int, delta: int) -> list[int]:
        """What the quotient divides."""
        g, t = total((1, polys["g"]), (alpha, [1])), total((1, polys["T"]), (alpha, [1]))
        out = total((1, product(product(self.step(polys["s"]), g), t)), (-1, t), (1, product(polys["m"], g)))
        if not self.key.norms:
            return out
        e, square = polys["e"], product(polys["g"], polys["g"])
        share = [self.bound_squared * pow(self.n, -1, R)]
        norm = total((1, self.step(polys["nn"])), (-1, square), (-1, product(polys["p"], e)), (1, share))
        return total((1, out), (delta, norm), (delta * delta, total((1, product(e, e)), (-1, e))))

    def opened(self, polys: dict[str, list[int]], c: dict[str, Point], t1: bytes, alpha: int, delta: int) -> Record:
        """Evaluations and openings, from t1 on."""
        norms = self.key.norms
        z = int.from_bytes(t1, "big") % R
        names = ("g", "m", "s", "q", "T", "e", "nn", "p") if norms else ("g", "m", "s", "q", "T")
        after = ("s", "nn") if norms else ("s",)
        at = {name: value(polys[name], z) for name in names}
        at |= {name + "w": value(polys[name], z * self.key.omega % R) for name in after}
        if self.force:
            at["q"] = self.forced(at, alpha, delta, z)
        order = (*names, "sw", "nnw") if norms else ("g", "m", "s", "sw", "q", "T")
        evaluations = tuple(at[name] for name in order)
        t2 = h(t1, *evaluations)
        v = int.from_bytes(t2, "big") % R
        openings = []
        for chosen, where in ((names, z), (after, z * self.key.omega % R)):
            batch = total(*((pow(v, i, R), polys[name]) for i, name in enumerate(chosen)))
            openings.append(self.com(divided(batch, where)))
        return Record(
            self.address, c["g"], self.dg, c["m"], c.get("e"), c.get("nn"), c["s"], c["q"], evaluations, *openings
        )

    def forced(self, at: dict[str, int], alpha: int, delta: int, z: int) -> int:
        """q(z) as the identity wants it."""
        left = (at["sw"] - at["s"]) * (alpha + at["g"]) * (alpha + at["T"]) - (alpha + at["T"])
        left += at["m"] * (alpha + at["g"])
        if self.key.norms:
            share = self.bound_squared * pow(self.n, -1, R)
            left += delta * (at["nnw"] - at["nn"] - at["g"] ** 2 - at["p"] * at["e"] + share)
            left += delta * delta * (at["e"] ** 2 - at["e"])
        return left * pow(pow(z, self.n, R) - 1, -1, R) % R


def record_of(data: Any) -> Record:
    """A record of the vectors of ``score``."""
    return Record(
        data["addr"], point(data["C"]), word_of(data["dg"]), point(data["Cm"]), point(data["Ce"]), point(data["Cn"]),
        point(data["Cs"]), point(data["Cq"]), tuple(map(number, data["E"])), point(data["W"]), point(data["W2"]),
    )  # fmt: skip


def holds(key: Key, sess: bytes, record: Record, bound_squared: int = BOUND**2, tau: int = TAU) -> bool:
    """``check`` without its pairing: whoever knows tau sees by one product whether openings are right."""
    at = check_identity(key, sess, record, bound_squared)
    check_points(record)
    left, right = (add_up(sums) for sums in terms(key, record, at))
    return paired_by_tau(key, left, right, tau)


def paired_by_tau(key: Key, left: Points, right: Points, tau: int = TAU) -> bool:
    """``range_check.paired`` without pairings."""
    return g1.to_integers(left) == [times(tau, g1.to_integers(right)[0])]


def verdict(key: Key, sess: bytes, record: Record, bound_squared: int = BOUND**2) -> Check | None:
    """Why a record is refused, None if it is not: as ``check``, but fast."""
    try:
        return None if holds(key, sess, record, bound_squared) else Check.PAIRING
    except Refused as error:
        return error.check


def rank(rows: Sequence[Sequence[int]]) -> int:
    """The rank of a matrix over Fr."""
    rest, found = [[x % R for x in row] for row in rows], 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(found, len(rest)) if rest[i][column]), None)
        if pivot is None:
            continue
        rest[found], rest[pivot] = rest[pivot], rest[found]
        inverse = pow(rest[found][column], -1, R)
        for i in range(found + 1, len(rest)):
            factor = rest[i][column] * inverse
            rest[i] = [(a - factor * b) % R for a, b in zip(rest[i], rest[found], strict=True)]
        found += 1
    return found
