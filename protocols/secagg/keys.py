"""A data owner's secrets of one session, and the X25519 arithmetic under everything that is sealed or masked."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocols.wire.context import Context

KEY_BYTES = 32
"""Length of every X25519 key, seed and hash here."""


def public_of(secret: bytes) -> bytes:
    """The X25519 public key (32 bytes) of a 32-byte secret key."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def agree(secret: bytes, public: bytes) -> bytes:
    """The X25519 shared secret (32 bytes). ValueError if ``public`` is malformed or of small order (an all-zero
    result).
    """
    peer = X25519PublicKey.from_public_bytes(public)
    return X25519PrivateKey.from_private_bytes(secret).exchange(peer)


def derive(shared: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 of a shared secret, bound to ``info``."""
    return HKDF(hashes.SHA256(), length, salt=None, info=info).derive(shared)


def self_hash(context: Context, address: bytes, self_seed: bytes) -> bytes:
    """H(b_k): what a rebuilt self-mask seed of the data owner ``address`` is checked against."""
    return context.bind("self-seed", address, self_seed)


def key_digest(context: Context, address: bytes, enc_public: bytes, mask_public: bytes, hashed_seed: bytes) -> bytes:
    """What a data owner registers on chain: binds both public keys and H(b_k) to its wallet. 32 bytes."""
    return context.bind("keys", address, enc_public, mask_public, hashed_seed)


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What a data owner announces: encryption key, mask key, H(b_k); 32 bytes each."""

    enc: bytes
    mask: bytes
    self_hash: bytes

    def digest(self, context: Context, address: bytes) -> bytes:
        """The ``key_digest`` under which ``address`` must have registered these keys."""
        return key_digest(context, address, self.enc, self.mask, self.self_hash)


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Secrets of one data owner in one session, all from one seed, none of them used anywhere else.

    enc: X25519 for sealing.  mask: X25519 for pair seeds.  self_seed: b_k.  Fields that are secret stay out of
    ``repr``.
    """

    enc_secret: bytes = field(repr=False)
    mask_secret: bytes = field(repr=False)
    self_seed: bytes = field(repr=False)
    enc_public: bytes
    mask_public: bytes
    self_hash: bytes

    @classmethod
    def derive(cls, seed: bytes, context: Context, address: bytes) -> SessionKeys:
        """The keys of data owner ``address`` from its session seed (32 bytes; ValueError otherwise)."""
        if len(seed) != KEY_BYTES:
            raise ValueError(f"a session seed has {KEY_BYTES} bytes, not {len(seed)}")
        enc, mask, own = (context.bind("session-key", label, address, seed) for label in (b"enc", b"mask", b"self"))
        return cls(enc, mask, own, public_of(enc), public_of(mask), self_hash(context, address, own))

    @property
    def public(self) -> PublicKeys:
        """The part that is announced."""
        return PublicKeys(self.enc_public, self.mask_public, self.self_hash)
