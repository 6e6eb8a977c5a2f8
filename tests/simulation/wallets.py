"""Wallets for simulations: signatures that cannot be forged without the registry of keys, and cost microseconds."""

from __future__ import annotations

import hashlib
import hmac

from protocols.secagg.keys import public_of
from protocols.sessions.identity import Identity


class Wallets:
    """Makes identities that recognise each other's signatures."""

    def __init__(self) -> None:
        self._keys: dict[bytes, bytes] = {}

    def new(self, name: str) -> Identity:
        """A wallet with an X25519 secret, both derived from its name."""
        key = hashlib.sha256(name.encode()).digest()
        address = hashlib.sha256(b"address" + key).digest()[:20]
        self._keys[address] = key
        return Identity(
            address, lambda digest: self._sign(address, digest), self._recover, hashlib.sha256(b"enc" + key).digest()
        )

    def _sign(self, address: bytes, digest: bytes) -> bytes:
        tag = hmac.digest(self._keys[address], digest, "sha512")[:45]
        return address + tag

    def _recover(self, digest: bytes, signature: bytes) -> bytes:
        address = signature[:20]
        if len(signature) != 65 or address not in self._keys or self._sign(address, digest) != signature:
            raise ValueError("no signature")
        return address


def enc_public(identity: Identity) -> bytes:
    """What the identity's pieces are sealed to."""
    return public_of(identity.enc_secret)
