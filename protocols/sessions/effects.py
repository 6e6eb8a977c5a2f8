"""What a machine asks its driver to do. The driver journals the input that caused an effect before it acts on it."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.wire.messages import Message


@dataclass(frozen=True, slots=True)
class Send:
    """Deliver ``message`` to the participant with wallet address ``to`` over a direct stream.

    Retry until acknowledged or the session ends.
    """

    to: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the request that is being handled with ``message``: at most one; no Reply means a bare acknowledgement."""

    message: Message


@dataclass(frozen=True, slots=True)
class Publish:
    """Sign ``message`` with the wallet and gossip it."""

    message: Message


@dataclass(frozen=True, slots=True)
class Transact:
    """Send one transaction to the market, once per key. call: Solidity function name. key: unique in the session."""

    call: str
    args: tuple[object, ...]
    value: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class Train:
    """Start local training on this session's document; feed the result back with ``update_ready``."""


@dataclass(frozen=True, slots=True)
class Remember:
    """Write (key, value) to the safety journal. The driver refuses to go on if another value stands under key."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Blame:
    """A peer broke a rule; log and count it. peer: wallet address."""

    peer: bytes
    rule: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something an operator wants to see. name: event name; fields: plain values without secrets."""

    name: str
    fields: tuple[tuple[str, object], ...] = ()


Effect = Send | Reply | Publish | Transact | Train | Remember | Blame | Note
