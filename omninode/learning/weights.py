"""Flat weights as bytes: float32 little-endian in the order of ``Model.tensors``, no pickle. NumPy only."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from omninode.learning.model_spec import Model


def from_bytes(spec: Model, blob: bytes) -> NDArray[np.float32]:
    """All weights (d,), a copy. Raises ValueError on a wrong length, NaN or infinity."""
    return vector(blob, spec.parameters, "the model")


def vector(blob: bytes, count: int, what: str) -> NDArray[np.float32]:
    """``count`` weights, a copy. what: whose they are. Raises ValueError on a wrong length, NaN or infinity."""
    if len(blob) != 4 * count:
        raise ValueError(f"weights blob has {len(blob)} bytes, {what} needs {4 * count}")
    weights = np.frombuffer(blob, dtype="<f4").astype(np.float32)
    if not np.isfinite(weights).all():
        raise ValueError(f"weight {int(np.flatnonzero(~np.isfinite(weights))[0])} is not a finite number")
    return weights


def to_bytes(weights: NDArray[np.floating]) -> bytes:
    """Bytes of a flat weight vector (d,)."""
    return np.ascontiguousarray(weights, dtype="<f4").tobytes()


def digest(blob: bytes) -> bytes:
    """SHA-256 of a weights blob: ``SessionDocument.weights``."""
    return hashlib.sha256(blob).digest()
