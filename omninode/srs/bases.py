"""Reference strings in Lagrange form, for N rows: from the cache, a known secret, a prepared file, or computed.

It makes commitments to small values ten times faster, and changes nothing else. To compute it takes minutes for large
N: a node does that by itself only where it takes a few seconds, else ``omninode srs prepare`` does.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from omninode.srs import disk, loading
from protocols.bn254 import g1, ptau, srs
from protocols.bn254.g1 import Points
from protocols.bn254.pairing import g2_to_bytes
from protocols.bn254.srs import INSECURE, BadString, Basis, Progress, Srs
from protocols.wire.context import tagged_hash
from protocols.zk.params import NB_G

MAGIC = b"omnilag\x01"
COMPUTED_UNASKED = 1 << 13
"""Rows up to which a node computes the form by itself: a few seconds."""


def cached_path(cache: Path, string: Srs, size: int) -> Path:
    """Where the form of a string for ``size`` rows is kept. tau2 stands for the string: it was checked."""
    name = tagged_hash("omninode/srs/lagrange", g2_to_bytes(string.tau2), size.to_bytes(8, "big")).hex()[:32]
    return cache / f"lagrange-{size}-{name}"


def basis_of(
    path: Path, string: Srs, size: int, cache: Path, threads: int = 1, most: int = COMPUTED_UNASKED,
    progress: Progress | None = None,
) -> Basis | None:  # fmt: skip
    """The string of a file for N = ``size`` rows, or None if it would have to be computed and size > most.

    string: checked, of at least N + 6 powers. Raises StoreError if the cache cannot be written, or others can
    write it.
    """
    kept = cached_path(cache, string, size)
    disk.check_ours(cache)
    lagrange = _cached(kept, size)
    if lagrange is None:
        lagrange = _known(string, size)
        if lagrange is None:
            lagrange = _prepared(path, string, size, threads)
        if lagrange is None and size <= most:
            lagrange = srs.fourier(string.powers[:size], threads, progress)
        if lagrange is None:
            return None
        disk.put(kept, _packed(lagrange))
    return Basis(lagrange, srs.vanishing_points(string.powers, size, NB_G))


def _packed(lagrange: Points) -> list[bytes]:
    body = lagrange.astype("<u8").tobytes()
    return [MAGIC, hashlib.sha256(body).digest(), body]


def _cached(path: Path, size: int) -> Points | None:
    """What is kept. None if nothing is, or if the disk has changed it: then it is made again."""
    try:
        data = disk.contents(path)
    except OSError:
        return None
    body = data[len(MAGIC) + 32 :]
    head = bytes(data[: len(MAGIC) + 32])
    if len(body) != g1.BYTES * size or head != MAGIC + hashlib.sha256(body).digest():
        return None
    return np.frombuffer(body, dtype="<u8").astype(np.uint64).reshape(-1, 8)


def _known(string: Srs, size: int) -> Points | None:
    """For a string whose secret can be computed from its name."""
    label = string.id.removeprefix(f"{INSECURE}-")
    if not string.insecure or label == "start":
        return None
    return srs.known_basis(srs.insecure_secret(label), size, 0).lagrange


def _prepared(path: Path, string: Srs, size: int, threads: int) -> Points | None:
    """What a prepared .ptau file says the form is, if it is right."""
    data = loading.read(path)
    if not loading.is_ptau(data):
        return None
    try:
        lagrange = ptau.lagrange(data, size)
    except BadString:
        return None
    if lagrange is None or not srs.fits(lagrange, string.powers, os.urandom(32), threads):
        return None
    return lagrange
