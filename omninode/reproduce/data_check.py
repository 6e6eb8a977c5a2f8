"""Whether a folder of images is fit for the reproduction: found out before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omninode.learning.data import DataError, Samples
from omninode.learning.presets import MNIST
from omninode.reproduce.setting import HELD_OUT, OWNER_SAMPLES, PARTY_SAMPLES, ROOT, Setting


def check(everybody: Samples, folder: Path, cells: Iterable[Mapping[str, Any]]) -> None:
    """Refuse data that the cells with these arguments cannot use, before anything runs. Raises DataError."""
    spec = MNIST.model
    pixels = everybody.x.shape[1]
    if pixels != spec.features:
        raise DataError(f"{folder}: the images have {pixels} pixels, the network takes {spec.features} (28 x 28)")
    if everybody.y.max() >= spec.classes:
        raise DataError(f"{folder}: label {everybody.y.max()} among the images, the network knows 0 to 9")
    owners = [Setting.decode(each["setting"]).owners for each in cells if "setting" in each]
    wanted = HELD_OUT + OWNER_SAMPLES + ROOT + PARTY_SAMPLES * max(owners, default=0)
    if owners and wanted > len(everybody):
        raise DataError(
            f"{folder}: {len(everybody):,} images, the largest experiment ({max(owners)} data owners) needs {wanted:,}"
        )
