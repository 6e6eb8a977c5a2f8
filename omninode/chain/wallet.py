"""One secp256k1 key: kept in a Web3 Secret Storage (keystore v3) file, used to sign digests and transactions.

Written against `coincurve` and the standard library's key derivation: eth-account reads and writes the same files but
takes 0.7 s to import, which every daemon of a cluster would pay.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from coincurve import PrivateKey, PublicKey

from omninode.chain.errors import WalletError
from omninode.chain.hashing import checksum_address, keccak256
from omninode.chain.keystore import STRONG, Cost, decrypt, encrypt

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class Wallet:
    """A key pair. The private key never leaves this object but encrypted."""

    def __init__(self, secret: bytes) -> None:
        """secret: 32 bytes, a valid secp256k1 scalar, else ValueError."""
        if len(secret) != 32:
            raise ValueError(f"a private key has 32 bytes, not {len(secret)}")
        self._key = PrivateKey(secret)
        self.address: bytes = _address_of(self._key.public_key)

    def __repr__(self) -> str:
        return f"Wallet({checksum_address(self.address)})"

    @classmethod
    def create(cls, path: Path, passphrase: str, *, cost: Cost = STRONG, secret: bytes | None = None) -> Wallet:
        """Make a key and its file (0600, never overwrites). WalletError where the file exists or cannot be written."""
        wallet = cls(secret or secrets.token_bytes(32))
        document = encrypt(wallet._key.secret, wallet.address, passphrase, cost)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(document, file)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            raise WalletError(f"{path} exists; a wallet is never overwritten") from None
        except OSError as error:
            raise WalletError(f"cannot write the wallet {path}: {error.strerror}") from error
        return wallet

    @classmethod
    def load(cls, path: Path, passphrase: str) -> Wallet:
        """Open a key file. WalletError: missing, readable by others, damaged, or wrong passphrase."""
        try:
            if path.stat().st_mode & 0o077:
                raise WalletError(f"{path} can be read by others; run: chmod 600 {path}")
            document = json.loads(path.read_text())
        except OSError as error:
            raise WalletError(f"cannot read the wallet {path}: {error.strerror}") from error
        except ValueError:
            raise WalletError(f"{path} is damaged: not JSON") from None
        try:
            wallet = cls(decrypt(document, passphrase))
        except ValueError as error:
            raise WalletError(f"{path}: {error}") from None
        said = document.get("address", "") if isinstance(document, dict) else ""
        if said and said.lower().removeprefix("0x") != wallet.address.hex():
            raise WalletError(f"{path} is damaged: its key belongs to another address")
        return wallet

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r || s || v, v 27 or 28, s in the lower half. Deterministic (RFC 6979)."""
        if len(digest) != 32:
            raise ValueError(f"a digest has 32 bytes, not {len(digest)}")
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([signature[64] + 27])


def recover(digest: bytes, signature: bytes) -> bytes:
    """The 20-byte address that signed ``digest``. ValueError on junk and on the malleable form (high s)."""
    if len(digest) != 32 or len(signature) != 65:
        raise ValueError("a digest has 32 bytes and a signature 65")
    if signature[64] not in (27, 28):
        raise ValueError("the last byte of a signature is 27 or 28")
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise ValueError("s is in the upper half: a second form of the same signature")
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([signature[64] - 27]), digest, hasher=None)
    except Exception:  # the library raises bare Exception for points that are none
        raise ValueError("no such signature") from None
    return _address_of(key)


def _address_of(key: PublicKey) -> bytes:
    return keccak256(key.format(compressed=False)[1:])[12:]
