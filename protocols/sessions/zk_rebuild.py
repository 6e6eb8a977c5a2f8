"""Certificate zk: masked help over the scalar field; a share that is rebuilt must fit its commitment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.bn254 import fr
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.sessions.prover_desk import Desk
from protocols.sessions.setup import Points
from protocols.sessions.zk_pieces import ZkPieces
from protocols.sessions.zk_records import Records
from protocols.zk.decode import decode_scalars
from protocols.zk.replicated import vanishing
from protocols.zk.share_check import check_sum


@dataclass
class FrHelp:
    """32 bytes per scalar, big-endian."""

    pieces: ZkPieces
    records: Records
    shape = (-1, 4)

    def make(self, share: Vector, seeds: Mapping[Points, bytes], desk: Desk, at: int, label: bytes) -> bytes:
        """Our share plus a sharing that vanishes at the point ``at``."""
        help_ = vanishing(seeds, desk.point, at, desk.n, desk.t, label, len(share))
        fr.add_into(help_, share)
        return fr.to_bytes(help_)

    def read(self, values: bytes) -> Vector:
        """Help as it came. ValueError for what are no scalars."""
        return fr.from_bytes(values)

    def rebuilt(self, found: Mapping[int, Vector], desk: Desk, index: int) -> tuple[Vector, tuple[int, ...]] | None:
        """What 2t + 1 agree on, if it is our share; else more help is waited for.

        Points are counted from ours: what is decoded is the value there.
        """
        public = self.records.public(index)
        if public is None:
            return None
        moved = {(x - desk.point) % R: values for x, values in found.items()}
        decoded = decode_scalars(moved, desk.t, 2 * desk.t + 1)
        if decoded is None:
            return None
        if not check_sum(self.pieces.key, desk.point, decoded.values, [public.dealing]):
            return None
        return decoded.values, tuple(sorted((x + desk.point) % R for x in decoded.liars))
