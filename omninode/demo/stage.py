"""Sets the stage of the demo: a run directory, data for everybody, and the plan of the nodes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omninode.cluster.deploy import plan, write_data
from omninode.cluster.local import NodePlan
from omninode.cluster.string import make_string
from omninode.demo.options import DemoOptions
from omninode.errors import UsageError
from omninode.learning import data as local_data
from omninode.learning.presets import DIGITS, MNIST, Preset
from omninode.learning.public_part import PublicPart, choose
from omninode.learning.reference import ROOT_SAMPLES
from protocols.sessions.limits import PRIVATE_DIMENSION

HOSTILE_MODULE = "omninode.demo.hostile"


@dataclass(frozen=True)
class Stage:
    """Where everything is. pooled: path of the data of all parties together, for the yardstick only.

    part: what is published of the model.  string: the reference string of certificate zk, or None.
    """

    root: Path
    preset: Preset
    plans: list[NodePlan]
    pooled: Path
    test: Path
    part: PublicPart
    string: Path | None = None


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
    part = _part(options, preset)
    samples = local_data.load_idx(options.data) if options.data else local_data.load_digits()
    root = new_run_dir(options.out)
    files = root / "data"
    verified = options.mode == "verified"
    write_data(files, samples, preset, options.seed, options.owners, root=ROOT_SAMPLES if verified else 0)
    session = {
        "mode": options.mode, "seed": options.seed,
        "reward": options.reward, "prover_fee": options.prover_fee, "deposit": options.deposit,
        "rule": options.rule, "mu": options.mu_bps / 10_000, **options.windows,
        "public_layers": part.listed, "public_sums": not verified and part.dimension < PRIVATE_DIMENSION,
    }  # fmt: skip
    session |= _verified_terms(options) if verified else {"groups": options.groups, "group_size": options.group_size}
    module = HOSTILE_MODULE if options.hostile else "omninode"
    plans = plan(files, preset, options.owners, options.provers + options.hostile, session, module)
    string = make_string(root, part.dimension) if options.zk else None
    return Stage(root, preset, plans, files / "pooled.npz", files / "test.npz", part, string)


def _part(options: DemoOptions, preset: Preset) -> PublicPart:
    """What the owner publishes, refused before anything is written."""
    if options.public_layers and options.public_count:
        raise UsageError("--public-layers and --public-count both say what is public", "leave one of them out")
    try:
        return choose(preset.model, options.public_layers or options.public_count or None)
    except ValueError as error:
        raise UsageError(str(error), "correct --public-layers or --public-count") from error


def _verified_terms(options: DemoOptions) -> dict[str, Any]:
    return {
        "data_owners": options.owners, "certificate": options.certificate, "payout": options.pay,
        "score_cap": options.score_cap, "root_images": ROOT_SAMPLES,
    }  # fmt: skip
