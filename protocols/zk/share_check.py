"""Whether shares are what their owners committed to: one multi-scalar multiplication for all of them.

Private random factors make it sound: a prover's sum of its shares is committed to, and compared with the same sum of
the commitments; a wrong share stays unnoticed with probability 1/r. Because commitments bind, the shares that pass at
t + 1 honest provers lie on one polynomial of degree t with the committed vector at 0, and the padding is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from protocols.bn254 import fr, g1, msm
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Point
from protocols.zk.key import Key
from protocols.zk.pieces import derive, expand, open_committed
from protocols.zk.sharing import Dealing, commit, share_commitment

Read = Callable[[int], Vector]
"""The share that is held of the k-th data owner: (d + 6, 4). Read again where a wrong one is looked for."""


class Verdict(Enum):
    """Whom a complaint convicts."""

    DATA_OWNER = "data-owner"  # what it committed to for this prover is not its share
    PROVER = "prover"  # it shows what was not committed to for it, or a share that fits


def sum_commitment(dealings: Sequence[Dealing], point: int, factors: Sequence[int] | None = None) -> Point:
    """sum_k factors[k] Cshare_k at a prover's point; factors are 1 if not given. Infinity for no dealings."""
    scalars, points = [], []
    for k, dealing in enumerate(dealings):
        factor = 1 if factors is None else factors[k]
        for e, committed in enumerate(dealing.points):
            points.append(committed)
            scalars.append(factor * pow(point, e, R))
    return g1.to_integers(msm.msm(g1.from_integers(points), fr.vector(scalars)))[0]


def check_sum(key: Key, point: int, total: Vector, dealings: Sequence[Dealing]) -> bool:
    """Whether ``total``, (d + 6, 4), is the sum of the shares at ``point`` of these dealings.

    For a prover's output, and, with one dealing, for a share that was rebuilt.
    """
    if len(total) != key.params.length:
        return False
    return commit(key, total) == sum_commitment(dealings, point)


class Search:
    """``check_shares`` in steps, where many are wrong. bad, good: the positions that are known.

    Wrong shares are found by halves; what the sum of a half is off by says whether to look there, and what that of the
    other half is. So K shares take K multiplications at most. The largest ranges come first: whoever stops early knows
    the most good ones.
    """

    def __init__(self, key: Key, point: int, read: Read, dealings: Sequence[Dealing], seed: bytes) -> None:
        self._key, self._point, self._read, self._dealings = key, point, read, dealings
        self._factors = fr.integers(expand(derive(seed, "share-check"), len(dealings)))
        self.bad: set[int] = set()
        self.good: set[int] = set()
        self._began = not dealings
        self._ranges: list[tuple[int, int, g1.Points]] = []  # with wrong ones: start, stop, what the sum is off by

    @property
    def done(self) -> bool:
        """Whether every share is known to be good or bad."""
        return self._began and not self._ranges

    def advance(self, most: int | None) -> None:
        """Look on, with so many multi-scalar multiplications at most; None: to the end."""
        left = len(self._dealings) if most is None else most
        if not self._began and left > 0:
            self._began, left = True, left - 1
            self._sort(0, len(self._dealings), self._excess(0, len(self._dealings)))
        while self._ranges and left > 0:
            start, stop, excess = max(self._ranges, key=lambda r: (r[1] - r[0], -r[0]))
            self._ranges = [r for r in self._ranges if r[0] != start]
            middle, left = (start + stop) // 2, left - 1
            lower = self._excess(start, middle)
            self._sort(start, middle, lower)
            self._sort(middle, stop, g1.add(excess, g1.neg(lower)))

    def _sort(self, start: int, stop: int, excess: g1.Points) -> None:
        """What a sum is off by says: all are good, the one is bad, or some of these are."""
        if not excess.any():
            self.good.update(range(start, stop))
        elif stop - start == 1:
            self.bad.add(start)
        else:
            self._ranges.append((start, stop, excess))

    def _excess(self, start: int, stop: int) -> g1.Points:
        """(1, 8): commitment of the weighted sum of the shares start .. stop - 1, less what it should be."""
        total = fr.zeros(self._key.params.length)
        for k in range(start, stop):
            fr.add_scaled(total, self._factors[k], self._read(k))
        expected = sum_commitment(self._dealings[start:stop], self._point, self._factors[start:stop])
        held = commit(self._key, total)
        return g1.add(g1.from_integers([held]), g1.neg(g1.from_integers([expected])))


def check_shares(key: Key, point: int, read: Read, dealings: Sequence[Dealing], seed: bytes) -> set[int]:
    """The positions k of the shares that are not what ``dealings[k]`` commits to for the prover at ``point``.

    read: called once per share if all are right; with w wrong ones, at most w log2(K) times more each. seed: 32 bytes
    that no data owner can foresee; a wrong share passes with probability 1/r. ValueError if a share has a wrong length.
    """
    search = Search(key, point, read, dealings, seed)
    search.advance(None)
    return search.bad


def judge(key: Key, sess: bytes, address: int, point: int, dealing: Dealing, plain: bytes) -> Verdict:
    """Whom the complaint of the prover at ``point`` about the data owner at ``address`` convicts.

    plain: the published blind and piece, as they were sealed. The prover, unless they are what the data owner committed
    to for it and the share is none of the committed vector: a prover complains only of a piece that it could open.
    ValueError if there is no such prover.
    """
    if not 1 <= point <= len(dealing.leaves):
        raise ValueError(f"there is no prover {point} among {len(dealing.leaves)}")
    try:
        piece = open_committed(key.params, sess, address, point, len(dealing.c_e), plain, dealing.leaves[point - 1])
    except ValueError:
        return Verdict.PROVER
    fits = commit(key, piece.share) == share_commitment(dealing, point)
    return Verdict.PROVER if fits else Verdict.DATA_OWNER
