"""32-byte secrets of the node in files that only its user can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from omninode.errors import KeyFileError, disk_error
from omninode.observe.redact import protect
from omninode.store.journal import sync_folder

SEED_BYTES = 32


def load_or_create(path: Path) -> bytes:
    """The 32-byte seed in ``path`` (64 hex digits, 0600); made and written first where there is none.

    Raises KeyFileError if others can read the file or it holds something else, StoreError if it cannot be written.
    """
    if not path.exists():
        _create(path)
    seed = _load(path)
    protect(seed)
    return seed


def public_key(seed: bytes) -> bytes:
    """The ed25519 public key, 32 bytes, of a 32-byte seed: how others name the peer."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _load(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others", f"chmod 600 {path}")
        text = path.read_text(encoding="ascii").strip()
        seed = bytes.fromhex(text)
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise KeyFileError(
            f"the key file {path} is damaged", "put a copy back, or remove it to get a new key"
        ) from None
    if len(seed) != SEED_BYTES:
        raise KeyFileError(f"the key file {path} holds {len(seed)} bytes instead of {SEED_BYTES}", "put a copy back")
    return seed


def _create(path: Path) -> None:
    """Content first, then the name: nobody ever sees half a key. Whoever comes second uses the first one's key."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_bytes(SEED_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
        sync_folder(path.parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)
