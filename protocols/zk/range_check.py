"""Checking a data owner's record: the identity at a random point, and that the openings are those of the commitments.

Of many records the openings are checked at once, with random powers and one pairing; the bad ones are found by halves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from protocols.bn254 import fr, g1, msm, pairing
from protocols.bn254.field import R
from protocols.bn254.g1 import GENERATOR, Point, Points
from protocols.zk.errors import Check, Refused
from protocols.zk.hashing import Item
from protocols.zk.key import Key
from protocols.zk.record import Record, check_points, check_scalars
from protocols.zk.transcript import Transcript

Terms = list[tuple[Point, int]]
"""Points and their scalars: a sum."""


@dataclass(frozen=True, slots=True)
class Challenges:
    """What the hashes of a record give.

    delta: 0 without norms.  opened: y + u E, the multiple of [1] that L is reduced by.  t3: the last state, which
    stands for the record in later proofs.
    """

    alpha: int
    delta: int
    z: int
    v: int
    u: int
    opened: int
    t3: bytes


def start(sess: bytes, committed: Sequence[Item], norms: bool) -> Transcript:
    """t0: what is absorbed is the address and the commitments before alpha."""
    return Transcript("rangenorm" if norms else "range", sess, *committed)


def split(evaluations: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Evaluations of a record -> (g, m, s, q, T[, e, nn, p] at z, s[, nn] at w z)."""
    if len(evaluations) == 6:
        g, m, s, s_next, q, t = evaluations
        return (g, m, s, q, t), (s_next,)
    return tuple(evaluations[:8]), tuple(evaluations[8:])


def join(at_z: Sequence[int], at_wz: Sequence[int]) -> tuple[int, ...]:
    """The inverse of ``split``."""
    if len(at_z) == 5:
        g, m, s, q, t = at_z
        return (g, m, s, at_wz[0], q, t)
    return (*at_z, *at_wz)


def challenges(key: Key, sess: bytes, record: Record) -> Challenges:
    """Recomputed from the record's bytes; it may be a bad one. ValueError if it is not of the key's kind."""
    if record.norms != key.norms:
        raise ValueError("the record is not of the kind that the key is for")
    transcript = start(sess, record.committed, key.norms)
    alpha, delta = transcript.challenge, 0
    if key.norms:
        delta = transcript.absorb(record.c_s)
        z = transcript.absorb(record.c_q)
    else:
        z = transcript.absorb(record.c_s, record.c_q)
    v = transcript.absorb(*record.evaluations)
    u = transcript.absorb(record.w, record.w2)
    at_z, at_wz = split(record.evaluations)
    opened = (batched(at_z, v) + u * batched(at_wz, v)) % R
    return Challenges(alpha, delta, z, v, u, opened, transcript.state)


def batched(values: Sequence[int], v: int) -> int:
    """sum v^i values[i]."""
    total = 0
    for value in reversed(values):
        total = (total * v + value) % R
    return total


def identity(key: Key, at: Challenges, evaluations: Sequence[int], bound_squared: int | None) -> int:
    """Left side minus right side of R1, 0 if it holds. bound_squared: B^2, needed with norms."""
    n = key.params.size
    (g, m, s, q, t, *norm), (s_next, *nn_next) = split(evaluations)
    total = (s_next - s) * (at.alpha + g) * (at.alpha + t) - (at.alpha + t) + m * (at.alpha + g)
    if norm:
        if bound_squared is None:
            raise ValueError("the key proves norms: a bound is needed")
        e, nn, p = norm
        total += at.delta * (nn_next[0] - nn - g * g - p * e + bound_squared * pow(n, -1, R))
        total += at.delta**2 * (e * e - e)
    return (total - q * (pow(at.z, n, R) - 1)) % R


def terms(key: Key, record: Record, at: Challenges, weight: int = 1) -> tuple[Terms, Terms]:
    """(L, Rr) times the weight: the openings are right if e(L, [1]) = e(Rr, [tau])."""
    v, u = at.v, at.u
    left = [(record.c, 1), (record.c_m, v), (record.c_s, v**2 + u), (record.c_q, v**3), (key.c_t, v**4)]
    if record.c_e is not None and record.c_nn is not None and key.c_bits is not None:
        left += [(record.c_e, v**5), (record.c_nn, v**6 + u * v), (key.c_bits, v**7)]
    left += [(GENERATOR, -at.opened), (record.w, at.z), (record.w2, u * key.omega * at.z)]
    right = [(record.w, 1), (record.w2, u)]
    return _weighted(left, weight), _weighted(right, weight)


def _weighted(sums: Terms, weight: int) -> Terms:
    return [(point, scalar * weight % R) for point, scalar in sums]


def add_up(sums: Terms) -> Points:
    """(1, 8): the sum. InvalidPoint if a point is none."""
    return msm.msm(g1.from_integers(point for point, _ in sums), fr.vector(scalar for _, scalar in sums))


def paired(key: Key, left: Points, right: Points) -> bool:
    """e(left, [1]) = e(right, [tau])."""
    (p,), (q,) = g1.to_integers(left), g1.to_integers(right)
    return pairing.same_ratio(p, pairing.G2_GENERATOR, q, key.tau2)


def check(key: Key, sess: bytes, record: Record, bound_squared: int | None = None) -> Challenges:
    """The challenges of a record that proves its claims. Refused: ORDER, SCALAR, RANGE_IDENTITY, POINT or PAIRING.

    bound_squared: B^2, needed if the key has norms (ValueError), and the one that ``sess`` was made with.
    """
    at = check_identity(key, sess, record, bound_squared)
    check_points(record)
    left, right = terms(key, record, at)
    if not paired(key, add_up(left), add_up(right)):
        raise Refused(Check.PAIRING)
    return at


def check_identity(key: Key, sess: bytes, record: Record, bound_squared: int | None = None) -> Challenges:
    """Everything but the points: Refused(SHAPE, ORDER, SCALAR or RANGE_IDENTITY)."""
    if record.norms != key.norms:
        raise Refused(Check.SHAPE, detail="the record is not of the kind that the key is for")
    check_scalars(record)
    at = challenges(key, sess, record)
    if identity(key, at, record.evaluations, bound_squared):
        raise Refused(Check.RANGE_IDENTITY)
    return at


def check_many(
    key: Key, sess: bytes, records: Sequence[Record], seed: bytes, bound_squared: int | None = None
) -> dict[int, Refused | None]:
    """What ``check`` says of every record, by its index: None if it is right. One pairing if all are.

    seed: 32 random bytes that the makers of the records cannot know; a bad record passes with probability 2^-127.
    """
    search = Search(key, sess, records, seed, bound_squared)
    search.advance(None)
    return search.verdicts


class Search:
    """``check_many`` in steps: of many bad records each costs several pairings, and 64 of them not more than 80 in all.

    verdicts: those that are known, by index; at first what is refused without a pairing.
    """

    def __init__(
        self, key: Key, sess: bytes, records: Sequence[Record], seed: bytes, bound_squared: int | None = None
    ) -> None:
        if len(seed) != 32:
            raise ValueError(f"a seed has 32 bytes, not {len(seed)}")
        self._key = key
        self.verdicts: dict[int, Refused | None] = {}
        self._sums: dict[int, tuple[Terms, Terms]] = {}
        for index, record in enumerate(records):
            try:
                at = check_identity(key, sess, record, bound_squared)
                check_points(record)
            except Refused as error:
                self.verdicts[index] = Refused(error.check, index)
                continue
            weight = int.from_bytes(hashlib.shake_256(seed + index.to_bytes(8, "big")).digest(16), "big")
            self._sums[index] = terms(key, record, at, weight)
        self._many = max(2, len(self._sums) // 16)
        self._found = 0
        # groups to look at, the next one last, and whether one of each is known to be bad
        self._groups = [(sorted(self._sums), False)] if self._sums else []

    @property
    def done(self) -> bool:
        """Whether every verdict is known."""
        return not self._groups

    def advance(self, most: int | None) -> None:
        """Look on, with so many pairings at most; None: to the end."""
        while self._groups:
            group, wrong = self._groups.pop()
            if wrong and len(group) == 1:
                self._decide(group, refused=True)
                continue
            if len(group) > 1 and self._found >= self._many:  # halves would cost up to twice as much
                self._groups += [([index], False) for index in reversed(group)]
                continue
            if most is not None and (most := most - 1) < 0:
                self._groups.append((group, wrong))
                return
            self._look(group, wrong)

    def _look(self, group: list[int], wrong: bool) -> None:
        """At a group, or at the first half of one of which it is known that not all are right."""
        part, rest = (group[: len(group) // 2], group[len(group) // 2 :]) if wrong else (group, [])
        right = self._paired(part)
        if right:
            self._decide(part, refused=False)
        if rest:
            self._groups.append((rest, right))
        if not right:
            self._groups.append((part, True))

    def _decide(self, indices: list[int], *, refused: bool) -> None:
        self._found += refused
        for index in indices:
            self.verdicts[index] = Refused(Check.PAIRING, index) if refused else None
            del self._sums[index]

    def _paired(self, indices: list[int]) -> bool:
        left, right = (list(chain.from_iterable(self._sums[index][side] for index in indices)) for side in (0, 1))
        return paired(self._key, add_up(left), add_up(right))
