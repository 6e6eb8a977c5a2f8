"""What a prover does with the shares it was sent for unmasking: rebuild a secret and hold it against what was
registered.

The shares have passed ``verify_share``: the dealer committed them. So a secret that comes out wrong is the dealer's
fault.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.secagg.keys import public_of, self_hash
from protocols.sharing.shamir import rebuild_secret
from protocols.wire.context import Context


def _rebuild(shares: Mapping[int, bytes], threshold: int) -> bytes:
    if len(shares) < threshold:
        raise ValueError(f"{len(shares)} shares, {threshold} are needed")
    chosen = sorted(shares)[:threshold]
    return rebuild_secret([position + 1 for position in chosen], [shares[position] for position in chosen])


def rebuild_self_seed(
    context: Context, dealer: bytes, hashed: bytes, shares: Mapping[int, bytes], threshold: int
) -> bytes:
    """b_k of ``dealer`` (wallet address) from shares by position; the T lowest positions count.

    hashed: its announced H(b_k). ValueError if there are too few shares or the result is not what was announced.
    """
    seed = _rebuild(shares, threshold)
    if self_hash(context, dealer, seed) != hashed:
        raise ValueError("the shares rebuild another self-mask seed than was announced")
    return seed


def rebuild_mask_secret(mask_public: bytes, shares: Mapping[int, bytes], threshold: int) -> bytes:
    """The X25519 mask secret behind ``mask_public`` from shares by position. Errors as in ``rebuild_self_seed``."""
    secret = _rebuild(shares, threshold)
    if public_of(secret) != mask_public:
        raise ValueError("the shares rebuild another mask key than was announced")
    return secret
