"""Reference strings from files of both kinds, ours and .ptau. What is in a file is checked in full, once.

That it was checked is remembered in a cache under a hash of all that was looked at, so that a changed file is checked
again. Checking takes seconds, reading does not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from omninode.errors import RefusedError, UsageError
from omninode.srs import disk, files
from protocols.bn254 import fr, g1, ptau, srs
from protocols.bn254.g1 import Points
from protocols.bn254.srs import BadString, Srs
from protocols.wire.context import tagged_hash

STANDARD_LABEL = "omninode"
"""The test string of demos and tests: recognised in any file, whatever that says."""


def read(path: Path) -> memoryview:
    """The bytes of a file. Raises UsageError where there is none."""
    try:
        return disk.contents(path)
    except FileNotFoundError:
        raise UsageError(f"there is no reference string at {path}", "omninode srs --help says how to get one") from None
    except OSError as error:
        raise UsageError(f"the reference string {path} cannot be read: {error.strerror}") from error


def is_ptau(data: memoryview) -> bool:
    """Whether it is a file of powers of tau as snarkjs writes them."""
    return bytes(data[:4]) == b"ptau"


def refusal(path: Path, error: BadString) -> RefusedError:
    """What the user reads about a file that is no reference string."""
    return RefusedError(
        f"{path} is refused as a reference string: {error}", "get the file again from whoever made it, or another one"
    )


def too_short(path: Path, found: int, needed: int) -> RefusedError:
    """What the user reads where proofs need more powers."""
    size = (needed - 8) // 2
    power = (size - 1).bit_length() + 1
    return RefusedError(
        f"the reference string {path} has {found} powers of tau, {needed} are needed",
        f"use a .ptau file of power {power} or more, or a ceremony begun with omninode srs new --size {size}",
    )


def load_string(path: Path, needed: int, cache: Path | None = None, threads: int = 1) -> Srs:
    """At least the first ``needed`` powers of a string, checked. Its id begins with INSECURE if tau is known.

    cache: folder in which it is remembered what was checked, or None. Raises UsageError for no file, RefusedError for
    one that is too short, or no reference string; StoreError if the cache cannot be written, or others can write it.
    How long it is, is looked at before its points.
    """
    data = read(path)
    try:
        if is_ptau(data):
            if (found := ptau.parse(data).count) < needed:
                raise too_short(path, found, needed)
            string = ptau.unchecked(data, needed)
            _once(cache, srs.digest(string.powers, string.tau2), lambda: _check(string, threads))
            return named(string)
        said = files.head(data)
        if said.count < needed:
            raise too_short(path, said.count, needed)
        if said.fresh:
            raise BadString("no-contribution", "tau is 1; omninode srs contribute is the next step")
        file = files.parse(data)
        before = hashlib.sha256(data[: said.start]).digest()
        digest = tagged_hash("omninode/srs/file", before, srs.digest(file.string.powers, file.string.tau2))
        _once(cache, digest, lambda: files.check(file, os.urandom(32), threads))
        return named(file.string)
    except BadString as error:
        raise refusal(path, error) from error


def _check(string: Srs, threads: int) -> None:
    srs.check(string.powers, string.tau2, os.urandom(32), threads)


def _once(cache: Path | None, digest: bytes, check: Callable[[], object]) -> None:
    """Check, unless it was done before for what has this digest."""
    if cache is None:
        check()
        return
    disk.check_ours(cache)
    mark = cache / f"checked-{digest.hex()}"
    if not mark.is_file():
        check()
        disk.put(mark, [b"a reference string of this digest was checked in full\n"])


def named(string: Srs) -> Srs:
    """The string, called INSECURE where its tau is one that everybody knows."""
    return replace(string, id=id_of(string.powers[1:2], string.id))


def id_of(second: Points, otherwise: str) -> str:
    """The id of a string whose second power this is: INSECURE and a label where everybody knows tau."""
    for label, power in (("start", g1.generator()), (STANDARD_LABEL, _standard())):
        if np.array_equal(second, power):
            return f"{srs.INSECURE}-{label}"
    return otherwise


@cache
def _standard() -> Points:
    return g1.multiply_fixed(g1.generator(), fr.vector([srs.insecure_secret(STANDARD_LABEL)]))
