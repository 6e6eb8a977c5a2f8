"""Mode grouped: the batch and the output, from projections and inner products of groups' sums."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.gram.distances import distances, upper
from protocols.sessions.params import Bitmap
from protocols.sessions.prover_batch import Statement
from protocols.sessions.prover_desk import Desk, bitmap
from protocols.sessions.prover_products import Products, pairs
from protocols.sessions.prover_projections import Projections
from protocols.sessions.prover_sums import GroupSums


@dataclass
class GroupJudge:
    """Which groups passed, and how far apart they are."""

    desk: Desk
    sums: GroupSums
    projections: Projections
    products: Products

    @property
    def done(self) -> bool:
        """Whether every inner product is known, and our shares of all sums are here: n - t such provers can serve."""
        return self.products.done and all(r in self.sums.sums for r in self.products.passed())

    def statement(self) -> Statement:
        """U, the groups that passed, the distances of their means, the digest of what was decoded."""
        view, passed = self.desk.view, self.products.passed()
        sizes = [len(view.within(Bitmap.VALID, r)) for r in passed]
        table = [[self.products.values[min(r, s), max(r, s)] for s in passed] for r in passed]
        flat = tuple(upper(distances(table, sizes)))
        return view.sets[Bitmap.VALID], bitmap(passed), flat, self._digest(passed)

    def output(self, selected: list[int]) -> tuple[Vector, tuple[int, ...]] | None:
        """Our share of the sum over these groups, and their opened squared norms; None if one is missing here."""
        norms = {r: self.products.values[r, r] for r in self.products.passed()} if self.products.done else {}
        if not selected or any(r not in self.sums.sums or r not in norms for r in selected):
            return None
        total = gl.lincomb([1] * len(selected), [self.sums.sums[r] for r in selected])
        return total, tuple(norms[r] for r in selected)

    def _digest(self, passed: list[int]) -> bytes:
        """Of the decoded values behind the batch: projections of the groups that passed, their inner products."""
        opened = [gl.to_bytes(self.projections.values[r]) for r in passed]
        products = [self.products.values[pair].to_bytes(16, "big", signed=True) for pair in pairs(passed)]
        valid = self.desk.view.sets[Bitmap.VALID].to_bytes(32, "big")
        return self.desk.context.bind("decoded", valid, bytes(passed), b"".join(opened), b"".join(products))
