"""What the chain says about a session of the baseline; ``omninode.chain.onchain`` decodes logs into these.

Addresses are 20 bytes, keys 32, sets of rounds are bitmaps. session: the factory's number. deadline: last block in
which the state that begins accepts its transactions.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.onchain.params import OnchainTerms, Training


@dataclass(frozen=True, slots=True)
class OnchainEvent:
    """Common part."""

    session: int
    block: int


@dataclass(frozen=True, slots=True)
class Created(OnchainEvent):
    """head: the session's contract."""

    head: bytes
    terms: OnchainTerms


@dataclass(frozen=True, slots=True)
class ModelPosted(OnchainEvent):
    chunk: int


@dataclass(frozen=True, slots=True)
class Whitelisted(OnchainEvent):
    who: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Started(OnchainEvent):
    """Register begins."""

    training: Training
    deadline: int


@dataclass(frozen=True, slots=True)
class Registered(OnchainEvent):
    """place: order of registration; member place % N of round place // N."""

    who: bytes
    place: int
    peer_key: bytes


@dataclass(frozen=True, slots=True)
class KeyPosted(OnchainEvent):
    who: bytes
    place: int
    key: bytes


@dataclass(frozen=True, slots=True)
class AggregationOpened(OnchainEvent):
    """live: rounds in which everybody has a key; only they may upload."""

    live: int
    deadline: int


@dataclass(frozen=True, slots=True)
class Uploaded(OnchainEvent):
    who: bytes
    place: int
    chunk: int


@dataclass(frozen=True, slots=True)
class RoundComplete(OnchainEvent):
    round: int


@dataclass(frozen=True, slots=True)
class SuppressionOpened(OnchainEvent):
    """complete: rounds whose sums are whole."""

    complete: int
    deadline: int


@dataclass(frozen=True, slots=True)
class Measured(OnchainEvent):
    chunk: int


@dataclass(frozen=True, slots=True)
class Selected(OnchainEvent):
    """selected: P', 0 without output.  share: wei for each member of its rounds."""

    selected: int
    share: int


@dataclass(frozen=True, slots=True)
class Claimed(OnchainEvent):
    who: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Exited(OnchainEvent):
    amount: int
