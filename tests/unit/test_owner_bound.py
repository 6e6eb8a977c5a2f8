"""The played first bound against what honest data owners move, with real training: neither of no use nor crippling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from omninode.errors import RefusedError
from omninode.learning import data as local_data
from omninode.learning import models, training, weights_file
from omninode.learning.bound import played_norm
from omninode.learning.data import Samples
from omninode.learning.presets import DIGITS
from omninode.learning.public_part import choose
from omninode.learning.weights import from_bytes
from omninode.roles import model_owner
from omninode.roles.owner_data import halves
from omninode.roles.owner_publish import FLOORED
from tests.unit.test_owner_perturb import WorkerHere, settings
from tests.unit.test_roles_verified import services  # noqa: F401

pytestmark = pytest.mark.usefixtures("one_thread")

PARTIES, EACH = 5, 60


@pytest.fixture
def node(services: Any, tmp_path: Path) -> Any:  # noqa: F811
    services.trainer = WorkerHere()
    local_data.save(tmp_path / "data.npz", digits(0, 60))
    return services


def digits(start: int, count: int) -> Samples:
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))[start : start + count]
    return Samples((x[order] / 16).astype(np.float32), y[order].astype(np.int64))


def honest(weights: np.ndarray, layers: tuple[str, ...]) -> float:
    """The median length of data owners' updates."""
    part, initial = choose(DIGITS.model, layers or None), models.initial(DIGITS.model, 0)
    start = weights if part.whole else part.put(initial, part.take(weights))
    lengths = []
    for k in range(PARTIES):
        after = training.train(DIGITS.model, start, digits(100 + EACH * k, EACH), DIGITS.train, k)
        lengths.append(float(np.linalg.norm(part.take(after - start))))
    return float(np.median(lengths))


@pytest.mark.parametrize("layers", [(), ("fc2", "fc3"), ("fc3",)])
async def test_the_first_bound_is_about_as_long_as_honest_updates(node: Any, layers: tuple[str, ...]) -> None:
    owner = model_owner.ModelOwner(node)
    await owner.model.load_or_pretrain()
    weights = from_bytes(DIGITS.model, await owner.model.weights())
    published = await owner.model.publish(choose(DIGITS.model, layers or None))
    assert 0.7 < published.bound / 2**16 / honest(weights, layers) < 3


async def test_weights_that_know_the_owners_data_give_a_bound_for_others(node: Any, tmp_path: Path) -> None:
    """Trained again on the same data they move a hundredth of it; that was the first bound once."""
    first = model_owner.ModelOwner(node)
    await first.model.load_or_pretrain()
    weights_file.write(tmp_path / "w.safetensors", DIGITS.model, from_bytes(DIGITS.model, await first.model.weights()))
    node.store.meta_get = lambda key: None  # a node without a model
    settings(node, weights=str(tmp_path / "w.safetensors"))
    again = model_owner.ModelOwner(node)
    await again.model.load_or_pretrain()
    weights = from_bytes(DIGITS.model, await again.model.weights())
    assert 0.7 < again.model.require().bound / 2**16 / honest(weights, ()) < 3


def skewed(others: int) -> Samples:
    """30 digits, all but ``others`` of them a three."""
    everything = digits(0, 900)
    threes, fives = np.flatnonzero(everything.y == 3), np.flatnonzero(everything.y == 5)
    return everything.take(np.concatenate([threes[: 30 - others], fives[:others]]).astype(np.int64))


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("layers", [("fc2", "fc3"), ("fc3",)])
async def test_an_owner_of_one_label_does_not_bound_everybody_to_nothing(
    node: Any, tmp_path: Path, others: int, layers: tuple[str, ...]
) -> None:
    """What it plays is .0002 (fc2, fc3) and .10 (fc3) of the median with one label only."""
    local_data.save(tmp_path / "data.npz", skewed(others))
    settings(node, mode="grouped")  # no root set
    owner = model_owner.ModelOwner(node)
    await owner.model.load_or_pretrain()
    weights = from_bytes(DIGITS.model, await owner.model.weights())
    published = await owner.model.publish(choose(DIGITS.model, layers))
    assert 0.08 < published.bound / 2**16 / honest(weights, layers) < 1
    assert (FLOORED in published.note) == (layers in owner.model.require().floored)
    assert FLOORED in published.note or others  # one other digit moves a part of one layer by more than the floor


async def test_weights_of_an_owner_of_one_label_are_bounded_too(node: Any, tmp_path: Path) -> None:
    local_data.save(tmp_path / "data.npz", skewed(0))
    weights_file.write(tmp_path / "w.safetensors", DIGITS.model, models.initial(DIGITS.model, 1))
    settings(node, weights=str(tmp_path / "w.safetensors"), mode="grouped")
    owner = model_owner.ModelOwner(node)
    await owner.model.load_or_pretrain()
    published = await owner.model.publish(choose(DIGITS.model))
    assert published.bound > 2**16 // 100
    assert published.note == FLOORED


def test_the_floor_of_what_is_played() -> None:
    assert played_norm(2.0, 7.0) == (2.0, False)
    assert played_norm(0.5, 7.0) == (pytest.approx(1.0), True)
    assert played_norm(0.0, 0.0) == (0.0, False)  # no bound at all


def test_halves_are_disjoint_and_mixed(tmp_path: Path) -> None:
    x = np.arange(82, dtype=np.float32).reshape(41, 2)
    local_data.save(tmp_path / "own.npz", Samples(x, np.arange(41, dtype=np.int64) // 21))
    base, probe, count = halves(tmp_path / "own.npz", tmp_path, seed=3)
    first, second = local_data.load(base), local_data.load(probe)
    assert (len(first), len(second), count) == (21, 20, 20)
    assert sorted([*first.x[:, 0], *second.x[:, 0]]) == list(x[:, 0])
    assert set(first.y.tolist()) == set(second.y.tolist()) == {0, 1}
    local_data.save(tmp_path / "one.npz", Samples(x[:1], np.zeros(1, np.int64)))
    with pytest.raises(RefusedError, match="leave some to train on") as caught:
        halves(tmp_path / "one.npz", tmp_path, seed=3)
    assert caught.value.cure == "give the model owner more data"
