"""The model owner's reference update of mode ``verified``: who is summed under ``trust``, and who is paid how much.

It is trained on a root set that the owner keeps out of all other training: on data that the model fits already the
owner's gradient tends to zero and points anywhere (FLTrust, Cao et al. 2021, calls it the root data set). NumPy only:
the training itself is a job for the worker.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omninode.learning import fixed_point
from omninode.learning.data import DataError, Samples
from omninode.learning.document import SessionDocument
from omninode.learning.jobs import Job

ROOT_SAMPLES = 30
"""Samples held out by default."""


def hold_out(samples: Samples, root: int = ROOT_SAMPLES) -> tuple[Samples, Samples]:
    """The owner's samples in two: what it trains on, and the last ``root`` ones, its root set.

    samples: in random order, as ``data.split`` deals them. Raises DataError unless something is left to train on.
    """
    rows = np.arange(len(samples), dtype=np.int64)
    if not 0 < root < len(samples):
        raise DataError(f"{len(samples)} samples cannot give a root set of {root} and leave some to train on")
    return samples.take(rows[:-root]), samples.take(rows[-root:])


def reference_job(
    document: SessionDocument, weights: bytes | None, root_path: Path, initial: bytes | None = None
) -> Job:
    """Training of the reference, from where and as long as a data owner trains: else products of both mean nothing.

    Its Result.update is for ``reference_update``; its norm is also ``bound.next_bound_verified``'s own_norm, for the
    session that starts from these weights.  weights: the published blob, or None for the public part of those of the
    job before.  root_path: ``.npz`` of the root set.  initial: W0, or None where all is public.
    """
    return Job.train(document, weights, root_path, document.seed, initial, min_samples=1)


def reference_update(update: NDArray[np.floating], bound: int, frac_bits: int) -> NDArray[np.int64]:
    """The reference (d,) as integers, scaled up or down to the bound: only its direction says anything.

    update: real (d,), trained on the root set, new minus old.  bound: the session's floor(B * 2**frac_bits). With
    |ref| = B a score is phi_k = |g_k| B cos, hence at most B^2, and a cap is a share of B^2. An update of zeros stays
    zero (nobody would be accepted). Raises ``fixed_point.FixedPointError`` for NaN or infinity.
    """
    real = np.asarray(update, dtype=np.float64)
    norm = float(np.linalg.norm(real))
    if np.isfinite(norm) and norm > 0:
        real = real * (2 * bound / 2**frac_bits / norm)  # encode() scales down to B
    return fixed_point.encode(real, bound, frac_bits)
