"""What the chain says about a session, as typed values: `omninode.chain` decodes logs into these, `SessionView` folds.

Addresses are 20 bytes, keys and digests 32 bytes, bitmaps plain integers. Every event carries its block number.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.sessions.params import Beacon, Bitmap, Phase, SessionParams


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """Common part. session 0 means: not about a session (registry events)."""

    session: int
    block: int


@dataclass(frozen=True, slots=True)
class SessionCreated(ChainEvent):
    params: SessionParams


@dataclass(frozen=True, slots=True)
class PhaseChanged(ChainEvent):
    """deadline: last block in which the new phase still accepts its transactions (0: none)."""

    phase: Phase
    deadline: int


@dataclass(frozen=True, slots=True)
class BeaconSet(ChainEvent):
    purpose: Beacon
    value: bytes


@dataclass(frozen=True, slots=True)
class ProverInfo:
    """A prover as the registry knows it. peer_key: ed25519, enc_key: X25519."""

    address: bytes
    peer_key: bytes
    enc_key: bytes


@dataclass(frozen=True, slots=True)
class CommitteeDrawn(ChainEvent):
    """provers[i] has evaluation point i + 1 and bit i in prover bitmaps."""

    provers: tuple[ProverInfo, ...]


@dataclass(frozen=True, slots=True)
class Registered(ChainEvent):
    index: int
    data_owner: bytes
    peer_key: bytes
    key_digest: bytes


@dataclass(frozen=True, slots=True)
class GroupsDrawn(ChainEvent):
    """order: registration indices sorted by H(beacon, address); group_count: groups made of them."""

    order: tuple[int, ...]
    group_count: int


@dataclass(frozen=True, slots=True)
class ShareRootCommitted(ChainEvent):
    index: int
    root: bytes


@dataclass(frozen=True, slots=True)
class BitmapPosted(ChainEvent):
    kind: Bitmap
    prover: int
    bits: int


@dataclass(frozen=True, slots=True)
class OpeningsPosted(ChainEvent):
    """Phase VALID, once per prover: its combinations for the consistency check, where everybody sees the same ones.

    prover: committee index.  present: bitmap of the uploaders that it holds pieces of.  values: 8 bytes for each,
    little-endian, ascending; not checked by the contract but for their number.
    """

    prover: int
    present: int
    values: bytes


@dataclass(frozen=True, slots=True)
class SetFixed(ChainEvent):
    kind: Bitmap
    bits: int


@dataclass(frozen=True, slots=True)
class UploadCommitted(ChainEvent):
    index: int
    root: bytes


@dataclass(frozen=True, slots=True)
class ReferenceCommitted(ChainEvent):
    """Mode verified: the root of the owner's shared reference update."""

    root: bytes


@dataclass(frozen=True, slots=True)
class Scored(ChainEvent):
    """Mode verified, payout by contribution, together with BatchFinal: per accepted data owner, ascending, its score
    and the size of its family of copies: score + (copies << 128).
    """

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BatchFinal(ChainEvent):
    """passed, selected: bitmaps over groups; accepted: bitmap over data owners (members of U in selected groups).

    Mode verified: all three are the accepted data owners.
    """

    batch_hash: bytes
    passed: int
    selected: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Proved(ChainEvent):
    """Certificate zk, together with BatchFinal: the contract has checked the proof.

    aggregate: commitment to the sum of the accepted updates, x and y.  values_hash: keccak256 of what was opened.
    """

    aggregate: tuple[int, int]
    values_hash: bytes


@dataclass(frozen=True, slots=True)
class Attested(ChainEvent):
    """provers: bitmap over the committee; data_owners: bitmap over data owners."""

    provers: int
    data_owners: int


@dataclass(frozen=True, slots=True)
class SessionAborted(ChainEvent):
    reason: str
