"""Sets the stage of the demo: a run directory, data for everybody, and the plan of the nodes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from omninode.cluster.local import NodePlan
from omninode.demo.options import DemoOptions
from omninode.learning import data as local_data
from omninode.learning.presets import DIGITS, MNIST, Preset

HOSTILE_MODULE = "omninode.demo.hostile"


@dataclass(frozen=True)
class Stage:
    """Where everything is. pooled: path of the data of all parties together, for the yardstick only."""

    root: Path
    preset: Preset
    plans: list[NodePlan]
    pooled: Path
    test: Path


def new_run_dir(out: Path) -> Path:
    """runs/<time>/, never an existing one."""
    base = out / time.strftime("%Y%m%d-%H%M%S")
    root, suffix = base, 1
    while root.exists():
        root, suffix = base.with_name(f"{base.name}-{suffix}"), suffix + 1
    root.mkdir(parents=True)
    return root.resolve()


def build(options: DemoOptions) -> Stage:
    """Split the data IID, write one file for every party, and plan the nodes."""
    preset = MNIST if options.data else DIGITS
    samples = local_data.load_idx(options.data) if options.data else local_data.load_digits()
    split = local_data.split(
        samples, options.seed, owner=preset.owner_samples, per_party=preset.party_samples, parties=options.owners
    )
    root = new_run_dir(options.out)
    files = root / "data"
    files.mkdir()
    local_data.save(files / "owner.npz", split.owner)
    local_data.save(files / "test.npz", split.test)
    local_data.save(files / "pooled.npz", split.pooled())
    module = HOSTILE_MODULE if options.hostile else "omninode"
    plans = [_owner_plan(options, preset, files)]
    for i in range(options.provers + options.hostile):
        plans.append(NodePlan(f"prover-{i + 1}", "prover", module=module))
    for k, part in enumerate(split.parties):
        path = files / f"data-owner-{k + 1:02}.npz"
        local_data.save(path, part)
        plans.append(NodePlan(f"data-owner-{k + 1:02}", "data_owner", {"data": {"path": str(path)}}, module))
    return Stage(root, preset, plans, files / "pooled.npz", files / "test.npz")


def _owner_plan(options: DemoOptions, preset: Preset, files: Path) -> NodePlan:
    session = {
        "preset": preset.name,
        "reward": options.reward,
        "prover_fee": options.prover_fee,
        "deposit": options.deposit,
        "groups": options.groups,
        "group_size": options.group_size,
        "rule": options.rule,
        "mu": options.mu_bps / 10_000,
        "register_blocks": options.register_blocks,
        "upload_blocks": options.upload_blocks,
        "settle_blocks": options.settle_blocks,
    }
    data = {"path": str(files / "owner.npz"), "test_path": str(files / "test.npz")}
    return NodePlan("model-owner", "model_owner", {"data": data, "model_owner": session})
