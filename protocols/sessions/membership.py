"""A data owner's part in a session of either mode: it registers, may be told by its policy to leave, and claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protocols.sessions.effects import Effect, Note, Remember, Train, Transact
from protocols.sessions.view import SessionView

Policy = Callable[[SessionView], str]
"""Asked once the registered set is known: why we will not take part, or "". Must depend on the view only."""


def accept_all(view: SessionView) -> str:
    """The policy without objections."""
    return ""


@dataclass
class Membership:
    """address: our wallet.  peer_key: ed25519 key of our node, goes on chain.  proof: Merkle path of our wallet, empty
    for an open session.  refused: why the policy does not let us take part, "" if it does.
    """

    view: SessionView
    address: bytes
    peer_key: bytes
    proof: tuple[bytes, ...]
    policy: Policy
    refused: str = ""
    _joined: bool = False
    _claimed: bool = False

    def join(self, key_digest: bytes) -> list[Effect]:
        """Train and register, once. key_digest: 32 bytes that bind our keys of the session."""
        if self._joined:
            return []
        self._joined = True
        args = (self.peer_key, key_digest, self.proof)
        return [
            Remember("session", self.view.p.digest),
            Train(),
            Transact("register", args, value=self.view.p.deposit, key="register"),
        ]

    def ask_policy(self) -> list[Effect]:
        """The registered set is known: may we go on?"""
        if self.refused:
            return []
        why = self.policy(self.view)
        return self.leave(why) if why else []

    def leave(self, why: str) -> list[Effect]:
        """Take no (further) part."""
        self.refused = why
        return [Note("session_left", (("why", why),))]

    def end(self) -> list[Effect]:
        """Take what we are owed, once."""
        if self._claimed or self.view.member_of(self.address) is None:
            return []
        self._claimed = True
        note = [Note("session_aborted", (("why", self.view.aborted),))] if self.view.aborted is not None else []
        return [*note, Transact("claim", (), key="claim")]
