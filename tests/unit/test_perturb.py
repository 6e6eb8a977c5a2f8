"""Perturbation: secrets, the function that stays the same, de-noising, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from omninode.learning import models, perturb
from omninode.learning.data import Samples
from omninode.learning.model_spec import ForeignModel, ModelSpec
from omninode.learning.perturb_torch import gradient, outputs_and_sum, squares, three_vectors
from tests.unit.perturb_kit import CNN, FLAT, MLP, relative, restore, some_samples

pytestmark = pytest.mark.usefixtures("one_thread")
SPECS = [MLP, FLAT, CNN]
SEED = bytes(range(32))


def outputs(spec: ModelSpec, weights: NDArray[np.floating], samples: Samples) -> tuple[torch.Tensor, torch.Tensor]:
    flat = torch.tensor(np.asarray(weights, dtype=np.float64))
    return outputs_and_sum(spec, flat, torch.from_numpy(samples.x).double())


def paper_vectors(
    spec: ModelSpec, hidden: NDArray[np.float64], noise: tuple[float, ...], samples: Samples
) -> list[NDArray[np.float64]]:
    """The formulas of the paper sample by sample and class by class, each factor apart."""
    total = [np.zeros(spec.parameters) for _ in range(3)]
    for x, y in zip(samples.x, samples.y, strict=True):
        flat = torch.tensor(hidden, requires_grad=True)
        made, alpha = outputs_and_sum(spec, flat, torch.from_numpy(x[None]).double())
        targets = torch.nn.functional.one_hot(torch.tensor([y]), spec.classes).double()
        slopes = [torch.autograd.grad(made[0, c], flat, retain_graph=True)[0].numpy() for c in range(spec.classes)]
        (alpha_slope,) = torch.autograd.grad(alpha[0], flat)
        e, a = (made - targets)[0].detach().numpy(), float(alpha[0].detach())
        total[0] += sum(e[c] * slopes[c] for c in range(spec.classes))
        total[1] += a * sum(noise[c] * slopes[c] for c in range(spec.classes))
        total[1] += float(np.dot(noise, e)) * alpha_slope.numpy()
        total[2] += a * alpha_slope.numpy()
    return [part / len(samples) for part in total]


@pytest.mark.parametrize("spec", SPECS, ids=["mlp", "one layer", "cnn"])
def test_three_vectors_are_the_papers(spec: ModelSpec) -> None:
    secrets, samples = perturb.draw(spec, SEED, b""), some_samples(spec, 6)
    hidden = perturb.perturb(spec, secrets, models.initial(spec, 3))
    found = three_vectors(spec, hidden, secrets.noise, samples)
    classes, width = spec.tensors[-1][1]
    for vector, wanted in zip(found, paper_vectors(spec, hidden, secrets.noise, samples), strict=True):
        np.testing.assert_allclose(vector, wanted, rtol=1e-9, atol=1e-12)
    assert not found[2, -classes * width :].any()


@pytest.mark.parametrize("spec", SPECS, ids=["mlp", "one layer", "cnn"])
def test_the_network_computes_the_same_but_for_the_shift(spec: ModelSpec) -> None:
    secrets, samples = perturb.draw(spec, SEED, b""), some_samples(spec, 9)
    weights = models.initial(spec, 1)
    true, _ = outputs(spec, weights, samples)
    made, alpha = outputs(spec, perturb.perturb(spec, secrets, weights), samples)
    shift = alpha[:, None] * secrets.gamma * torch.tensor(secrets.noise, dtype=torch.float64)
    np.testing.assert_allclose((made - shift).numpy(), true.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spec", SPECS, ids=["mlp", "one layer", "cnn"])
@pytest.mark.parametrize("rounded", [False, True])
def test_identity_in_float64(spec: ModelSpec, rounded: bool) -> None:
    """Also for weights rounded to float32 as they are published: those are the perturbation of ``restore``."""
    for seed in range(3):
        secrets = perturb.draw(spec, bytes([seed]) * 32, b"x")
        weights: NDArray[np.floating] = models.initial(spec, seed)
        hidden = perturb.perturb(spec, secrets, weights)
        if rounded:
            hidden = hidden.astype(np.float32)
            weights = restore(spec, secrets, hidden)
        parties = [some_samples(spec, 20 + k, k) for k in range(3)]
        total = sum(three_vectors(spec, hidden, secrets.noise, party) for party in parties)
        wanted = sum(gradient(spec, weights, party) for party in parties)
        assert relative(perturb.denoise(spec, secrets, np.asarray(total)), np.asarray(wanted)) < 1e-6


def test_average_pooling_keeps_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model of ours has it, but whatever commutes with positive factors will do."""
    monkeypatch.setattr(models.functional, "max_pool2d", torch.nn.functional.avg_pool2d)
    secrets, weights, samples = perturb.draw(CNN, SEED, b""), models.initial(CNN, 4), some_samples(CNN, 20)
    vectors = three_vectors(CNN, perturb.perturb(CNN, secrets, weights), secrets.noise, samples)
    assert relative(perturb.denoise(CNN, secrets, vectors), gradient(CNN, weights, samples)) < 1e-6


def test_rounding_the_published_weights_moves_the_model_by_less_than_training_does() -> None:
    secrets, weights = perturb.draw(CNN, SEED, b""), models.initial(CNN, 0)
    back = restore(CNN, secrets, perturb.perturb(CNN, secrets, weights).astype(np.float32))
    assert relative(back, weights.astype(np.float64)) < 1e-6
    samples = some_samples(CNN, 30)
    assert relative(gradient(CNN, back, samples), gradient(CNN, weights, samples)) < 1e-4


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets, samples = perturb.draw(MLP, SEED, b""), some_samples(MLP, 50)
    hidden = perturb.perturb(MLP, secrets, models.initial(MLP, 0))
    whole = three_vectors(MLP, hidden, secrets.noise, samples)
    monkeypatch.setattr("omninode.learning.perturb_torch._CHUNK", 7)
    np.testing.assert_allclose(three_vectors(MLP, hidden, secrets.noise, samples), whole, rtol=1e-10, atol=1e-12)


def test_squares_is_half_the_squared_error() -> None:
    made, labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
    assert float(squares(made, labels)) == pytest.approx(0.25)
    samples = some_samples(MLP, 30)
    flat = torch.tensor(models.initial(MLP, 0).astype(np.float64), requires_grad=True)
    loss = squares(models.net_of(MLP)(flat, torch.from_numpy(samples.x).double()), torch.from_numpy(samples.y))
    (wanted,) = torch.autograd.grad(loss, flat)
    np.testing.assert_allclose(gradient(MLP, models.initial(MLP, 0), samples), wanted.numpy(), rtol=1e-10, atol=1e-14)


@settings(max_examples=20, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), context=st.binary(max_size=40))
def test_secrets_are_in_range_and_belong_to_seed_and_context(seed: bytes, context: bytes) -> None:
    secrets = perturb.draw(MLP, seed, context)
    assert [len(scale) for scale in secrets.scales] == [9, 7]
    values = np.concatenate([*secrets.scales, secrets.noise, [secrets.gamma]])
    assert values.min() >= perturb.LOW and values.max() < perturb.HIGH
    assert len(set(values)) == len(values)
    assert secrets.shift == pytest.approx(sum((secrets.gamma * r) ** 2 for r in secrets.noise))
    again = perturb.draw(MLP, seed, context)
    assert again.gamma == secrets.gamma and again.noise == secrets.noise
    for other in (perturb.draw(MLP, seed[::-1] + b"", context + b"x"), perturb.draw(MLP, bytes(32), context + b"y")):
        assert other.gamma != secrets.gamma and not set(other.noise) & set(secrets.noise)


def test_secrets_are_uniform() -> None:
    wide = ModelSpec("mlp", (2, 20_000, 2), (2,), bias=False)
    (scale,) = perturb.draw(wide, SEED, b"").scales
    assert abs(scale.mean() - 1.25) < 5 * (1.5 / math.sqrt(12 * len(scale)))
    assert np.histogram(scale, 10, (perturb.LOW, perturb.HIGH))[0].min() > 1_700


def test_secrets_are_not_shown() -> None:
    secrets = perturb.draw(MLP, SEED, b"")
    assert str(secrets.gamma) not in repr(secrets) and "scales" not in repr(secrets)


@pytest.mark.parametrize("spec", SPECS, ids=["mlp", "one layer", "cnn"])
def test_restore_inverts_perturb(spec: ModelSpec) -> None:
    secrets, weights = perturb.draw(spec, SEED, b""), models.initial(spec, 0).astype(np.float64)
    hidden = perturb.perturb(spec, secrets, weights)
    assert relative(hidden, weights) > 0.1
    np.testing.assert_allclose(restore(spec, secrets, hidden), weights, rtol=1e-12, atol=1e-12)


def test_ratios_of_a_channel_repeat_over_its_positions() -> None:
    secrets = perturb.draw(CNN, SEED, b"")
    parts = dict(zip((n for n, _ in CNN.tensors), torch.split(torch.tensor(perturb.ratios(CNN, secrets)),
                     [math.prod(s) for _, s in CNN.tensors]), strict=True))  # fmt: skip
    r1, r2, r3, r4 = secrets.scales
    assert bool((parts["conv1.weight"].view(3, 2, 5, 5)[1] == r1[1]).all())
    assert float(parts["conv2.weight"].view(4, 3, 25)[2, 1, 7]) == r2[2] / r1[1]
    places = CNN.flat_side**2
    assert float(parts["fc1.weight"].view(12, 4, places)[5, 3, places - 1]) == r3[5] / r2[3]
    assert float(parts["fc3.weight"].view(5, 8)[4, 6]) == 1 / r4[6]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (ModelSpec("mlp", (4, 3), (4,)), "biases"),
        (ForeignModel("module", "a:B", 0, (4,), 3, (("fc.weight", (3, 4)),)), "'module' cannot be perturbed"),
    ],
)
def test_other_architectures_are_refused(model: ModelSpec | ForeignModel, said: str) -> None:
    for refused in (
        lambda: perturb.check_model(model),
        lambda: perturb.draw(model, SEED, b""),
        lambda: three_vectors(model, np.zeros(12), [1.0] * 3, Samples(np.zeros((1, 4), np.float32), np.zeros(1, int))),
    ):
        with pytest.raises(ValueError, match=said):
            refused()


def test_wrong_arguments_are_refused() -> None:
    secrets = perturb.draw(MLP, SEED, b"")
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        perturb.draw(MLP, bytes(31), b"")
    with pytest.raises(ValueError, match="weights have shape"):
        perturb.perturb(MLP, secrets, np.zeros(3))
    with pytest.raises(ValueError, match="vectors have shape"):
        perturb.denoise(MLP, secrets, np.zeros((2, MLP.parameters)))


def test_a_model_that_has_diverged_is_said_to_have() -> None:
    with pytest.raises(FloatingPointError, match="diverged"):
        three_vectors(MLP, np.full(MLP.parameters, 1e200), [1.0] * 4, some_samples(MLP, 5))
