"""The two learning tasks that come with omninode; numbers found with ``python -m omninode.learning.simulate``."""

from __future__ import annotations

from dataclasses import dataclass

from omninode.learning.document import TrainSpec
from omninode.learning.model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Preset:
    """A task: model, local training and how many samples everybody has.

    pretrain: the owner's training before the first session.  adapt_epochs: MOEp, the owner's local epochs after each
    session.  pooled: training on everybody's data together, the yardstick.  owner_samples, party_samples: data split.
    """

    name: str
    model: ModelSpec
    train: TrainSpec
    pretrain: TrainSpec
    pooled: TrainSpec
    adapt_epochs: int
    owner_samples: int
    party_samples: int
    min_samples: int
    frac_bits: int = 16


DIGITS = Preset(
    name="digits",
    model=ModelSpec("mlp", (64, 50, 30, 10), (64,)),
    train=TrainSpec(lr=0.05, momentum=0.9, batch=10, epochs=5),
    pretrain=TrainSpec(lr=0.05, momentum=0.9, batch=10, epochs=30),
    pooled=TrainSpec(lr=0.05, momentum=0.9, batch=10, epochs=40),
    adapt_epochs=2,
    owner_samples=30,
    party_samples=60,
    min_samples=50,
)

MNIST = Preset(
    name="mnist",
    model=ModelSpec("cnn", (6, 16, 120, 25, 10), (1, 28, 28)),
    train=TrainSpec(lr=0.05, momentum=0.5, batch=10, epochs=5),
    pretrain=TrainSpec(lr=0.05, momentum=0.5, batch=10, epochs=25),
    pooled=TrainSpec(lr=0.05, momentum=0.5, batch=10, epochs=25),
    adapt_epochs=2,
    owner_samples=40,
    party_samples=60,
    min_samples=50,
)

PRESETS = {preset.name: preset for preset in (DIGITS, MNIST)}
