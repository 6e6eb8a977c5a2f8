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
from protocols.bn254.g1 import Points
from protocols.bn254.pairing import G2_GENERATOR
from protocols.bn254.srs import BadString, Srs

MAGIC = b"omnisrs\x01"
MOST_POWERS = (1 << 25) + 8
MOST_LINKS = 256
"""Contributions to one string: each takes half a second to verify."""
LONGEST_NAME = 64
"""Bytes, in UTF-8, of a contributor's name and of a label."""

_STEP_BYTES = 320
_SHORTEST_LINK = 2 + _STEP_BYTES + g1.BYTES


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says before its points are looked at. start: of the powers, in bytes, of which ``count`` are there.

    links: of each contribution the name, the contribution and [tau] after it, as bytes.
    """

    count: int
    label: str
    tau2: bytes
    links: tuple[tuple[str, bytes, bytes], ...]
    start: int

    @property
    def fresh(self) -> bool:
        """Whether nobody contributed yet: tau is 1."""
        return not self.label and not self.links

    @property
    def id(self) -> str:
        """The id of the string, as the file has it."""
        if self.label or not self.links:
            return f"{srs.INSECURE}-{self.label or 'start'}"
        return self.links[-1][1][-32:].hex()


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


def head(data: bytes | memoryview) -> Head:
    """What can be read of a file without arithmetic. BadString; lengths are looked at before anything is taken apart.

    A file of any size and contents is done with at once.
    """
    whole = memoryview(data).cast("B")
    reader = _Reader(whole)
    if bytes(whole[: len(MAGIC)]) != MAGIC:
        raise BadString("magic", "not a file of ours")
    reader.take(len(MAGIC))
    count, steps = struct.unpack(">IH", reader.take(6))
    if steps > MOST_LINKS:
        raise BadString("contributions", f"{steps}, at most {MOST_LINKS}")
    label = reader.text(True)
    if not 2 <= count <= MOST_POWERS or len(reader.rest) < 128 + steps * _SHORTEST_LINK + g1.BYTES * count:
        raise BadString("length", f"{len(whole)} bytes for {count} powers and {steps} contributions")
    tau2 = reader.take(128)
    links = tuple((reader.text(False), reader.take(_STEP_BYTES), reader.take(g1.BYTES)) for _ in range(steps))
    if len(reader.rest) != g1.BYTES * count:
        raise BadString("length", f"{len(reader.rest)} bytes for {count} powers")
    return Head(count, label, tau2, links, len(whole) - len(reader.rest))


def second_power(data: bytes | memoryview, said: Head) -> Points:
    """(1, 8): [tau], of which all else follows. BadString."""
    return _points(memoryview(data).cast("B")[said.start + g1.BYTES : said.start + 2 * g1.BYTES], "power")


def parse(data: bytes | memoryview) -> File:
    """A file's parts; what they claim, and the order of points of the second group, is not checked here. BadString."""
    said = head(data)
    try:
        tau2 = pairing.g2_of_any_order(said.tau2)
    except ValueError as error:
        raise BadString("second-group", str(error)) from error
    links = tuple(
        Link(name, ceremony.from_bytes(step), g1.to_integers(_points(after, "contribution-point"))[0])
        for name, step, after in said.links
    )
    powers = _points(memoryview(data).cast("B")[said.start :], "power")
    return File(Srs(powers, tau2, said.id), said.label, links)


def _points(data: bytes | memoryview, check: str) -> Points:
    try:
        return g1.from_bytes(data)
    except g1.InvalidPoint as error:
        raise BadString(check, str(error)) from error


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
