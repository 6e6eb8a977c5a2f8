"""What must hold between settings, before anything is started."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omninode.config import Config
    from omninode.config_schema import ModelOwner

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_LISTEN = re.compile(r"/(ip4/[0-9.]+|ip6/[0-9a-fA-F:]+)/tcp/([0-9]+)")
_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
MOST_CONFIRMATIONS = 1  # a prover acts up to two blocks before a deadline, on blocks that it sees this much later
MOST_COMPARED = 64  # as protocols.sessions.limits, which needs NumPy
MOST_PROVED = 64  # as protocols.sessions.params
_PEER = re.compile(r"/(ip4|ip6|dns|dns4|dns6)/[^/]+/tcp/[0-9]+(/p2p/[1-9A-HJ-NP-Za-km-z]+)?")


def problem(config: Config) -> tuple[str, str] | None:
    """The first thing wrong, as ("section.key", phrase after the key), or None."""
    for check in (_shapes, _required, _session):
        if found := check(config):
            return found
    return None


def _shapes(config: Config) -> tuple[str, str] | None:
    listen = _LISTEN.fullmatch(config.net.listen)
    if listen is None or int(listen[2]) > 65535:
        return "net.listen", f'must look like /ip4/0.0.0.0/tcp/4021, not "{config.net.listen}"'
    for key in ("bootstrap", "announce"):
        for entry in getattr(config.net, key):
            peer = _PEER.fullmatch(entry)
            if peer is None or (key == "bootstrap" and peer[2] is None):
                return f"net.{key}", f'must hold addresses like /ip4/10.0.0.1/tcp/4021/p2p/12D3..., not "{entry}"'
    if config.chain.market and not _ADDRESS.fullmatch(config.chain.market):
        return "chain.market", f'must be 0x and 40 hex digits, not "{config.chain.market}"'
    if config.chain.onchain and not _ADDRESS.fullmatch(config.chain.onchain):
        return "chain.onchain", f'must be 0x and 40 hex digits, not "{config.chain.onchain}"'
    if not config.chain.rpc.startswith(("http://", "https://")):
        return "chain.rpc", f'must begin with http:// or https://, not "{config.chain.rpc}"'
    for entry in config.data_owner.allowed_owners:
        if not _ADDRESS.fullmatch(entry):
            return "data_owner.allowed_owners", f'must hold 0x and 40 hex digits, not "{entry}"'
    for entry in config.learning.allowed_models:
        if not _IMPORT_PATH.fullmatch(entry):
            return "learning.allowed_models", f'must hold texts like package.module:Callable, not "{entry}"'
    model = config.model_owner.model
    if model and not model.endswith(".pt2") and not _IMPORT_PATH.fullmatch(model):
        return "model_owner.model", f'must be a .pt2 file or look like package.module:Callable, not "{model}"'
    return None


def _required(config: Config) -> tuple[str, str] | None:
    if not config.node.roles:
        return "node.roles", 'is missing: add roles = ["data_owner"] or another role'
    if len(set(config.node.roles)) != len(config.node.roles):
        return "node.roles", "names a role twice"
    if not config.chain.chain_id:
        return "chain.chain_id", "is missing: the number that eth_chainId of your RPC gives"
    if not config.chain.market:
        return "chain.market", "is missing: the address of the DataMarket contract"
    if "prover" in config.node.roles and config.chain.confirmations > MOST_CONFIRMATIONS:
        return "chain.confirmations", (
            f"must be at most {MOST_CONFIRMATIONS} with role prover: its bitmaps would leave too late, "
            "and cost its stake"
        )
    if config.model_owner.aggregation == "onchain" and not config.chain.onchain:
        return "chain.onchain", 'is missing: model_owner.aggregation = "onchain" needs the factory\'s address'
    if "data_owner" in config.node.roles and not config.data.path:
        return "data.path", "is missing: role data_owner trains on it"
    if "model_owner" in config.node.roles and not config.data.path:
        return "data.path", "is missing: role model_owner starts its model from it"
    return None


def _session(config: Config) -> tuple[str, str] | None:
    """What the contract would refuse at creation (design: ROUNDS, grouped 7)."""
    owner = config.model_owner
    if owner.committee < 4 * owner.threshold + 1:
        return "model_owner.committee", f"must be at least 4 threshold + 1 = {4 * owner.threshold + 1}"
    verified = owner.mode == "verified"
    rule = ("trust" if verified else "outlier") if owner.rule == "auto" else owner.rule
    judged = "data_owners" if verified else "groups"
    count = getattr(owner, judged)
    if rule not in ("none", "trust") and count < int(owner.mu * count) + 3:
        needed = int(owner.mu * count) + 3
        return f"model_owner.{judged}", f"must be at least {needed} for rule {rule} with mu {owner.mu:g}"
    if rule not in ("none", "trust") and verified and count > MOST_COMPARED:
        return "model_owner.data_owners", f"must be at most {MOST_COMPARED} for rule {rule}, which compares all pairs"
    if rule == "m-krum" and owner.m_krum < 1:
        return "model_owner.m_krum", "is missing: rule m-krum wants the number to keep"
    places = owner.data_owners if verified else owner.groups * owner.group_size
    if owner.min_accepted > places:
        return "model_owner.min_accepted", f"is more than {'data_owners' if verified else 'groups x group_size'}"
    if owner.public_layers and owner.public_count:
        return "model_owner.public_count", "does not go with public_layers: say which layers, or how many"
    return _perturbed(owner) or _proved(owner, verified, rule) or _reference(owner, verified, rule)


def _perturbed(owner: ModelOwner) -> tuple[str, str] | None:
    """A perturbed model is one of ours; what its sessions do not go with is told at their creation."""
    if owner.model_privacy == "perturb" and owner.model:
        return "model_owner.model_privacy", '"perturb" goes with a preset\'s model only: leave model_owner.model empty'
    return None


def _proved(owner: ModelOwner, verified: bool, rule: str) -> tuple[str, str] | None:
    """What certificate zk does not go with."""
    if owner.certificate != "zk":
        return None
    if not verified:
        return "model_owner.certificate", '"zk" goes with model_owner.mode = "verified" only'
    if owner.data_owners > MOST_PROVED:
        return "model_owner.data_owners", f"must be at most {MOST_PROVED} for certificate zk"
    if owner.payout == "contribution" and rule not in ("none", "trust"):
        return "model_owner.payout", f'"contribution" needs rule trust or none under certificate zk, not {rule}'
    return None


def _reference(owner: ModelOwner, verified: bool, rule: str) -> tuple[str, str] | None:
    """Rule trust and payout by contribution go with mode verified and with a root set."""
    uses = {"rule": rule == "trust", "payout": owner.payout == "contribution"}
    for name, wanted in uses.items():
        if wanted and not verified:
            return f"model_owner.{name}", f'"{getattr(owner, name)}" goes with model_owner.mode = "verified" only'
        if wanted and owner.root_images < 1:
            word = rule if name == "rule" else owner.payout
            return "model_owner.root_images", f"must be at least 1: {name} {word} holds updates against a root set"
    return None
