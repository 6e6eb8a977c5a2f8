"""Pairwise masks (Bonawitz et al. 2017, the part without dropouts): uniform 64-bit words that cancel in a round's sum.

y_k = x_k + sum_{l: k < l} PRG(s_kl) - sum_{l: k > l} PRG(s_kl) mod 2^64, by order of the wallet addresses. There is no
self mask and nothing is rebuilt: a round in which anybody falls silent is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from protocols.onchain.lanes import Lanes
from protocols.secagg.keys import KEY_BYTES, agree, derive, public_of
from protocols.secagg.streams import MaskStream
from protocols.wire.context import Context


@dataclass(frozen=True, slots=True)
class MaskKey:
    """A data owner's X25519 key of one session, used nowhere else; 32 bytes each."""

    secret: bytes = field(repr=False)
    public: bytes

    @classmethod
    def derive(cls, seed: bytes, context: Context, address: bytes) -> MaskKey:
        """From the session's seed (32 bytes; ValueError otherwise). context.contract: the session's head contract."""
        if len(seed) != KEY_BYTES:
            raise ValueError(f"a session seed has {KEY_BYTES} bytes, not {len(seed)}")
        secret = context.bind("onchain-key", address, seed)
        return cls(secret, public_of(secret))


def pair_seed(context: Context, key: MaskKey, own: bytes, peer_public: bytes, peer: bytes) -> bytes:
    """s_kl, 32 bytes, bound to chain, contract, session, both wallets and both keys; both sides get the same.

    ValueError if ``peer_public`` is no usable key, or the addresses are equal.
    """
    if own == peer:
        raise ValueError("nobody shares a mask with itself")
    (low, low_key), (high, high_key) = sorted(((own, key.public), (peer, peer_public)))
    info = context.bind("onchain-pair", low, low_key, high, high_key)
    return derive(agree(key.secret, peer_public), info)


def mask(context: Context, key: MaskKey, own: bytes, peers: Mapping[bytes, bytes], lanes: Lanes) -> Lanes:
    """y_k in a new vector. peers: public key by wallet of exactly the others of the round.

    ValueError where there are no others (nothing would be masked), we are among them, or a key is not usable.
    """
    if not peers:
        raise ValueError("nobody to mask with: the model would be public")
    masked, row = lanes.copy(), np.empty(len(lanes), dtype=np.uint64)
    for peer in sorted(peers):
        MaskStream(pair_seed(context, key, own, peers[peer], peer)).raw(row)
        if own < peer:
            masked += row
        else:
            masked -= row
    return masked


def round_sum(masked: list[Lanes]) -> Lanes:
    """What a chunk contract adds up: mod 2^64."""
    total = np.zeros_like(masked[0])
    for one in masked:
        total += one
    return total
