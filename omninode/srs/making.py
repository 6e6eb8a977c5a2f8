"""What the verbs of ``omninode srs`` do: begin a string, contribute to one, verify one, say what is in one.

Each returns what there is to print. Whoever wants the string of a ceremony to be trusted contributes, or knows somebody
who did: it is as secret as the best of its contributors.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from omninode.errors import RefusedError, UsageError
from omninode.srs import bases, disk, files, loading
from omninode.srs.files import File
from protocols.bn254 import ceremony, g1, ptau, srs
from protocols.bn254.ceremony import Link
from protocols.bn254.srs import INSECURE, BadString, Progress

WARNING = f"{INSECURE}: everybody can compute the secret of this string and forge proofs under it"
UNFINISHED = f"{INSECURE} until somebody contributes: its secret is 1"


def new(path: Path, size: int, label: str = "") -> dict[str, Any]:
    """Begin a ceremony for proofs of ``size`` rows; with a label: write the test string of that label instead."""
    count = _powers_for(size)
    try:
        if label and files.check_name(label) == "start":
            raise ValueError("the label start is taken")
    except ValueError as error:
        raise UsageError(str(error)) from error
    string = srs.insecure(label, count) if label else ceremony.start(count)[0]
    disk.write_new(path, files.encode(File(string, label, ())))
    answer = {"file": str(path), "powers": count, "rows": size, "id": string.id}
    if label:
        return answer | {"warning": WARNING}
    return answer | {"warning": UNFINISHED, "next": f"omninode srs contribute {path} NEW_FILE --name YOUR_NAME"}


def _powers_for(size: int) -> int:
    try:
        return files.powers_for(size)
    except ValueError as error:
        fits = 1 << min(max(size - 1, 3).bit_length(), 24)
        raise UsageError(str(error), f"try --size {fits}") from error


def contribute(path: Path, out: Path, name: str, entropy: str = "", threads: int = 1) -> dict[str, Any]:
    """Multiply the secret of a string by one of our own, which nobody keeps, and write the new string.

    The file is verified first. entropy: goes into the secret beside the system's random numbers.
    """
    try:
        files.check_name(name)
    except ValueError as error:
        raise UsageError(f"--name: {error}") from error
    if out.exists():
        raise UsageError(f"{out} is there already", "choose another name: a string is never overwritten")
    file = _parsed(path)
    if file.label:
        raise RefusedError(
            f"{path} is a test string with the label {file.label}", "begin a ceremony with omninode srs new"
        )
    if (known := loading.named(file.string)).insecure and not file.fresh:
        raise RefusedError(
            f"{path} is {known.id}: whoever contributed chose a secret that everybody knows",
            "begin a ceremony with omninode srs new",
        )
    try:
        files.check(file, os.urandom(32), threads)
    except BadString as error:
        raise loading.refusal(path, error) from error
    digest = ceremony.named(files.transcript(len(file.string.powers), file.links), name)
    string, step = ceremony.contribute(file.string, digest, _random(entropy), _random(entropy), threads)
    second = g1.to_integers(string.powers[1:2])[0]
    disk.write_new(out, files.encode(File(string, "", (*file.links, Link(name, step, second)))))
    return {
        "file": str(out),
        "contribution": len(file.links) + 1,
        "name": name,
        "digest": ceremony.extended(digest, step).hex(),
        "next": "publish the digest; whoever verifies the string sees it beside your name",
    }


def _random(entropy: str) -> bytes:
    """48 bytes; the variables that hold them, and what is computed from them, end with the verb's process."""
    return hashlib.shake_256(b"omninode/srs/secret" + os.urandom(64) + entropy.encode()).digest(48)


def _parsed(path: Path) -> File:
    """A file of ours. Raises UsageError for none, RefusedError for one that is of another kind or damaged."""
    data = loading.read(path)
    if loading.is_ptau(data):
        raise RefusedError(
            f"{path} is a .ptau file, whose contributions are not in a form that we continue",
            "use it as it is, or begin a ceremony with omninode srs new",
        )
    try:
        return files.parse(data)
    except BadString as error:
        raise loading.refusal(path, error) from error


def show(path: Path) -> dict[str, Any]:
    """What a file says, not checked."""
    data = loading.read(path)
    try:
        if loading.is_ptau(data):
            power = ptau.parse(data)
            return _size(path, "ptau", power.count) | {"lagrange": power.lagrange is not None}
        head = files.head(data)
        known = loading.id_of(files.second_power(data, head), head.id)
    except BadString as error:
        raise loading.refusal(path, error) from error
    said = _size(path, "omninode", head.count) | {"id": known}
    said["contributions"] = [{"number": k, "name": name} for k, (name, _, _) in enumerate(head.links, start=1)]
    return said | _warning(known, head.fresh)


def _size(path: Path, kind: str, powers: int) -> dict[str, Any]:
    return {"file": str(path), "kind": kind, "powers": powers, "rows": files.largest_size(powers)}


def _warning(known: str, fresh: bool) -> dict[str, Any]:
    """known: the id of the string, after a look at its second power."""
    if fresh:
        return {"warning": UNFINISHED}
    return {"warning": WARNING} if known.startswith(INSECURE) else {}


def verify(path: Path, threads: int = 1) -> dict[str, Any]:
    """Check all that a file claims: powers, and every contribution from the start. Raises RefusedError."""
    data = loading.read(path)
    try:
        if loading.is_ptau(data):
            return _verify_ptau(path, data, threads)
        file = files.parse(data)
        digests = files.check(file, os.urandom(32), threads)
    except BadString as error:
        raise loading.refusal(path, error) from error
    known = loading.named(file.string).id
    said = _size(path, "omninode", len(file.string.powers)) | {"id": known}
    said["contributions"] = [
        {"number": k, "name": link.name, "digest": digest.hex()}
        for k, (link, digest) in enumerate(zip(file.links, digests, strict=True), start=1)
    ]
    return said | _warning(known, file.fresh)


def _verify_ptau(path: Path, data: memoryview, threads: int) -> dict[str, Any]:
    count = ptau.parse(data).count
    string = loading.load_string(path, count, None, threads)
    said = _size(path, "ptau", count) | {"id": string.id}
    if string.insecure:
        return said | {"warning": WARNING}
    return said | {"note": "its powers are right; who contributed, snarkjs powersoftau verify says"}


def prepare(path: Path, size: int, cache: Path, threads: int = 1, progress: Progress | None = None) -> dict[str, Any]:
    """Compute the Lagrange form for proofs of ``size`` rows, so that commitments to updates are made faster."""
    count = _powers_for(size)
    string = loading.load_string(path, count, cache, threads)
    bases.basis_of(path, string, size, cache, threads, size, progress)
    return {"file": str(bases.cached_path(cache, string, size)), "rows": size}
