"""Where a wallet's passphrase comes from: never a command line, which every user of the machine can read."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from omninode.errors import KeyFileError
from omninode.observe.redact import protect

VARIABLE = "OMNINODE_PASSPHRASE"
CREDENTIAL = "omninode-passphrase"  # LoadCredential=omninode-passphrase:... in a systemd unit
FILE_NAME = "passphrase"


def find(file: str, data_dir: Path, environ: MutableMapping[str, str] | None = None) -> str:
    """From the environment, else ``file`` (wallet.passphrase_file), else systemd, else data_dir/passphrase.

    The variable is removed from the environment, so that no child process inherits it. Raises KeyFileError.
    """
    environ = os.environ if environ is None else environ
    found = environ.pop(VARIABLE, None)
    if found is None:
        found = _read(_place(file, data_dir, environ))
    protect(found)
    return found


def _place(file: str, data_dir: Path, environ: MutableMapping[str, str]) -> Path:
    if file:
        return Path(file)
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / CREDENTIAL).exists():
        return Path(credentials) / CREDENTIAL
    if (data_dir / FILE_NAME).exists():
        return data_dir / FILE_NAME
    raise KeyFileError("no passphrase for the wallet", f"set wallet.passphrase_file, or the variable {VARIABLE}")


def _read(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o007:
            raise KeyFileError(f"{path} can be read by everybody", f"chmod 600 {path}")
        found = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"the passphrase file {path} cannot be read: {error}") from error
    if not found:
        raise KeyFileError(f"the passphrase file {path} is empty", "write the passphrase into its first line")
    return found
