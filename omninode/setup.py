"""What `omninode init` makes: passphrase, wallet, keys, and last of all the configuration."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omninode import config
from omninode.errors import ConfigError, KeyFileError, disk_error
from omninode.passphrase import FILE_NAME as PASSPHRASE
from omninode.passphrase import VARIABLE, find


@dataclass(frozen=True)
class Made:
    """What init made. address: the wallet's, with 0x."""

    config: Path
    wallet: Path
    address: str
    peer_id: str
    next_steps: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**{name: str(value) for name, value in self.pairs()}, "next": list(self.next_steps)}

    def pairs(self) -> list[tuple[str, Any]]:
        """For a person."""
        return [
            ("config", self.config), ("wallet", self.wallet), ("address", self.address), ("peer_id", self.peer_id),
        ]  # fmt: skip


def initialise(path: Path, values: Mapping[str, Any]) -> Made:
    """Make a node's directory. Safe to repeat after an interruption: keys that are there are kept.

    values: "section.key" -> value, for the configuration. Raises ConfigError if there is a configuration already.
    """
    from omninode.chain.hashing import checksum_address
    from omninode.chain.keystore import LIGHT, STRONG
    from omninode.chain.wallet import Wallet
    from omninode.net.keys import peer_id_of
    from omninode.store.keys import load_or_create, public_key

    path = path.absolute()
    config.refuse_existing(path)
    config.render_checked(values)  # a wrong value costs nothing: no key was made yet
    folder = path.parent
    wallet_path = folder / "wallet.json"
    passphrase = _passphrase(folder, str(values.get("wallet.passphrase_file", "")))
    if wallet_path.exists():
        address = _address_in(wallet_path)
    else:
        wallet = Wallet.create(wallet_path, passphrase, cost=LIGHT if values.get("wallet.light") else STRONG)
        address = wallet.address
    peer_id = peer_id_of(public_key(load_or_create(folder / "peer.key")))
    config.write_default(path, values)
    return Made(
        path, wallet_path, checksum_address(address), peer_id, _next_steps(path, values, checksum_address(address))
    )


def _passphrase(folder: Path, file: str) -> str:
    """The one that was given, else a new one in a file beside the wallet (0600)."""
    path = folder / PASSPHRASE
    if not file and VARIABLE not in os.environ and not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
                handle.write(secrets.token_urlsafe(24) + "\n")
        except OSError as error:
            raise disk_error(error, path) from error
    return find(file, folder)


def _address_in(path: Path) -> bytes:
    try:
        return bytes.fromhex(json.loads(path.read_text())["address"].removeprefix("0x"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyFileError(f"{path} is no wallet: {error!r}", "move it away and run omninode init again") from error


def _next_steps(path: Path, values: Mapping[str, Any], address: str) -> tuple[str, ...]:
    steps = []
    try:
        config.load(path, environ={})
    except ConfigError as error:
        steps.append(f"mend the configuration: {error.problem}")
    steps.append(f"send ether to {address}")
    if (path.parent / PASSPHRASE).exists() and "wallet.passphrase_file" not in values:
        steps.append(f"keep a copy of wallet.json and {PASSPHRASE} elsewhere: who loses them loses the money")
    steps.append(f"omninode start --config {path}")
    return tuple(steps)
