"""Flat models against torch.nn and torch.optim, which are the oracles here."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from omninode.learning import models, weights
from omninode.learning.data import Samples
from omninode.learning.document import TrainSpec
from omninode.learning.model_spec import ModelSpec
from omninode.learning.presets import DIGITS, MNIST
from omninode.learning.training import accuracy, pick_device, train


def reference(spec: ModelSpec) -> nn.Module:
    """The same architecture out of torch.nn, under the same names."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    widths = spec.layers
    if spec.name == "cnn":
        channels = (spec.shape[0], *spec.layers[:2])
        for i in (1, 2):
            layers[f"conv{i}"] = nn.Conv2d(channels[i - 1], channels[i], 5)
            layers[f"act{i}"], layers[f"pool{i}"] = nn.ReLU(), nn.MaxPool2d(2)
        layers["flat"] = nn.Flatten()
        widths = (spec.layers[1] * spec.flat_side**2, *spec.layers[2:])
    for i in range(1, len(widths)):
        layers[f"fc{i}"] = nn.Linear(widths[i - 1], widths[i])
        if i < len(widths) - 1:
            layers[f"relu{i}"] = nn.ReLU()
    return nn.Sequential(layers)


def some_samples(spec: ModelSpec, count: int) -> Samples:
    rng = np.random.default_rng(5)
    return Samples(
        rng.random((count, spec.features), dtype=np.float32), rng.integers(0, spec.classes, count).astype(np.int64)
    )


@pytest.mark.parametrize("spec", [DIGITS.model, MNIST.model], ids=["mlp", "cnn"])
def test_names_order_shapes_and_logits_are_torchs(spec: ModelSpec) -> None:
    oracle = reference(spec)
    assert [(name, tuple(t.shape)) for name, t in oracle.state_dict().items()] == spec.tensors
    flat = torch.from_numpy(models.initial(spec, 3))
    oracle.load_state_dict(models.state_dict(spec, flat))
    x = torch.from_numpy(some_samples(spec, 7).x)
    expected = oracle(x.view(7, *spec.shape))
    assert torch.allclose(models.forward(spec, models.state_dict(spec, flat), x), expected, atol=1e-6)
    assert torch.equal(models.flatten(spec, dict(oracle.state_dict())), flat)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training_is_torch_sgd(momentum: float) -> None:
    spec, how = DIGITS.model, TrainSpec(lr=0.05, momentum=momentum, batch=8, epochs=2)
    samples, start = some_samples(spec, 20), models.initial(DIGITS.model, 1)
    oracle = reference(spec)
    oracle.load_state_dict(models.state_dict(spec, torch.from_numpy(start)))
    optimiser = torch.optim.SGD(oracle.parameters(), lr=how.lr, momentum=momentum)
    generator = torch.Generator().manual_seed(9)
    for _ in range(how.epochs):
        for batch in torch.randperm(20, generator=generator).split(how.batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(
                oracle(torch.from_numpy(samples.x)[batch]), torch.from_numpy(samples.y)[batch]
            ).backward()
            optimiser.step()
    expected = models.flatten(spec, dict(oracle.state_dict())).numpy()
    assert np.allclose(train(spec, start, samples, how, 9), expected, atol=1e-6)


def test_training_is_deterministic_and_leaves_its_input_alone() -> None:
    samples, start = some_samples(DIGITS.model, 30), models.initial(DIGITS.model, 1)
    copy = start.copy()
    first = train(DIGITS.model, start, samples, DIGITS.train, 4)
    assert np.array_equal(first, train(DIGITS.model, start, samples, DIGITS.train, 4))
    assert not np.array_equal(first, train(DIGITS.model, start, samples, DIGITS.train, 5))
    assert np.array_equal(start, copy)


def test_divergence_is_an_error_and_not_a_vector_of_nan() -> None:
    samples = some_samples(DIGITS.model, 30)
    wild = Samples(samples.x * np.float32(1e20), samples.y)
    with pytest.raises(FloatingPointError, match=r"lower train\.lr"):
        train(DIGITS.model, models.initial(DIGITS.model, 1), wild, DIGITS.train, 1)


def test_fresh_weights_follow_the_fan_in_and_the_seed() -> None:
    flat = models.initial(DIGITS.model, 1)
    state = models.state_dict(DIGITS.model, torch.from_numpy(flat))
    for name, fan_in in (("fc1", 64), ("fc2", 50), ("fc3", 30)):
        for leaf in ("weight", "bias"):
            assert float(state[f"{name}.{leaf}"].abs().max()) <= 1 / math.sqrt(fan_in)
    assert float(state["fc1.weight"].std()) == pytest.approx(1 / math.sqrt(3 * 64), rel=0.1)
    assert np.array_equal(flat, models.initial(DIGITS.model, 1))
    assert not np.array_equal(flat, models.initial(DIGITS.model, 2))


def test_accuracy_counts_right_answers() -> None:
    spec = ModelSpec("mlp", (2, 2), (2,))
    identity = np.array([1, 0, 0, 1, 0, 0], dtype=np.float32)
    rows = np.eye(2, dtype=np.float32)[np.arange(3000) % 2]
    labels = np.arange(3000, dtype=np.int64) % 2
    labels[:300] = 1 - labels[:300]
    assert accuracy(spec, identity, Samples(rows, labels)) == 0.9


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda")
    for wanted in ("toaster", "cuda:99"):
        with pytest.raises(ValueError, match=f'device "{wanted}" cannot be used'):
            pick_device(wanted)


def test_weights_travel_as_plain_floats(tmp_path: Path) -> None:
    flat = models.initial(DIGITS.model, 1)
    blob = weights.to_bytes(flat)
    assert len(blob) == 4 * 5090
    assert np.array_equal(weights.from_bytes(DIGITS.model, blob), flat)
    with pytest.raises(ValueError, match="20359 bytes, the model needs 20360"):
        weights.from_bytes(DIGITS.model, blob[:-1])
    flat[17] = np.nan
    with pytest.raises(ValueError, match="weight 17 is not a finite number"):
        weights.from_bytes(DIGITS.model, weights.to_bytes(flat))
    assert len(weights.digest(blob)) == 32
