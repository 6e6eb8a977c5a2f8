"""What every hash, key and message of a session is bound to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def tagged_hash(tag: str, *parts: bytes) -> bytes:
    """SHA-256 over a tag and length-prefixed parts, so that no two different inputs share an encoding. 32 bytes."""
    state = hashlib.sha256()
    for part in (tag.encode(), *parts):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


@dataclass(frozen=True, slots=True)
class Context:
    """One session on one contract on one chain. contract: 20 bytes (the DataMarket's address)."""

    chain_id: int
    contract: bytes
    session: int

    def bind(self, tag: str, *parts: bytes) -> bytes:
        """A 32-byte hash of ``parts`` that means nothing in any other chain, contract, session or purpose."""
        return tagged_hash(
            "omninode/" + tag,
            self.chain_id.to_bytes(32, "big"),
            self.contract,
            self.session.to_bytes(32, "big"),
            *parts,
        )
