"""Every setting there is: section, key, type, default, allowed range, and the comment that `omninode init` writes."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

ROLES = ("model_owner", "data_owner", "prover")
MODES = ("verified", "grouped")
CERTIFICATES = ("attested", "zk")
AGGREGATIONS = ("offchain", "onchain")
RULES = ("auto", "none", "trust", "outlier", "multi-krum", "m-krum")
PAYOUTS = ("equal", "contribution")
TUNINGS = ("own", "published")
PRIVACIES = ("none", "perturb")


def key(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    wei: bool = False,
    path: bool = False,
) -> Any:
    """One setting. ``low`` and ``high`` are inclusive. ``wei``: also accepts text like "0.05 ether" or "3 gwei".

    ``path``: a relative one is relative to the folder of the file, wherever the daemon was started.
    """
    metadata = {"help": help, "choices": choices, "low": low, "high": high, "wei": wei, "path": path}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Node:
    """This node."""

    name: str = key("omninode", "how this node is called in its logs")
    roles: tuple[str, ...] = key((), "what it does, one or more of", choices=ROLES)
    data_dir: str = key("", "keys, database and blobs; empty: the folder of this file", path=True)
    blob_space: int = key(8192, "MiB that models and session documents may take on disk", low=1)


@dataclass(frozen=True, slots=True)
class Net:
    """Peer to peer, over TCP with Noise and Yamux."""

    listen: str = key("/ip4/0.0.0.0/tcp/4021", "where to accept connections; port 0 lets the system choose")
    bootstrap: tuple[str, ...] = key((), "peers to meet first: /ip4/HOST/tcp/PORT/p2p/PEER")
    announce: tuple[str, ...] = key((), "addresses told to others; empty: those it listens on")


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain and the contracts on it."""

    rpc: str = key("http://127.0.0.1:8545", "HTTP JSON-RPC of an Ethereum node")
    chain_id: int = key(0, "must be what the RPC says; required", low=0)
    market: str = key("", "address of the DataMarket contract; required")
    start_block: int = key(0, "block of the contract's deployment, where reading begins", low=0)
    onchain: str = key("", "address of the factory of the on-chain baseline; empty: no such sessions")
    confirmations: int = key(0, "blocks on top of an event before it counts; provers: at most 1", low=0, high=1000)
    timeout: float = key(30.0, "seconds for one RPC call, retries included", low=0.1, high=600)


@dataclass(frozen=True, slots=True)
class Wallet:
    """The wallet is wallet.json (keystore v3) in data_dir. Its passphrase never stands here or on a command line."""

    passphrase_file: str = key(
        "", "file with the passphrase; or $OMNINODE_PASSPHRASE; or a systemd credential", path=True
    )
    light: bool = key(False, "weak, quick key stretching: for test networks only")

    def passphrase(self, data_dir: Path) -> str:
        """The passphrase of the wallet, from wherever it was given. Raises KeyFileError (``omninode.passphrase``)."""
        from omninode.passphrase import find

        return find(self.passphrase_file, data_dir)


@dataclass(frozen=True, slots=True)
class Data:
    """Data that never leaves this machine."""

    path: str = key("", "training data: .npz with x (samples, features) and y (labels)", path=True)
    test_path: str = key("", "model owner: held-out data to measure accuracy with", path=True)


@dataclass(frozen=True, slots=True)
class DataOwner:
    """Which sessions this node takes part in as data owner."""

    max_sessions: int = key(100, "sessions in which the same data is used, at most", low=0)
    max_deposit: int = key(10**18, "largest deposit to put down for one session", low=0, wei=True)
    max_download: int = key(1024, "MiB of model and weights fetched for one session, at most", low=1)
    max_onchain_gas: int = key(20_000_000, "on-chain baseline: gas of this node for one session, at most", low=0)
    min_reward: int = key(0, "least pay for one place in a session", low=0, wei=True)
    allowed_owners: tuple[str, ...] = key((), "wallet addresses of model owners to work for; empty: any")
    min_group: int = key(3, "smallest group to hide this node's update in", low=2, high=1000)
    min_accepted: int = key(3, "least number of updates that may be summed and opened", low=3, high=10_000)


@dataclass(frozen=True, slots=True)
class ModelOwner:
    """Defaults of `omninode session create`."""

    mode: str = key("verified", "verified: each update proved and judged alone; grouped: sums of groups", choices=MODES)
    certificate: str = key(
        "attested", "mode verified: attested by the committee, or zk, proved to the contract", choices=CERTIFICATES
    )
    aggregation: str = key(
        "offchain", "offchain: by provers; onchain: the baseline, models summed in contracts", choices=AGGREGATIONS
    )
    preset: str = key("digits", "learning task", choices=("digits", "mnist"))
    model: str = key("", "package.module:Callable, or .pt2 of torch.export; empty: the preset's", path=True)
    model_shape: str = key("", "of one sample of a package.module:Callable, as 1x28x28; empty: as the data is")
    weights: str = key("", "start from this .safetensors or .pt file; empty: from random weights", path=True)
    seed: int = key(0, "starts the model's first random weights", low=0)
    public_layers: tuple[str, ...] = key((), "layers that sessions publish and improve; empty: the whole model")
    public_count: int = key(0, "or how many of its layers, taken from the end; 0: the whole model", low=0)
    model_privacy: str = key(
        "none", "perturb: a model without biases, published perturbed; obfuscation, not encryption", choices=PRIVACIES
    )
    tuning: str = key("own", "bound and server rate: own choice, or published rule from last session", choices=TUNINGS)
    reward: int = key(12 * 10**15, "for all data owners of a session together", low=0, wei=True)
    prover_fee: int = key(10**15, "for each prover of a session", low=0, wei=True)
    deposit: int = key(10**15, "of each data owner, given back unless it falls silent", low=0, wei=True)
    data_owners: int = key(12, "mode verified: data owners of a session, at most", low=3, high=255)
    groups: int = key(4, "mode grouped: groups of data owners", low=1, high=16)
    group_size: int = key(3, "mode grouped: data owners in a group", low=2, high=1000)
    committee: int = key(5, "provers; at least 4 threshold + 1", low=5, high=64)
    threshold: int = key(1, "provers that may lie or crash", low=1, high=15)
    rule: str = key("auto", "who is left out; auto: trust in mode verified, outlier in grouped", choices=RULES)
    mu: float = key(0.25, "share of groups (verified: data owners) that may be corrupt", low=0.0, high=0.5)
    m_krum: int = key(0, "with rule m-krum: how many to keep", low=0, high=64)
    payout: str = key("equal", "how the reward is split; contribution, by score, in mode verified", choices=PAYOUTS)
    score_cap: float = key(0.125, "by contribution: largest score that counts, of B squared", low=0.0001, high=1.0)
    root_images: int = key(30, "mode verified: own samples held out for the reference; 0: none", low=0, high=100_000)
    min_accepted: int = key(3, "least number of updates that may be summed and opened", low=3, high=10_000)
    register_blocks: int = key(15, "window for registration, in blocks", low=1)
    upload_blocks: int = key(20, "window for training and upload, in blocks", low=1)
    settle_blocks: int = key(25, "window for checks and the batch, in blocks", low=1)
    gas_price_cap: int = key(100 * 10**9, "highest price of gas that is reimbursed", low=0, wei=True)
    public_sums: bool = key(False, "allow models under 4096 parameters, whose sums tell more")


@dataclass(frozen=True, slots=True)
class Prover:
    """Work as a prover."""

    stake: int = key(0, "stake to put down; 0: the least that the registry takes", low=0, wei=True)


@dataclass(frozen=True, slots=True)
class Learning:
    """Local training, in a process of its own."""

    device: str = key("auto", "auto takes CUDA where there is one", choices=("auto", "cpu", "cuda"))
    slots: int = key(2, "trainings at once on this machine", low=1, high=256)
    slots_dir: str = key(
        "", "folder through which the nodes of one machine share the slots; empty: not shared", path=True
    )
    threads: int = key(1, "threads of one training", low=1, high=256)
    allowed_models: tuple[str, ...] = key((), "models that may be imported, package.module:Callable; runs their code")


@dataclass(frozen=True, slots=True)
class Proofs:
    """Sessions of certificate zk."""

    string: str = key("", "reference string, of `omninode srs` or .ptau; empty: no such sessions", path=True)
    threads: int = key(1, "threads of one proof", low=1, high=256)


@dataclass(frozen=True, slots=True)
class Log:
    """What happened. No secret is ever written."""

    level: str = key("info", "how much is said", choices=("debug", "info", "warning", "error"))
    format: str = key("auto", "auto: pretty on a terminal, JSON lines elsewhere", choices=("auto", "json", "pretty"))
    file: str = key("", "also append JSON lines to this file", path=True)


SECTIONS: dict[str, type[Any]] = {
    "node": Node, "net": Net, "chain": Chain, "wallet": Wallet, "data": Data, "data_owner": DataOwner,
    "model_owner": ModelOwner, "prover": Prover, "learning": Learning, "proofs": Proofs, "log": Log,
}  # fmt: skip
_HINTS = {name: get_type_hints(section) for name, section in SECTIONS.items()}


def keys_of(section: str) -> dict[str, Field[Any]]:
    """The settings of a section, in the order of the file."""
    return {item.name: item for item in fields(SECTIONS[section])}


def type_of(section: str, name: str) -> Any:
    """The Python type of a setting: str, int, float, bool or tuple[str, ...]."""
    return _HINTS[section][name]


def all_keys() -> list[str]:
    """Every setting as ``section.key``."""
    return [f"{section}.{name}" for section in SECTIONS for name in keys_of(section)]


def split(dotted: str) -> tuple[str, str]:
    """Section and key of "section.key"."""
    section, _, name = dotted.partition(".")
    return section, name


def variable_of(dotted: str) -> str:
    """The environment variable of a setting: OMNINODE_SECTION_KEY."""
    return "OMNINODE_" + dotted.replace(".", "_").upper()
