"""Everything that a role may use, built once by `omninode.node`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from omninode.roles.keyring import Keyring, NoKeys
from protocols.sessions.identity import Identity
from protocols.wire.context import Context

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from omninode.chain.market import Market
    from omninode.chain.onchain import Onchain
    from omninode.chain.registry import Registry
    from omninode.chain.wallet import Wallet
    from omninode.config import Config
    from omninode.learning.service import Trainer
    from omninode.net.service import Network
    from omninode.observe.events import EventLog
    from omninode.roles.directory import Directory
    from omninode.store.blobs import FileBlobStore
    from omninode.store.db import Store


@dataclass
class Services:
    """new_seed: 32 fresh bytes, the only source of a session's randomness (journaled before use).

    onchain: the on-chain baseline's factory, where one is configured.
    keys: for sessions of certificate ``zk``.  compute: how many machine steps may run at once in threads.
    key_making: how many keys may be made at once, beside them (``session_keys``).
    """

    config: Config
    data_dir: Path
    log: BoundLogger
    events: EventLog
    store: Store
    blobs: FileBlobStore
    wallet: Wallet
    enc_secret: bytes
    enc_public: bytes
    market: Market
    registry: Registry
    net: Network
    directory: Directory
    trainer: Trainer
    onchain: Onchain | None = None
    keys: Keyring = field(default_factory=NoKeys)
    new_seed: Callable[[], bytes] = field(default=lambda: secrets.token_bytes(32))
    compute: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(2))
    key_making: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(1))

    def context(self, session: int) -> Context:
        """The binding of everything said in ``session``."""
        return Context(self.market.chain_id, self.market.address, session)

    def identity(self) -> Identity:
        """Our wallet as the machines may know it."""
        from omninode.chain.wallet import recover

        return Identity(self.wallet.address, self.wallet.sign_digest, recover, self.enc_secret)
