"""Certificate zk: our share of the sum over the accepted updates, blinders included, for the owner."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.bn254 import fr
from protocols.bn254.fr import Vector
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.zk_pieces import ZkPieces


@dataclass
class ZkSum:
    """Adds up one share after the other; the sum is kept, since the owner may ask again."""

    pieces: ZkPieces
    rebuild: Rebuild
    _sum: tuple[list[int], Vector] | None = field(default=None, repr=False)

    def output(self, selected: list[int]) -> tuple[Vector, tuple[int, ...]] | None:
        """(d + 6, 4); None if a share is missing, or nothing was accepted."""
        if not selected or not all(self.rebuild.has(k) for k in selected):
            return None
        if self._sum is None or self._sum[0] != selected:
            total = fr.zeros(self.pieces.length)
            for k in selected:
                share = self.rebuild.share(k)
                assert share is not None
                fr.add_into(total, share)
            self._sum = selected, total
        return self._sum[1], ()
