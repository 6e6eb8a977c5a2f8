"""Which layers are public: the paper's shares, taking and putting, and a sentence for every refusal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.learning.model_spec import ForeignModel, layers_of
from omninode.learning.presets import DIGITS, MNIST
from omninode.learning.public_part import choose

FOREIGN = ForeignModel(
    "module", "a.b:C", 0, (4,), 3, (("scale", (2,)), ("block.fc.weight", (3, 4)), ("block.fc.b", (3,)))
)


@pytest.mark.parametrize(
    ("count", "parameters", "percent"), [(1, 260, 0.71), (2, 2676, 7.29), (3, 5701, 15.54), (4, 5857, 15.96)]
)
def test_a_count_publishes_what_the_paper_prints(count: int, parameters: int, percent: float) -> None:
    part = choose(MNIST.model, count)
    assert part.dimension == parameters
    assert round(100 * part.share, 2) == percent
    assert not part.whole


def test_names_come_in_the_order_of_the_model() -> None:
    part = choose(MNIST.model, ("fc3", "conv2", "fc2"))
    assert part.layers == part.listed == ("conv2", "fc2", "fc3")
    assert part == choose(MNIST.model, 3)
    assert part.sentence == "publishes conv2, fc2, fc3: 5,701 of 36,697 parameters (15.5 %)"


@pytest.mark.parametrize("wanted", [None, 5, ("fc1", "fc2", "fc3", "conv1", "conv2")])
def test_all_layers_are_the_whole_model(wanted: int | tuple[str, ...] | None) -> None:
    part = choose(MNIST.model, wanted)
    assert part.whole
    assert (part.listed, part.dimension) == ((), 36_697)
    assert part.sentence == "publishes the whole model: 36,697 parameters"


def test_other_models_are_counted_from_the_end() -> None:
    assert choose(DIGITS.model, 1).layers == ("fc3",)
    assert choose(DIGITS.model, 2).layers == ("fc2", "fc3")
    assert layers_of(FOREIGN.tensors) == ("scale", "block.fc")
    assert choose(FOREIGN, 1).spans == ((2, 14), (14, 17))


@given(st.sets(st.sampled_from(layers_of(MNIST.model.tensors)), min_size=1), st.integers(0, 2**32))
def test_take_and_put_are_inverse_and_touch_nothing_else(names: set[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    part = choose(MNIST.model, tuple(names))
    flat = rng.standard_normal(part.total).astype(np.float32)
    piece = rng.standard_normal(part.dimension).astype(np.float32)
    before = flat.copy()
    put = part.put(flat, piece)
    assert np.array_equal(part.take(put), piece)
    assert np.array_equal(part.put(put, part.take(flat)), flat)
    assert np.array_equal(flat, before), "the argument is not changed"
    assert int((put != flat).sum()) <= part.dimension


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (("conv9",), "there is no layer 'conv9': the model has the layers conv1, conv2, fc1, fc2, fc3"),
        (("fc1", "z" * 500), "there is no layer 'zzz"),
        ((), "the public part is empty: nothing could be improved; the model has the layers conv1"),
        (0, "0 public layers: the model has the layers"),
        (-1, "so choose 1 to 5"),
        (6, "so choose 1 to 5"),
    ],
)
def test_what_is_refused(wanted: int | tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError) as caught:
        choose(MNIST.model, wanted)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


def test_vectors_of_another_length() -> None:
    part = choose(MNIST.model, 3)
    flat = np.zeros(part.total, np.float32)
    for wrong in (flat[:-1], flat.reshape(1, -1)):
        with pytest.raises(ValueError, match=r"expected \(36697,\)"):
            part.take(wrong)
    with pytest.raises(ValueError, match=r"weights of shape \(36697,\), expected \(5701,\)"):
        part.put(flat, flat)
