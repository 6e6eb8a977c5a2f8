"""How large each message of a session may be, from the session's own numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from protocols.secagg.seal import SEAL_OVERHEAD
from protocols.secagg.shares import max_bundle_bytes
from protocols.secagg.upload import BLIND_BYTES, piece_bytes
from protocols.sessions.params import SessionParams
from protocols.wire.specs import SPECS, most_bytes

_PROJECTIONS = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """dimension: d.  owners: data owners of the session.  group: largest group.  groups: R.  committee: n."""

    dimension: int
    owners: int
    group: int
    groups: int
    committee: int

    @classmethod
    def generous(cls) -> Limits:
        """What any session may have; for messages that arrive before its numbers are known."""
        return cls(dimension=1 << 24, owners=256, group=63, groups=16, committee=16)

    def number(self, name: int | str) -> int:
        """A limit by name (see ``_numbers``); a number stands for itself."""
        return name if isinstance(name, int) else _numbers(self)[name]

    @property
    def largest(self) -> int:
        """Bytes of the largest message that the session has."""
        return max(most_bytes(name, self) for name in SPECS)


def limits_for(params: SessionParams) -> Limits:
    """The limits of a session: at most R N data owners, groups of N .. 2N - 1."""
    return Limits(
        dimension=params.dimension,
        owners=params.groups * params.group_size,
        group=max(2, min(2 * params.group_size - 1, params.groups * params.group_size)),
        groups=params.groups,
        committee=params.committee,
    )


@lru_cache(maxsize=64)
def _numbers(limits: Limits) -> dict[str, int]:
    """Every limit that a field spec names."""
    vector = 8 * (limits.dimension + 1)  # with the pad coordinate
    bundle = max_bundle_bytes(limits.group)
    opened = max(limits.owners, _PROJECTIONS * limits.groups, limits.groups * (limits.groups + 1) // 2)
    levels = math.ceil(math.log2(2 * limits.group))
    unmask = limits.group * (9 + 9 + 45 + 37 + 5 + 37 * levels) + 1024
    return {
        "owners": limits.owners,
        "group": limits.group,
        "groups": limits.groups,
        "committee": limits.committee,
        "pairs": limits.groups * (limits.groups - 1) // 2,
        "share-path": levels,
        "upload-path": math.ceil(math.log2(limits.committee)),
        "vector": vector,
        "piece": piece_bytes(limits.dimension + 1),
        "sealed-piece": BLIND_BYTES + piece_bytes(limits.dimension + 1) + SEAL_OVERHEAD,
        "bundle": bundle,
        "sealed-bundle": bundle + SEAL_OVERHEAD,
        "opened": 8 * opened,
        "unmask": unmask,
    }
