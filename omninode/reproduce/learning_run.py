"""The function behind every learning cell, and the data it runs on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from omninode.learning import data
from omninode.learning.reference import hold_out
from omninode.learning.split import deal
from omninode.reproduce.setting import HELD_OUT, OWNER_SAMPLES, PARTY_SAMPLES, ROOT, Setting


def run(arguments: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The function behind every learning cell. arguments: "setting" and "seed"; folder: the data."""
    import torch

    from omninode.reproduce.market import play

    torch.set_num_threads(1)  # so small tensors only lose by threads
    setting, seed = Setting.decode(arguments["setting"]), int(arguments["seed"])
    everybody = samples(folder)
    return {"images": len(everybody)} | play(setting, dealt(everybody, setting, seed), seed)


def dealt(everybody: data.Samples, setting: Setting, seed: int) -> data.Split:
    """The data of one run. A root set is always dealt to the owner, its last ROOT samples, and taken away again where
    the rule needs none: so that under every rule everybody has the same samples.
    """
    split = deal(everybody, seed, setting.deal, OWNER_SAMPLES + ROOT, PARTY_SAMPLES, setting.owners, HELD_OUT)
    return split if setting.rule == "trust" else replace(split, owner=hold_out(split.owner, ROOT)[0])


@lru_cache(maxsize=1)
def samples(folder: Path) -> data.Samples:
    """The data set in a folder, read once per process. Raises DataError."""
    return data.load_idx(folder)


def fingerprint(everybody: data.Samples) -> str:
    """SHA-256 of a data set, in hex: results of other data are stale."""
    digest = hashlib.sha256(everybody.x.tobytes())
    digest.update(everybody.y.tobytes())
    return digest.hexdigest()
