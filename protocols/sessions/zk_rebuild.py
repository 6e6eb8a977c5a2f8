"""Certificate zk: masked help over the scalar field; a share that is rebuilt must fit its commitment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from protocols.bn254 import fr
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.sessions.prover_desk import Desk
from protocols.sessions.setup import Points
from protocols.sessions.zk_pieces import ZkPieces
from protocols.sessions.zk_records import Records
from protocols.zk.decode import decode_scalars
from protocols.zk.proved_sum import ProvedSum
from protocols.zk.replicated import vanishing
from protocols.zk.sharing import share_commitment


@dataclass
class FrHelp:
    """32 bytes per scalar, big-endian."""

    pieces: ZkPieces
    records: Records
    shape = (-1, 4)
    _searches: dict[int, ProvedSum] = field(default_factory=dict)

    def least(self, t: int) -> int:
        """With the commitment, as many as determine it."""
        return t + 1

    def make(self, share: Vector, seeds: Mapping[Points, bytes], desk: Desk, at: int, label: bytes) -> bytes:
        """Our share plus a sharing that vanishes at the point ``at``."""
        help_ = vanishing(seeds, desk.point, at, desk.n, desk.t, label, len(share))
        fr.add_into(help_, share)
        return fr.to_bytes(help_)

    def read(self, values: bytes) -> Vector:
        """Help as it came. ValueError for what are no scalars."""
        return fr.from_bytes(values)

    def rebuilt(
        self, found: Mapping[int, Vector], newest: int, desk: Desk, index: int, share: Vector | None
    ) -> tuple[Vector, tuple[int, ...] | None] | None:
        """Any t + 1 that give what our share is committed to. Lies cannot: they cost time, and a commitment each.

        Points are counted from ours: what is looked for is the value there.
        """
        if share is None:
            moved = _Moved(found, desk.point)
            share = self._search(index, desk).find(moved, (newest - desk.point) % R)
            if share is None:
                return None
            del self._searches[index]
        return share, () if len(found) == self.least(desk.t) else self._liars(found, desk, share)

    def _search(self, index: int, desk: Desk) -> ProvedSum:
        if index not in self._searches:
            expected = share_commitment(self.records.known(index).dealing, desk.point)
            self._searches[index] = ProvedSum(self.pieces.key, desk.t, expected)
        return self._searches[index]

    def _liars(self, found: Mapping[int, Vector], desk: Desk, share: Vector) -> tuple[int, ...] | None:
        """Off the polynomial of 2t + 1, ours among them: t + 1 of those are honest. None while fewer agree."""
        decoded = decode_scalars({**found, desk.point: share}, desk.t, 2 * desk.t + 1)
        return None if decoded is None or desk.point in decoded.liars else decoded.liars


@dataclass
class _Moved(Mapping[int, Vector]):
    """Help by the distance of its sender from us. Nothing is held."""

    found: Mapping[int, Vector]
    origin: int

    def __getitem__(self, distance: int) -> Vector:
        return self.found[(distance + self.origin) % R]

    def __iter__(self) -> Iterator[int]:
        return ((x - self.origin) % R for x in self.found)

    def __len__(self) -> int:
        return len(self.found)
