"""The hash chain over a journal: each entry's link binds it to all before it, so a later change is found and placed.

link of entry k = SHA-256(tag | link of entry k - 1 | kind | SHA-256(payload)); what precedes entry 0 binds session and
role. Safety records keep the link that stood when they were made (a seal). There is no secret in the chain: it finds
damage and partial edits. Whoever rewrites the entries, all later links, the seals and the end still has to pass the
replay (`omninode.roles.verify_transcript`).
"""

from __future__ import annotations

import hashlib

TAG = b"omninode/journal/1"


def first_link(session: int, role: str) -> bytes:
    """What stands before entry 0 of (session, role): 32 bytes."""
    return hashlib.sha256(TAG + session.to_bytes(8, "big") + role.encode()).digest()


def next_link(previous: bytes, kind: str, payload_digest: bytes) -> bytes:
    """The link of an entry. previous: link of the one before (32 bytes).  payload_digest: SHA-256 of its payload."""
    name = kind.encode()
    return hashlib.sha256(TAG + previous + len(name).to_bytes(2, "big") + name + payload_digest).digest()
