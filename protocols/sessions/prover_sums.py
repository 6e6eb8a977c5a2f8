"""Our shares of the sums of groups: pieces of U_r added up, the masks taken off."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.secagg.masks import unmask_vector
from protocols.secagg.shares import MASK_KEY, SELF_SEED
from protocols.sessions.params import Bitmap
from protocols.sessions.prover_bundles import BundleDesk
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.prover_unmask import UnmaskDesk


@dataclass
class GroupSums:
    """sums: group -> (d,) share of A_r, for every group whose secrets and pieces are all here."""

    desk: Desk
    bundles: BundleDesk
    unmask: UnmaskDesk
    rebuild: Rebuild
    sums: dict[int, Vector] = field(default_factory=dict)

    def update(self) -> None:
        """Compute what can be computed by now."""
        for group in range(len(self.desk.view.groups)):
            if group not in self.sums and group not in self.unmask.failed and self.unmask.complete(group):
                pieces = [self.rebuild.share(k) for k in self.desk.view.within(Bitmap.VALID, group)]
                held = [piece for piece in pieces if piece is not None]
                if len(held) == len(pieces):
                    self.sums[group] = self._sum(group, held)

    @property
    def resolved(self) -> bool:
        """Whether every group has its sum or has failed."""
        groups = set(range(len(self.desk.view.groups)))
        return groups == self.sums.keys() | self.unmask.failed

    def _sum(self, group: int, pieces: list[Vector]) -> Vector:
        view, d = self.desk.view, self.desk.view.p.dimension
        place = {k: position for position, k in enumerate(view.groups[group])}
        kinds = self.unmask.needed(group)
        secrets = {
            wanted: {place[k]: self.unmask.secrets[k] for k, kind in kinds.items() if kind == wanted}
            for wanted in (SELF_SEED, MASK_KEY)
        }
        addresses = {place[k]: view.members[k].address for k in kinds}
        publics = {place[k]: self.bundles.keys[k].mask for k in kinds}
        mask = unmask_vector(self.desk.context, d, addresses, publics, secrets[SELF_SEED], secrets[MASK_KEY])
        total = gl.lincomb([1] * len(pieces), [piece[:d] for piece in pieces])  # the pad has done its work
        return gl.sub(total, mask)
