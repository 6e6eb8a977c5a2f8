"""Our files of reference strings, in memory. Numbers and points are big-endian.

"omnisrs" and a byte 1; u32 number of powers, u16 number of contributions; the label of a string whose secret everybody
can compute, else empty: a byte for its length, then UTF-8; tau2, 128 bytes as the pairing precompile has it. Then for
each contribution the name (as the label), the contribution (320 bytes) and [tau] after it (64 bytes). Then the powers,
64 bytes each, to the end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from protocols.bn254 import ceremony, g1, pairing, srs
from protocols.bn254.ceremony import Link
from protocols.bn254.pairing import G2_GENERATOR
from protocols.bn254.srs import BadString, Srs

MAGIC = b"omnisrs\x01"
MOST_POWERS = (1 << 25) + 8
LONGEST_NAME = 64
"""Bytes, in UTF-8, of a contributor's name and of a label."""

_STEP_BYTES = 320


@dataclass(frozen=True, eq=False, slots=True)
class File:
    """string: as the file has it, points on the curve, else unchecked. label: "" for a string of unknown secret."""

    string: Srs
    label: str
    links: tuple[Link, ...]

    @property
    def fresh(self) -> bool:
        """Whether nobody contributed yet: tau is 1."""
        return not self.label and not self.links


def largest_size(powers: int) -> int:
    """Rows of the largest proofs that so many powers serve: a power of two, or 0."""
    return 1 << ((powers - 8) // 2).bit_length() - 1 if powers >= 16 else 0


def powers_for(size: int) -> int:
    """Powers that proofs of ``size`` rows need. ValueError unless it is a power of two from 4 to 2^24."""
    if size < 4 or size & (size - 1) or size > 1 << 24:
        raise ValueError(f"a number of rows is a power of two from 4 to {1 << 24}, not {size}")
    return 2 * size + 8


def check_name(name: str) -> str:
    """The name itself. ValueError if it is empty, too long, or would not print on one line."""
    if not name.isprintable() or not 1 <= len(name.encode()) <= LONGEST_NAME:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} bytes of printable characters")
    return name


def encode(file: File) -> Iterator[bytes]:
    """The bytes of a file, in pieces."""
    powers = file.string.powers
    yield MAGIC + struct.pack(">IH", len(powers), len(file.links)) + _text(file.label)
    yield pairing.g2_to_bytes(file.string.tau2)
    for link in file.links:
        yield _text(link.name) + link.step.to_bytes() + g1.to_bytes(g1.from_integers([link.second]))
    for start in range(0, len(powers), 1 << 16):
        yield g1.to_bytes(powers[start : start + (1 << 16)])


def _text(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


class _Reader:
    """Takes bytes apart, from left to right."""

    def __init__(self, data: memoryview) -> None:
        self.rest = data

    def take(self, count: int) -> bytes:
        if len(self.rest) < count:
            raise BadString("truncated")
        taken, self.rest = bytes(self.rest[:count]), self.rest[count:]
        return taken

    def text(self, empty: bool) -> str:
        data = self.take(self.take(1)[0])
        try:
            text = data.decode()
            return text if empty and not text else check_name(text)
        except ValueError as error:
            raise BadString("name", str(error)) from error

    def link(self) -> Link:
        name, step = self.text(False), ceremony.from_bytes(self.take(_STEP_BYTES))
        try:
            return Link(name, step, g1.to_integers(g1.from_bytes(self.take(g1.BYTES)))[0])
        except g1.InvalidPoint as error:
            raise BadString("contribution-point", str(error)) from error


def parse(data: bytes | memoryview) -> File:
    """A file's parts; what they claim is not checked here. BadString."""
    reader = _Reader(memoryview(data).cast("B"))
    if bytes(reader.rest[: len(MAGIC)]) != MAGIC:
        raise BadString("magic", "not a file of ours")
    reader.take(len(MAGIC))
    count, steps = struct.unpack(">IH", reader.take(6))
    label = reader.text(True)
    second = reader.take(128)
    try:
        tau2 = pairing.g2_from_bytes(second)
    except ValueError as error:
        raise BadString("second-group", str(error)) from error
    links = tuple(reader.link() for _ in range(steps))
    if not 2 <= count <= MOST_POWERS or len(reader.rest) != g1.BYTES * count:
        raise BadString("length", f"{len(reader.rest)} bytes for {count} powers")
    try:
        powers = g1.from_bytes(reader.rest)
    except g1.InvalidPoint as error:
        raise BadString("power", str(error)) from error
    name = f"{srs.INSECURE}-{label or 'start'}" if label or not links else links[-1].step.after.hex()
    return File(Srs(powers, tau2, name), label, links)


def check(file: File, seed: bytes, threads: int = 1) -> list[bytes]:
    """Everything that the file claims: BadString with the check that failed. seed: 32 unforeseeable bytes.

    Returns the digest of the transcript after each contribution.
    """
    powers, tau2 = file.string.powers, file.string.tau2
    if file.label:
        if file.links:
            raise BadString("label", "a string with a label has no contributions")
        srs.check(powers, tau2, seed, threads)
        if not same_second(file.string, srs.insecure(file.label, 2)):
            raise BadString("label", "it is not the string of its label")
        return []
    if file.links:
        return ceremony.verify_links(file.string, file.links, seed, threads)
    first, _ = ceremony.start(len(powers))
    if not np.array_equal(powers, first.powers) or tau2 != G2_GENERATOR:
        raise BadString("no-contribution", "and it is not the string of tau = 1")
    return []


def same_second(a: Srs, b: Srs) -> bool:
    """Whether two strings have the same tau."""
    return bool(np.array_equal(a.powers[1], b.powers[1]))


def transcript(count: int, links: Sequence[Link]) -> bytes:
    """The digest of the transcript after these contributions to a string of ``count`` powers."""
    digest = ceremony.start(count)[1]
    for link in links:
        digest = ceremony.extended(ceremony.named(digest, link.name), link.step)
    return digest
