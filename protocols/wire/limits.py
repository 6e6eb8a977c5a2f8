"""How large each message of a session may be, from the session's own numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from protocols.pine.params import PineParams, choose
from protocols.pine.pieces import largest_plain
from protocols.secagg.seal import SEAL_OVERHEAD
from protocols.secagg.shares import max_bundle_bytes
from protocols.secagg.upload import BLIND_BYTES, piece_bytes
from protocols.sessions.params import REFERENCE, Mode, SessionParams
from protocols.wire.specs import SPECS, most_bytes
from protocols.zk.params import NB_G, Statement, public_bytes

_PROJECTIONS = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """dimension: d.  owners: data owners of the session.  group: largest group.  groups: R.  committee: n.

    Mode verified: share: elements of a share vector with bits, proofs and pad.  plain: bytes of a piece before it is
    sealed.  verifier: elements of a verifier message.  All 0 in mode grouped, and where nothing can be proved.
    scalar: bytes of an element of the field.  public: bytes of an upload that are sent in clear.
    """

    dimension: int
    owners: int
    group: int
    groups: int
    committee: int
    share: int = 0
    plain: int = 0
    verifier: int = 0
    scalar: int = 8
    public: int = 0

    @classmethod
    def generous(cls) -> Limits:
        """What any session may have; for messages that arrive before its numbers are known."""
        return cls(
            dimension=1 << 24,
            owners=256,
            group=63,
            groups=16,
            committee=16,
            share=1 << 25,
            plain=1 << 29,
            scalar=32,
            public=1 << 11,
        )

    def number(self, name: int | str) -> int:
        """A limit by name (see ``_numbers``); a number stands for itself."""
        return name if isinstance(name, int) else _numbers(self)[name]

    @property
    def largest(self) -> int:
        """Bytes of the largest message that the session has."""
        return max(most_bytes(name, self) for name in SPECS)


def limits_for(params: SessionParams) -> Limits:
    """The limits of a session: at most R N data owners, groups of N .. 2N - 1."""
    if params.zk:
        return _zk_limits(params)
    verified = _proved(params) if params.mode == Mode.VERIFIED else None
    return Limits(
        dimension=params.dimension,
        owners=params.groups * params.group_size,
        group=max(2, min(2 * params.group_size - 1, params.groups * params.group_size)),
        groups=params.groups,
        committee=params.committee,
        share=verified.share_length if verified else 0,
        plain=largest_plain(verified, params.committee, params.threshold) if verified else 0,
        verifier=verified.verifier_length if verified else 0,
        public=64 * params.committee if verified else 0,
    )


def _zk_limits(params: SessionParams) -> Limits:
    """Certificate zk: pieces are scalars of 32 bytes, and nothing but a record, commitments and leaves is in clear."""
    length = params.dimension + NB_G
    return Limits(
        dimension=params.dimension,
        owners=params.groups,
        group=2,
        groups=params.groups,
        committee=params.committee,
        share=length,
        plain=BLIND_BYTES + 32 * length,
        scalar=32,
        public=public_bytes(params.threshold, params.committee, params.statement != Statement.GRAM),
    )


def _proved(params: SessionParams) -> PineParams | None:
    """None for a bound that cannot be proved (no contract of ours takes it): nothing is uploaded in such a session, and
    its peers stay welcome in all others.
    """
    try:
        return choose(params.dimension, params.bound)
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _numbers(limits: Limits) -> dict[str, int]:
    """Every limit that a field spec names."""
    length = limits.share or limits.dimension + 1  # with the pad coordinate
    plain = limits.plain or BLIND_BYTES + piece_bytes(length)
    bundle = max_bundle_bytes(limits.group)
    uploaders = limits.owners + 1  # the owner's reference
    pairs = uploaders * (uploaders + 1) // 2 if limits.share else limits.groups * (limits.groups + 1) // 2
    opened = max(limits.verifier * uploaders, _PROJECTIONS * limits.groups, pairs)
    levels = math.ceil(math.log2(2 * limits.group))
    unmask = limits.group * (9 + 9 + 45 + 37 + 5 + 37 * levels) + 1024
    return {
        "owners": limits.owners,
        "uploaders": REFERENCE if limits.share else limits.owners,
        "group": limits.group,
        "groups": limits.groups,
        "committee": limits.committee,
        "judged": limits.owners if limits.share else limits.groups * (limits.groups - 1) // 2,
        "share-path": levels,
        "upload-path": math.ceil(math.log2(limits.committee)),
        "vector": limits.scalar * length,
        "piece": plain - BLIND_BYTES,
        "sealed-piece": plain + SEAL_OVERHEAD,
        "public": limits.public,
        "bundle": bundle,
        "sealed-bundle": bundle + SEAL_OVERHEAD,
        "opened": limits.scalar * opened,
        "unmask": unmask,
    }
