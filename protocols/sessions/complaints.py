"""A complaint carries the wallet's signature of the member that complains, so that provers can hand it to the dealer.

Without it a lying prover could make a dealer open bundles of members that never complained, and learn their shares.
"""

from __future__ import annotations

from protocols.sessions.identity import Identity
from protocols.wire.context import Context


def complaint_digest(context: Context, dealer: bytes, recipient: bytes) -> bytes:
    """What ``recipient`` signs when the bundle of ``dealer`` for it is bad (wallet addresses)."""
    return context.bind("complaint", dealer, recipient)


def is_complaint(context: Context, identity: Identity, dealer: bytes, recipient: bytes, signature: bytes) -> bool:
    """Whether ``recipient`` signed a complaint about ``dealer``. identity: ours, to recover signers."""
    try:
        return identity.recover(complaint_digest(context, dealer, recipient), signature) == recipient
    except ValueError:
        return False
