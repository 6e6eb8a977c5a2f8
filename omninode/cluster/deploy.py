"""A cluster's chain, contracts, keys, data and configuration: everything before the first node starts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from omninode.chain import devchain
from omninode.chain.client import ChainClient
from omninode.chain.deployment import Deployment
from omninode.chain.hashing import checksum_address
from omninode.cluster.local import EXIT_DELAY_BLOCKS, FUNDS, PROVER_STAKE, LocalCluster, NodePlan
from omninode.cluster.string import WARNING, make_string
from omninode.learning import data as local_data
from omninode.learning.presets import Preset
from omninode.learning.reference import ROOT_SAMPLES

UPLOAD_BLOCKS = 60
"""Of a cluster's sessions: after a pause every node's worker has to import torch first, all of them on one machine. The
phase ends as soon as everybody has uploaded."""


def write_data(files: Path, samples: local_data.Samples, preset: Preset, seed: int, owners: int, root: int = 0) -> None:
    """Split IID and write owner.npz, test.npz, pooled.npz and data-owner-NN.npz into ``files``.

    root: how many samples the model owner has for its root set, besides those for training.
    """
    own = preset.owner_samples + root
    split = local_data.split(samples, seed, owner=own, per_party=preset.party_samples, parties=owners)
    files.mkdir(parents=True)
    parts = {"owner": split.owner, "test": split.test, "pooled": split.pooled()}
    parts |= {owner_name(k): part for k, part in enumerate(split.parties)}
    for name, part in parts.items():
        local_data.save(files / f"{name}.npz", part)


def owner_name(k: int) -> str:
    """Name of the k-th data owner, counted from 0."""
    return f"data-owner-{k + 1:02}"


def plan(
    files: Path, preset: Preset, owners: int, provers: int, session: dict[str, Any], module: str = "omninode"
) -> list[NodePlan]:
    """One model owner with ``session`` as its defaults, then provers, then data owners run by ``module``."""
    own = {"path": str(files / "owner.npz"), "test_path": str(files / "test.npz")}
    plans = [NodePlan("model-owner", "model_owner", {"data": own, "model_owner": {"preset": preset.name, **session}})]
    plans += [NodePlan(f"prover-{i + 1}", "prover", module=module) for i in range(provers)]
    for k in range(owners):
        name = owner_name(k)
        plans.append(NodePlan(name, "data_owner", {"data": {"path": str(files / f"{name}.npz")}}, module))
    return plans


async def deploy(
    chain: devchain.DevChain, cluster: LocalCluster, addresses: Sequence[bytes], *, onchain: bool = False
) -> Deployment:
    """Fund every wallet, deploy the contracts, write deployment.json and the nodes' configurations.

    onchain: the factory of the on-chain baseline as well.
    """
    async with ChainClient(chain.url) as client:
        for address in addresses:
            await chain.set_balance(client, address, FUNDS)
        deployer = cluster.wallets["model-owner"]
        deployment = await devchain.deploy(
            client, deployer, min_stake=PROVER_STAKE, exit_delay=EXIT_DELAY_BLOCKS, onchain=onchain
        )
    deployment.save(cluster.root / "deployment.json")
    cluster.write_configs(chain.url, deployment)
    return deployment


def lay_out(
    root: Path, *, owners: int, provers: int, block_time: int, seed: int, onchain: bool = False
) -> tuple[LocalCluster, dict[str, Any]]:
    """Everything for `cluster up`: a chain that outlives this process, and nodes that are ready to be started."""
    from omninode.learning.presets import DIGITS

    files = root / "data"
    write_data(files, local_data.load_digits(), DIGITS, seed, owners, root=ROOT_SAMPLES)
    size = 3
    session = {
        "seed": seed, "data_owners": owners, "groups": max(1, owners // size), "group_size": size,
        "upload_blocks": UPLOAD_BLOCKS,
    }  # fmt: skip
    plans = plan(files, DIGITS, owners, provers, session)
    cluster = LocalCluster(root, plans, attached=False, string=make_string(root, DIGITS.model.parameters))
    addresses = cluster.create_wallets()
    chain = devchain.start_anvil(block_time=block_time, die_with_parent=False, log_file=root / "anvil.log")
    try:
        deployment = trio.run(partial(deploy, chain, cluster, addresses, onchain=onchain))
    except BaseException:
        chain.stop()
        raise
    state = {
        "rpc": chain.url,
        "market": checksum_address(deployment.market),
        **({"onchain": checksum_address(deployment.onchain)} if deployment.onchain else {}),
        "chain_pid": chain.pid,
        "string": f"{cluster.string}, {WARNING}",
        "nodes": [node.name for node in cluster.nodes],
    }
    return cluster, state
