"""Sealing: static X25519, HKDF-SHA256, ChaCha20-Poly1305, deterministic.

After a crash the same bytes must leave again, and never may one nonce meet two plaintexts under one key. So the nonce
is a keyed hash of the plaintext (as in SIV, RFC 5297): equal plaintexts give equal bytes, different ones different
nonces, also if a chain reorganisation makes us seal something new under the same keys and the same associated data.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from protocols.secagg.keys import agree, derive, public_of
from protocols.wire.context import Context

_NONCE = 12
SEAL_OVERHEAD = _NONCE + 16
"""Bytes that sealing adds: nonce and tag."""


def bundle_associated(dealer: bytes, recipient: bytes) -> bytes:
    """Associated data of a key-share bundle (wallet addresses of dealer and recipient)."""
    return b"bundle" + dealer + recipient


def upload_associated(data_owner: bytes, prover: bytes) -> bytes:
    """Associated data of an upload piece (wallet addresses of data owner and prover)."""
    return b"upload" + data_owner + prover


def _keys(context: Context, shared: bytes, sender: bytes, recipient: bytes, associated: bytes) -> tuple[bytes, bytes]:
    material = derive(shared, context.bind("seal", sender, recipient, associated), 64)
    return material[:32], material[32:]


def seal(context: Context, sender_secret: bytes, recipient_public: bytes, associated: bytes, plaintext: bytes) -> bytes:
    """Encrypt ``plaintext`` so that only the owner of ``recipient_public`` can read it and knows who sent it.

    Keys: X25519, 32 bytes; the AEAD key is bound to both public keys, the session and ``associated``. Deterministic.
    Returns len(plaintext) + SEAL_OVERHEAD bytes. ValueError if ``recipient_public`` is no usable key.
    """
    shared = agree(sender_secret, recipient_public)
    key, nonce_key = _keys(context, shared, public_of(sender_secret), recipient_public, associated)
    nonce = hmac.digest(nonce_key, hashlib.sha256(plaintext).digest(), "sha256")[:_NONCE]
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, plaintext, associated)


def open_sealed(
    context: Context, recipient_secret: bytes, sender_public: bytes, associated: bytes, sealed: bytes
) -> bytes:
    """The plaintext of ``seal``. ValueError for anything that the owner of ``sender_public`` did not seal for us so."""
    if len(sealed) < SEAL_OVERHEAD:
        raise ValueError(f"{len(sealed)} bytes are too short to be sealed")
    shared = agree(recipient_secret, sender_public)
    key, _ = _keys(context, shared, sender_public, public_of(recipient_secret), associated)
    try:
        return ChaCha20Poly1305(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], associated)
    except InvalidTag:
        raise ValueError("not sealed for us by that key") from None
