"""The state of a proof's transcript: every message that is sent gives the next challenge."""

from __future__ import annotations

from protocols.zk.hashing import Item, challenge, h, tag


class Transcript:
    """state: t0, t1, .. of the proof, 32 bytes. It begins with the tag of the statement and the session's hash."""

    def __init__(self, name: str, sess: bytes, *items: Item) -> None:
        self.state = h(tag(name), sess, *items)

    def absorb(self, *items: Item) -> int:
        """What is sent next; its challenge."""
        self.state = h(self.state, *items)
        return self.challenge

    @property
    def challenge(self) -> int:
        """F of the state."""
        return challenge(self.state)
