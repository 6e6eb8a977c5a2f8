"""Sessions on a perturbed model in one process, without network, shares or proofs, and what one liar does to them.

The proof is replaced by what it proves: the integer norm of an upload is at most the bound. Imports torch: run it in a
process of its own, never inside a node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from omninode.learning import fixed_point, perturb, perturb_upload
from omninode.learning.data import Samples, Split
from omninode.learning.model_spec import ModelSpec
from omninode.learning.models import initial
from omninode.learning.perturb import ADAPT, SESSION, Real, Secrets
from omninode.learning.perturb_torch import gradient, squares, three_vectors
from omninode.learning.perturb_upload import FRAC_BITS
from omninode.learning.presets import Preset
from omninode.learning.training import accuracy, train

Weights = NDArray[np.float32]
Lie = Callable[[Real, np.random.Generator], Real]


def random_directions(honest: Real, rng: np.random.Generator) -> Real:
    """Three random vectors, each exactly as long as the liar's honest one."""
    noise = rng.standard_normal(honest.shape)
    lengths = np.linalg.norm(honest, axis=1, keepdims=True)
    return np.asarray(noise * (lengths / np.linalg.norm(noise, axis=1, keepdims=True)), dtype=np.float64)


def sigma_backwards(honest: Real, _: np.random.Generator) -> Real:
    """The honest vectors, sigma with the other sign: de-noising adds 2 gamma sigma to the gradient."""
    return np.asarray(honest * np.array([[1.0], [-1.0], [1.0]]), dtype=np.float64)


def no_sigma(honest: Real, _: np.random.Generator) -> Real:
    """The honest vectors without sigma: shorter than honest, and nothing cancels any more."""
    return np.asarray(honest * np.array([[1.0], [0.0], [1.0]]), dtype=np.float64)


def shortened(lie: Lie, factor: float) -> Lie:
    """A lie, ``factor`` times as long."""
    return lambda honest, rng: factor * lie(honest, rng)


LIES: dict[str, Lie] = {
    "random directions": random_directions,
    "sigma backwards": sigma_backwards,
    "sigma left out": no_sigma,
}
"""What one data owner may send inside the honest length of each vector."""

SHORT_LIES: dict[str, Lie] = {
    "random, a tenth as long": shortened(random_directions, 0.1),
    "random, a hundredth as long": shortened(random_directions, 0.01),
}
"""What a bound that no honest data owner could meet would still let through."""


def biasless(preset: Preset) -> Preset:
    """The preset with its model without biases."""
    return replace(preset, model=replace(preset.model, bias=False))


def owner_alone(preset: Preset, split: Split, seed: int) -> Weights:
    """The owner's model before the first session: ``preset.pretrain`` with squared error, without biases."""
    spec = biasless(preset).model
    return train(spec, initial(spec, seed), split.owner, preset.pretrain, seed, loss=squares)


def perturbed(preset: Preset, split: Split, seed: int, sessions: int, lie: Lie | None = None) -> list[float]:
    """Accuracy before the first and after each session of one gradient; party 0 tells ``lie``, if any.

    A run that diverges, beyond float32 or what fixed point can hold, is at chance from then on.
    """
    spec = biasless(preset).model
    rng = np.random.default_rng([seed, 0x11E])

    def mean(model: Weights, session: int) -> Real:
        secrets = perturb.draw(spec, hashlib.sha256(b"%d %d" % (seed, session)).digest(), b"simulation")
        return perturbed_mean(spec, model, secrets, split.owner, split.parties, lie, rng)

    return _run(preset, split, seed, sessions, mean)


def plain(preset: Preset, split: Split, seed: int, sessions: int, lie: bool = False) -> list[float]:
    """The same without perturbation: with ``lie`` party 0 sends a random vector as long as its honest gradient."""
    spec = biasless(preset).model
    rng = np.random.default_rng([seed, 0x11E])

    def mean(model: Weights, _: int) -> Real:
        found = np.stack([gradient(spec, model, party) for party in split.parties])
        found[:1] = random_directions(found[:1], rng) if lie else found[:1]
        return np.asarray(found.mean(axis=0), dtype=np.float64)

    return _run(preset, split, seed, sessions, mean)


def perturbed_mean(
    spec: ModelSpec,
    model: NDArray[np.floating],
    secrets: Secrets,
    owner: Samples,
    parties: Sequence[Samples],
    lie: Lie | None = None,
    rng: np.random.Generator | None = None,
) -> Real:
    """The de-noised mean gradient (d,) of one session, through bounds, packing and fixed point as the roles do it."""
    hidden = perturb.perturb(spec, secrets, model).astype(np.float32)
    bounds = perturb_upload.choose_bounds(three_vectors(spec, hidden, secrets.noise, owner))
    most = perturb_upload.integer_bound(spec)
    total = np.zeros(3 * spec.parameters, dtype=np.int64)
    for index, party in enumerate(parties):
        vectors = three_vectors(spec, hidden, secrets.noise, party)
        if lie is not None and index == 0:
            vectors = lie(vectors, rng or np.random.default_rng(0))
        total += fixed_point.encode(perturb_upload.pack(vectors, bounds, most, FRAC_BITS), most, FRAC_BITS)
    decoded = fixed_point.decode_sum(total, FRAC_BITS, len(parties))
    return perturb.denoise(spec, secrets, perturb_upload.unpack(decoded, bounds, most, FRAC_BITS))


def _run(preset: Preset, split: Split, seed: int, sessions: int, mean: Callable[[Weights, int], Real]) -> list[float]:
    spec, model = biasless(preset).model, owner_alone(preset, split, seed)
    curve = [accuracy(spec, model, split.test)]
    for session in range(sessions):
        try:
            with np.errstate(over="raise"):
                stepped = (model - SESSION.lr * mean(model, session)).astype(np.float32)
            model = train(spec, stepped, split.owner, ADAPT, session, loss=squares)
        except (FloatingPointError, ValueError):
            return [*curve, *[1 / spec.classes] * (sessions - session)]
        curve.append(accuracy(spec, model, split.test))
    return curve
