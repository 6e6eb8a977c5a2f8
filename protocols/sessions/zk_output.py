"""Certificate zk: our share of the sum over the accepted updates, blinders included, for the owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from protocols.bn254 import fr
from protocols.bn254.fr import Vector
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.shelf import get_vector, put_vector
from protocols.sessions.zk_pieces import ZkPieces


class Attempt(Protocol):
    """The one proof of a session."""

    @property
    def remembered(self) -> bool:
        """Whether it is written down what is proved."""


@dataclass
class ZkSum:
    """Adds up one share after the other. The sum lies on the shelf: the owner may ask again.

    attempt: whose set is remembered before anything is summed.
    """

    pieces: ZkPieces
    rebuild: Rebuild
    attempt: Attempt
    _summed: list[int] | None = None

    def output(self, selected: list[int]) -> tuple[Vector, tuple[int, ...]] | None:
        """(d + 6, 4); None if a share is missing, or a record, or nothing was accepted."""
        if not selected or not self.attempt.remembered or not all(self.rebuild.has(k) for k in selected):
            return None
        shelf = self.pieces.shelf
        if self._summed != selected:
            total = fr.zeros(self.pieces.length)
            for k in selected:
                share = self.rebuild.share(k)
                assert share is not None
                fr.add_into(total, share)
            put_vector(shelf, "sum", total)
            self._summed = selected
        return get_vector(shelf, "sum").reshape(-1, 4), ()
