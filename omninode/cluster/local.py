"""Lays out a local market: one directory with keys, wallet and configuration for every node."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omninode.chain.hashing import checksum_address
from omninode.chain.keystore import LIGHT
from omninode.chain.wallet import Wallet
from omninode.cluster.processes import NodeProcess, free_ports
from omninode.net.keys import peer_id_of
from omninode.roles.keyring import FOLDER
from omninode.store.keys import load_or_create, public_key

if TYPE_CHECKING:
    from omninode.chain.deployment import Deployment

ETHER = 10**18
FUNDS = 1_000 * ETHER
PROVER_STAKE = 10 * ETHER
EXIT_DELAY_BLOCKS = 100
BOOTSTRAP_NODES = 2


@dataclass(frozen=True)
class NodePlan:
    """One node to be. settings: configuration by section, on top of what every node of the cluster has."""

    name: str
    role: str
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    module: str = "omninode"


def toml_text(sections: dict[str, dict[str, Any]]) -> str:
    """Sections of scalars and lists as TOML."""
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)


class LocalCluster:
    """Directories and processes of a local market under ``root``; the chain is the caller's.

    string: the reference string of all nodes, None without certificate ``zk``.
    """

    def __init__(
        self, root: Path, plans: Sequence[NodePlan], *, attached: bool = True, string: Path | None = None
    ) -> None:
        self.root, self.string = root, string
        self.plans = list(plans)
        self.nodes = [NodeProcess(p.name, root / "nodes" / p.name, p.module, attached) for p in plans]
        self.wallets: dict[str, Wallet] = {}

    def node(self, name: str) -> NodeProcess:
        """The process called ``name``."""
        return next(node for node in self.nodes if node.name == name)

    def create_wallets(self) -> list[bytes]:
        """Wallets of all nodes (light key stretching: development only). Returns the addresses to be funded."""
        for plan in self.plans:
            directory = self.root / "nodes" / plan.name
            directory.mkdir(parents=True, mode=0o700)
            passphrase = directory / "passphrase"
            passphrase.touch(mode=0o600)
            passphrase.write_text(secrets.token_hex(16))
            self.wallets[plan.name] = Wallet.create(directory / "wallet.json", passphrase.read_text(), cost=LIGHT)
        return [wallet.address for wallet in self.wallets.values()]

    def write_configs(self, rpc: str, deployment: Deployment) -> None:
        """Configuration files: the first provers have fixed ports and introduce everybody to everybody."""
        provers = [plan.name for plan in self.plans if plan.role == "prover"][:BOOTSTRAP_NODES]
        ports = dict(zip(provers, free_ports(len(provers)), strict=True))
        bootstrap = []
        for name, port in ports.items():
            key = public_key(load_or_create(self.root / "nodes" / name / "peer.key"))
            bootstrap.append(f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(key)}")
        for plan in self.plans:
            directory = self.root / "nodes" / plan.name
            sections: dict[str, dict[str, Any]] = {
                "node": {"name": plan.name, "roles": [plan.role], "data_dir": str(directory)},
                "net": {
                    "listen": f"/ip4/127.0.0.1/tcp/{ports.get(plan.name, 0)}",
                    "bootstrap": [address for address in bootstrap if f"/tcp/{ports.get(plan.name)}/" not in address],
                },
                "chain": {
                    "rpc": rpc,
                    "chain_id": deployment.chain_id,
                    "market": checksum_address(deployment.market),
                    "start_block": deployment.block,
                },
                "wallet": {"passphrase_file": str(directory / "passphrase")},
                "learning": {"slots_dir": str(self.root / "slots"), "slots": 2},
                "log": {"format": "json"},
            }
            if deployment.onchain:
                sections["chain"]["onchain"] = checksum_address(deployment.onchain)
            if self.string is not None:
                sections["proofs"] = {"string": str(self.string)}
                (directory / FOLDER).symlink_to(self.root / FOLDER)  # checked once for all nodes of this machine
            for section, values in plan.settings.items():
                sections.setdefault(section, {}).update(values)
            (directory / "config.toml").write_text(toml_text(sections))
