"""Blame is in the type: our bug, or their fault (after h11)."""

from __future__ import annotations


class ProtocolError(Exception):
    """Root of everything that a protocol machine raises."""


class LocalProtocolError(ProtocolError):
    """We asked a machine for something the protocol forbids: a bug on this side, never a peer's doing."""


class RemoteProtocolError(ProtocolError):
    """A peer broke a rule. The message is dropped and counted; the session goes on.

    rule: short kebab-case name of the broken rule, stable, as listed in docs/wire.md.
    peer: who did it (wallet address or peer key in hex; "?" before it is known).
    """

    def __init__(self, rule: str, peer: str = "?", detail: str = "") -> None:
        self.rule = rule
        self.peer = peer
        self.detail = detail
        super().__init__(f"{peer} broke rule {rule}" + (f": {detail}" if detail else ""))
