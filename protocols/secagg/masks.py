"""Pairwise and self masks (Bonawitz et al. 2017), exactly uniform over the field.

y_k = x_k + PRG(b_k) + sum_{l in V, l > k} PRG(s_kl) - sum_{l in V, l < k} PRG(s_kl), by positions within the group.
Over the sum of the y_k of all of V the pair masks cancel; ``unmask_vector`` is what is left when only U of V delivered.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.secagg.keys import agree, derive
from protocols.secagg.streams import accumulate
from protocols.wire.context import Context


def pair_seed(context: Context, own_secret: bytes, own: bytes, peer_public: bytes, peer: bytes) -> bytes:
    """s_kl: the 32-byte seed that two data owners share; both get the same.

    own_secret: our X25519 mask secret.  own, peer: wallet addresses.  HKDF of X25519 over session and both identities.
    ValueError if ``peer_public`` is no usable key, or the addresses are equal.
    """
    if own == peer:
        raise ValueError("nobody shares a mask with itself")
    return derive(agree(own_secret, peer_public), context.bind("pair-seed", *sorted((own, peer))))


def mask_update(update: Vector, position: int, self_seed: bytes, pair_seeds: Mapping[int, bytes]) -> Vector:
    """y_k, in a new vector.

    update: (d,) field elements.  position: ours in the group.  self_seed: b_k.  pair_seeds: by position, exactly the
    other members of V in the group. ValueError if our own position is among them.
    """
    if position in pair_seeds:
        raise ValueError("nobody shares a mask with itself")
    masked = update.copy()
    plus = [self_seed, *(seed for peer, seed in pair_seeds.items() if peer > position)]
    accumulate(masked, plus, [seed for peer, seed in pair_seeds.items() if peer < position])
    return masked


def unmask_vector(
    context: Context,
    length: int,
    addresses: Mapping[int, bytes],
    mask_publics: Mapping[int, bytes],
    self_seeds: Mapping[int, bytes],
    mask_secrets: Mapping[int, bytes],
) -> Vector:
    """The mask in the sum of y_k over U: subtract it and the sum of the updates is left. Shape (length,).

    All by position in the group. addresses, mask_publics: of every member of V.  self_seeds: b_k of exactly U.
    mask_secrets: rebuilt X25519 mask keys of exactly V without U. ValueError if a position is in both.
    """
    if both := self_seeds.keys() & mask_secrets.keys():
        raise ValueError(f"both secrets of positions {sorted(both)}")
    plus: list[bytes] = list(self_seeds.values())
    minus: list[bytes] = []
    for gone, secret in mask_secrets.items():
        for kept in self_seeds:
            seed = pair_seed(context, secret, addresses[gone], mask_publics[kept], addresses[kept])
            (plus if gone > kept else minus).append(seed)
    total = gl.zeros(length)
    accumulate(total, plus, minus)
    return total
