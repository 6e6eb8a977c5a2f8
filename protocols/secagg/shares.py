"""Shares of a data owner's two secrets for the members of its group, each bound to one Merkle root on chain.

kind 0 is the self-mask seed b_k, kind 1 the mask secret key (Bonawitz et al. 2017). Positions count the members of a
group in drawn order from 0; the share of position i is the polynomial at i + 1. The tree has two leaves per position: 2
i + kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from protocols.fields.goldilocks import is_canonical
from protocols.secagg.keys import SessionKeys
from protocols.sessions.params import mask_threshold
from protocols.sharing import merkle
from protocols.sharing.shamir import SECRET_SHARE_BYTES, share_secret
from protocols.wire.context import Context

SELF_SEED = 0
"""Kind of a share of b_k."""
MASK_KEY = 1
"""Kind of a share of the mask secret key."""
SALT_BYTES = 32
_HASH = merkle.HASH_BYTES


@dataclass(frozen=True, slots=True)
class ProvenShare:
    """One share (40 bytes) with what proves it: salt (32 bytes) and Merkle path (32 bytes per level)."""

    share: bytes = field(repr=False)
    salt: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """Both shares for one position."""

    self_share: ProvenShare
    mask_share: ProvenShare

    def of(self, kind: int) -> ProvenShare:
        """The share of this kind."""
        return self.mask_share if kind == MASK_KEY else self.self_share


@dataclass(frozen=True, slots=True)
class KeyShares:
    """What a dealer makes: the root to commit on chain, and the bundle of every position, its own included."""

    root: bytes
    bundles: tuple[Bundle, ...]


def proof_length(index: int, count: int) -> int:
    """Number of siblings on the path of leaf ``index`` among ``count`` (a node without sibling is handed up)."""
    length = 0
    while count > 1:
        length += (index ^ 1) < count
        index, count = index >> 1, (count + 1) >> 1
    return length


def max_bundle_bytes(size: int) -> int:
    """Upper bound on the packed bundle of a group of ``size``."""
    return 2 * (SECRET_SHARE_BYTES + SALT_BYTES + _HASH * math.ceil(math.log2(2 * size)))


def _leaf(context: Context, dealer: bytes, position: int, kind: int, salt: bytes, share: bytes) -> bytes:
    return context.bind("key-share", dealer, position.to_bytes(4, "big"), bytes([kind]), salt, share)


def deal_key_shares(context: Context, dealer: bytes, keys: SessionKeys, size: int, seed: bytes) -> KeyShares:
    """Share ``keys.self_seed`` and ``keys.mask_secret`` with threshold T = mask_threshold(size) for a group of
    ``size``.

    dealer: wallet address.  seed: 32 bytes, the only randomness (coefficients and salts). ValueError if size < 1.
    """
    own = context.bind("deal-key-shares", dealer, size.to_bytes(4, "big"), seed)
    threshold = mask_threshold(size)
    secrets = (keys.self_seed, keys.mask_secret)
    dealt = [
        share_secret(secret, threshold, size, context.bind("deal", bytes([kind]), own))
        for kind, secret in enumerate(secrets)
    ]
    shares = [dealt[kind][position] for position in range(size) for kind in (SELF_SEED, MASK_KEY)]
    salts = [context.bind("salt", i.to_bytes(4, "big"), own) for i in range(2 * size)]
    leaves = [_leaf(context, dealer, i // 2, i % 2, salts[i], shares[i]) for i in range(2 * size)]
    proofs = merkle.proofs(leaves)
    proven = [ProvenShare(*parts) for parts in zip(shares, salts, map(tuple, proofs), strict=True)]
    bundles = tuple(Bundle(*proven[2 * i : 2 * i + 2]) for i in range(size))
    return KeyShares(merkle.root(leaves), bundles)


def verify_share(
    context: Context,
    dealer: bytes,
    root: bytes,
    size: int,
    position: int,
    kind: int,
    salt: bytes,
    share: bytes,
    proof: Sequence[bytes],
) -> bool:
    """Whether ``dealer`` committed this share of ``kind`` for ``position`` under its root on chain. Garbage gives
    False.
    """
    if not 0 <= position < size or kind not in (SELF_SEED, MASK_KEY):
        return False
    if (
        len(salt) != SALT_BYTES
        or len(share) != SECRET_SHARE_BYTES
        or not is_canonical(np.frombuffer(share, dtype="<u8"))
    ):
        return False
    return merkle.verify(
        root, _leaf(context, dealer, position, kind, salt, share), 2 * position + kind, 2 * size, proof
    )


def verify_bundle(context: Context, dealer: bytes, root: bytes, size: int, position: int, bundle: Bundle) -> bool:
    """Whether both shares of a bundle are the committed ones."""
    return all(
        verify_share(context, dealer, root, size, position, kind, s.salt, s.share, s.proof)
        for kind, s in ((SELF_SEED, bundle.self_share), (MASK_KEY, bundle.mask_share))
    )


def pack_bundle(bundle: Bundle) -> bytes:
    """Plain bytes of a bundle: per kind share, salt and path. The lengths follow from size and position."""
    return b"".join(s.share + s.salt + b"".join(s.proof) for s in (bundle.self_share, bundle.mask_share))


def unpack_bundle(data: bytes, size: int, position: int) -> Bundle:
    """Inverse of ``pack_bundle``. ValueError unless the length is exactly that of ``position`` in a group of
    ``size``.
    """
    parts, start = [], 0
    for kind in (SELF_SEED, MASK_KEY):
        salt = start + SECRET_SHARE_BYTES
        path = salt + SALT_BYTES
        end = path + _HASH * proof_length(2 * position + kind, 2 * size)
        proof = tuple(data[i : i + _HASH] for i in range(path, end, _HASH))
        parts.append(ProvenShare(data[start:salt], data[salt:path], proof))
        start = end
    if start != len(data):
        raise ValueError(f"a bundle of position {position} in a group of {size} has {start} bytes, not {len(data)}")
    return Bundle(*parts)


def open_bundle(context: Context, dealer: bytes, root: bytes, size: int, position: int, data: bytes) -> Bundle:
    """Unpack and verify a plain bundle. ValueError if it is malformed or not what the dealer committed."""
    bundle = unpack_bundle(data, size, position)
    if not verify_bundle(context, dealer, root, size, position, bundle):
        raise ValueError("a share is not the committed one")
    return bundle
