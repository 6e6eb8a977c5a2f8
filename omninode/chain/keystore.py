"""Web3 Secret Storage, version 3: a private key under a passphrase, as geth and every wallet read it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from omninode.chain.hashing import keccak256

_MAX_SCRYPT_MEMORY = 1 << 30  # a file may not make us take more


@dataclass(frozen=True, slots=True)
class Cost:
    """Work that one guess of a passphrase costs. scrypt: n, r, p (memory 128 n r bytes)."""

    n: int
    r: int = 8
    p: int = 1


STRONG = Cost(n=1 << 18)  # geth's standard: 256 MiB and about a second
LIGHT = Cost(n=1 << 12)  # demos and tests: 4 MiB, 15 ms


def encrypt(secret: bytes, address: bytes, passphrase: str, cost: Cost) -> dict[str, object]:
    """The JSON document of a key. Fresh salt and IV from the operating system."""
    salt, iv = secrets.token_bytes(32), secrets.token_bytes(16)
    key = _scrypt(passphrase, salt, cost, 32)
    ciphertext = _aes_ctr(key[:16], iv, secret)
    kdfparams = {"dklen": 32, "n": cost.n, "r": cost.r, "p": cost.p, "salt": salt.hex()}
    crypto = {
        "cipher": "aes-128-ctr", "cipherparams": {"iv": iv.hex()}, "ciphertext": ciphertext.hex(),
        "kdf": "scrypt", "kdfparams": kdfparams, "mac": keccak256(key[16:32] + ciphertext).hex(),
    }  # fmt: skip
    return {"version": 3, "id": str(uuid.uuid4()), "address": address.hex(), "crypto": crypto}


def decrypt(document: object, passphrase: str) -> bytes:
    """The private key, 32 bytes. ValueError: not version 3, unknown algorithm, damaged, or wrong passphrase."""
    try:
        if not isinstance(document, dict) or document["version"] != 3:
            raise ValueError("not a keystore of version 3")
        crypto = document["crypto"]
        if crypto["cipher"] != "aes-128-ctr":
            raise ValueError(f"unknown cipher {crypto['cipher']!r}")
        ciphertext = bytes.fromhex(crypto["ciphertext"])
        key = _derive(crypto["kdf"], crypto["kdfparams"], passphrase)
        if not hmac.compare_digest(keccak256(key[16:32] + ciphertext), bytes.fromhex(crypto["mac"])):
            raise ValueError("wrong passphrase")
        return _aes_ctr(key[:16], bytes.fromhex(crypto["cipherparams"]["iv"]), ciphertext)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"damaged keystore: {error!r}") from None


def _derive(kdf: str, params: dict[str, object], passphrase: str) -> bytes:
    salt, length = bytes.fromhex(str(params["salt"])), int(str(params["dklen"]))
    if not 32 <= length <= 64:
        raise ValueError(f"odd key length {length}")
    if kdf == "scrypt":
        cost = Cost(*(int(str(params[name])) for name in ("n", "r", "p")))
        if 128 * cost.n * cost.r > _MAX_SCRYPT_MEMORY:
            raise ValueError("the key derivation asks for more than 1 GiB")
        return _scrypt(passphrase, salt, cost, length)
    if kdf == "pbkdf2" and params["prf"] == "hmac-sha256":
        return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, int(str(params["c"])), length)
    raise ValueError(f"unknown key derivation {kdf!r}")


def _scrypt(passphrase: str, salt: bytes, cost: Cost, length: int) -> bytes:
    memory = 128 * cost.r * (cost.n + cost.p + 2) + (1 << 20)
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=memory, dklen=length)


def _aes_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    stage = Cipher(AES(key), CTR(iv)).encryptor()
    return stage.update(data) + stage.finalize()
