"""Three vectors as one upload, and how exact what comes out of it is. NumPy only.

A data owner uploads (grad / B1, sigma / B2, beta / B3): the proof that its L2 norm is at most 1 bounds each vector by
its own bound. All three may only be scaled by one common factor, or de-noising no longer cancels what it must.
"""

from __future__ import annotations

import math

import numpy as np

from omninode.learning.document import VECTORS
from omninode.learning.model_spec import Model
from omninode.learning.perturb import Real, Secrets, check_model, ratios
from protocols.pine.params import largest_bound

FACTOR = 1.5
"""B_i over sqrt(3) times the norm of the owner's own vector i.

Digits, an owner with 30 images, data owners with 60: their vectors are .8 to 1.35 times as long as the owner's.
"""

FRAC_BITS = 24
"""Fractional bits of the packed vector: with the bound below its norm is at most 1.84."""

Bounds = tuple[float, float, float]


def integer_bound(model: Model) -> int:
    """The largest integer L2 bound of an upload of ``model`` that mode ``verified`` can prove: the finest fixed point.

    What it bounds has no unit: the real bounds of the three vectors are ``SessionDocument.perturbation.bounds``.
    """
    return largest_bound(VECTORS * check_model(model).parameters)


def choose_bounds(own: Real, factor: float = FACTOR) -> Bounds:
    """B1, B2, B3 from the owner's own three vectors (3, d), which it makes from the same perturbed model.

    Vectors ``factor`` times as long as these just fit. They say how long the owner's vectors are, nothing more.
    Raises ValueError where a vector is zero or not finite.
    """
    norms = [float(np.linalg.norm(vector)) for vector in own]
    if len(norms) != VECTORS or not all(math.isfinite(norm) and norm > 0 for norm in norms):
        raise ValueError(f"three vectors with norms {norms} make no bounds")
    first, second, third = (factor * math.sqrt(VECTORS) * norm for norm in norms)
    return first, second, third


def pack(vectors: Real, bounds: Bounds, bound: int, frac_bits: int) -> Real:
    """(3 d,) real, to be encoded with ``bound`` and ``frac_bits``: |vector_i| = B_i alone fills the bound.

    Where it is longer than the bound, ``fixed_point.encode`` scales all of it by one factor: that is the clip.
    """
    unit = bound / float(2**frac_bits)
    return np.concatenate([vector * (unit / limit) for vector, limit in zip(vectors, bounds, strict=True)])


def unpack(packed: Real, bounds: Bounds, bound: int, frac_bits: int) -> Real:
    """(3, d), the inverse of ``pack``, also of sums. Raises ValueError unless three vectors are in it."""
    if packed.ndim != 1 or len(packed) % VECTORS:
        raise ValueError(f"a vector of shape {packed.shape} does not hold {VECTORS} of the same length")
    unit = bound / float(2**frac_bits)
    return packed.reshape(VECTORS, -1) * (np.asarray(bounds)[:, None] / unit)


def rounding_error(model: Model, secrets: Secrets, bounds: Bounds, bound: int, count: int) -> float:
    """Expected L2 norm of what rounding adds to the mean de-noised gradient of ``count`` data owners.

    A coordinate of vector i is rounded to B_i / bound: variance (B_i / bound)^2 / 12. After de-noising coordinate j has
    R_j^2 (B1^2 + gamma^2 B2^2 + v^2 B3^2) / (12 bound^2); in the last layer beta is exactly zero. Divided by the norm
    of the true mean gradient it is the relative error.
    """
    squares = ratios(model, secrets) ** 2
    classes, width = check_model(model).tensors[-1][1]
    first, second, third = (c * b for c, b in zip((1.0, secrets.gamma, secrets.shift), bounds, strict=True))
    total = float(squares.sum()) * (first**2 + second**2)
    total += float(squares[: -classes * width].sum()) * third**2
    return math.sqrt(total / (12 * count)) / bound
