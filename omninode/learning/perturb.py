"""Model perturbation (Yang et al., WWW 2022; OmniLytics+ 2024): secrets, perturbed weights, de-noising. NumPy only.

A bias-free ReLU network is published with every hidden unit rescaled and its outputs shifted by alpha gamma r^a, where
alpha is the sum of the last hidden layer. With e = yhat - ybar the shifted loss is a polynomial in gamma,

    1/2 |e - gamma alpha r^a|^2 = 1/2 |e|^2 - gamma alpha <r^a, e> + v 1/2 alpha^2,   v = |gamma r^a|^2,

so a data owner returns the gradients of its three coefficients, and who knows gamma puts them together. Obfuscation,
not encryption: a data owner finds gamma (docs/perturbation.md). No claim of robustness goes with it either.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from omninode.learning.document import VECTORS, TrainSpec
from omninode.learning.model_spec import Model, ModelSpec

Real = NDArray[np.float64]
LOW, HIGH = 0.5, 2.0
"""Every secret is drawn uniformly between these."""
SESSION = TrainSpec(lr=0.5, momentum=0.0, batch=1 << 20, epochs=1)
"""Of a session document: one gradient of all samples, and the owner's learning rate for their mean.

Digits reach .90 after about 50 sessions, .96 after 150.
"""

ADAPT = TrainSpec(lr=0.05, momentum=0.0, batch=10, epochs=1)
"""The owner's own training after each session, with squared error."""

SEED_BYTES = 32
_WORD = 8
_FRACTION = 53  # bits of a float64 in [0, 1)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What hides the model of one session.

    scales: r^(l) > 0, one array for each hidden layer: of its units, or the channels of a convolution.  gamma: > 0.
    noise: r^a (classes,), the only part that is published.
    """

    scales: tuple[Real, ...] = field(repr=False)
    gamma: float = field(repr=False)
    noise: tuple[float, ...]

    @property
    def shift(self) -> float:
        """v = |gamma r^a|^2."""
        return self.gamma**2 * math.fsum(r * r for r in self.noise)


def check_model(model: Model) -> ModelSpec:
    """``model`` if it can be perturbed. Raises ValueError with a sentence that says what is in the way."""
    if not isinstance(model, ModelSpec):
        raise ValueError(
            f"a model of kind {model.kind!r} cannot be perturbed: de-noising is right for linear and convolution "
            "layers without biases, ReLU, pooling and squared error only; take one of the presets' models, or publish "
            "chosen layers instead"
        )
    if model.bias:
        raise ValueError(
            f"this {model.name} has biases, which do not scale with the layer before them: only a model without biases "
            "can be perturbed"
        )
    return model


def draw(model: Model, seed: bytes, context: bytes) -> Secrets:
    """Secrets of one session, uniform in [LOW, HIGH), from SHAKE-256 over ``seed`` and ``context``.

    seed: 32 bytes, fresh for every session, the only secret.  context: public, whatever the session is bound to.
    Raises ValueError for another seed or a model that cannot be perturbed.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    widths = [shape[0] for _, shape in check_model(model).tensors]
    tag = b"omninode/perturb" + len(context).to_bytes(8, "big") + context + seed
    stream = hashlib.shake_256(tag).digest(_WORD * (sum(widths) + 1))
    words = np.frombuffer(stream, "<u8") >> np.uint64(64 - _FRACTION)
    values = LOW + (HIGH - LOW) * (words.astype(np.float64) / float(1 << _FRACTION))
    *scales, noise, rest = np.split(values, np.cumsum(widths))
    return Secrets(tuple(scales), float(rest[0]), tuple(float(r) for r in noise))


def ratios(model: Model, secrets: Secrets) -> Real:
    """R (d,): what each weight is multiplied by, r^(l)_i / r^(l-1)_j, with 1 for the input and for the outputs.

    A channel's r stands at each of its positions in the first linear layer after a convolution.
    """
    tensors = check_model(model).tensors
    parts, before = [], np.ones(1)
    for (_, shape), after in zip(tensors, [*secrets.scales, np.ones(model.classes)], strict=True):
        columns = np.repeat(before, shape[1] // len(before))
        ratio = (after[:, None] / columns).reshape(shape[0], shape[1], *(1 for _ in shape[2:]))
        parts.append(np.broadcast_to(ratio, shape).reshape(-1))
        before = after
    return np.concatenate(parts)


def perturb(model: Model, secrets: Secrets, weights: NDArray[np.floating]) -> Real:
    """What^: R o W, in the last layer + (gamma r^a) 1^T. weights: (d,). Raises ValueError on another length."""
    return np.asarray(_sized(model, weights) * ratios(model, secrets) + _added(model, secrets), dtype=np.float64)


def denoise(model: Model, secrets: Secrets, vectors: Real) -> Real:
    """The gradient (d,) with respect to W: R o (grad - gamma sigma + v beta).

    vectors: (3, d), grad, sigma and beta, of one data owner or added up over many.  Raises ValueError on other shapes.
    """
    spec = check_model(model)
    if vectors.shape != (VECTORS, spec.parameters):
        raise ValueError(f"the vectors have shape {vectors.shape}, wanted ({VECTORS}, {spec.parameters})")
    grad, sigma, beta = vectors
    gradient: Real = ratios(model, secrets) * (grad - secrets.gamma * sigma + secrets.shift * beta)
    return gradient


def find_gamma(model: Model, vectors: Real) -> float:
    """gamma as anybody finds it who has three vectors (3, d), a data owner its own: by regression in the last layer.

    There beta is zero and grad = gamma sigma + (true gradient), which is a hundredth of it or less. R is not needed.
    """
    classes, width = check_model(model).tensors[-1][1]
    grad, sigma = vectors[:2, -classes * width :]
    return float(grad @ sigma) / float(sigma @ sigma)


def _added(model: Model, secrets: Secrets) -> Real:
    spec = check_model(model)
    (classes, width) = spec.tensors[-1][1]
    added = np.zeros(spec.parameters)
    added[-classes * width :] = np.repeat(secrets.gamma * np.asarray(secrets.noise), width)
    return added


def _sized(model: Model, weights: NDArray[np.floating]) -> Real:
    if weights.shape != (model.parameters,):
        raise ValueError(f"the weights have shape {weights.shape}, the model ({model.parameters},)")
    return weights.astype(np.float64)
