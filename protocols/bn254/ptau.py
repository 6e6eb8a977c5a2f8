"""Files of powers of tau as snarkjs writes them (.ptau), read from memory: as much of the string as is needed.

"ptau", u32 version 1, u32 number of sections; a section is u32 id, u64 size and its bytes, all little endian.
Section 1: u32 32, the modulus Q, u32 power, u32 power of the ceremony. Section 2: 2^(power+1) - 1 points of the first
group. Section 3: 2^power points of the second. Section 12, of prepared files: [L_i(tau)] for 1, 2, 4, .. 2^power rows.
Coordinates are 32 bytes in Montgomery form, as our kernels have them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from protocols.bn254 import g1, srs
from protocols.bn254 import g1_kernels as kernels
from protocols.bn254.field import MONTGOMERY, Q
from protocols.bn254.g1 import Points
from protocols.bn254.pairing import Twisted
from protocols.bn254.srs import BadString, Srs

Data = bytes | memoryview
_HEADER, _G1, _G2, _LAGRANGE = 1, 2, 3, 12
_G1_BYTES, _G2_BYTES = 64, 128
_MAX_SECTIONS, _MAX_POWER = 64, 28


@dataclass(frozen=True, slots=True)
class File:
    """What a file says before its points are looked at. power: 2^(power+1) - 1 powers are there."""

    power: int
    g1: memoryview
    g2: memoryview
    lagrange: memoryview | None

    @property
    def count(self) -> int:
        """How many powers there are."""
        return (2 << self.power) - 1


def _sections(data: memoryview) -> dict[int, memoryview]:
    if len(data) < 12 or bytes(data[:4]) != b"ptau":
        raise BadString("ptau-magic")
    version, number = struct.unpack_from("<II", data, 4)
    if version != 1 or number > _MAX_SECTIONS:
        raise BadString("ptau-version", f"version {version}, {number} sections")
    found: dict[int, memoryview] = {}
    at = 12
    for _ in range(number):
        if at + 12 > len(data):
            raise BadString("ptau-truncated")
        name, size = struct.unpack_from("<IQ", data, at)
        at += 12
        if size > len(data) - at:
            raise BadString("ptau-truncated", f"section {name}")
        if name in found:
            raise BadString("ptau-section-twice", str(name))
        found[name] = data[at : at + size]
        at += size
    if at != len(data):
        raise BadString("ptau-trailing-bytes")
    return found


def parse(data: Data) -> File:
    """The file's layout. data: all of its bytes, also mapped ones; nothing is copied. BadString."""
    sections = _sections(memoryview(data).cast("B"))
    for name in (_HEADER, _G1, _G2):
        if name not in sections:
            raise BadString("ptau-section-missing", str(name))
    header = bytes(sections[_HEADER])
    if len(header) != 44 or header[:4] != struct.pack("<I", 32) or header[4:36] != Q.to_bytes(32, "little"):
        raise BadString("ptau-field")
    power, ceremony = struct.unpack_from("<II", header, 36)
    if not 1 <= power <= min(ceremony, _MAX_POWER):
        raise BadString("ptau-power", str(power))
    file = File(power, sections[_G1], sections[_G2], sections.get(_LAGRANGE))
    if len(file.g1) != file.count * _G1_BYTES or len(file.g2) != (1 << power) * _G2_BYTES:
        raise BadString("ptau-section-size")
    return file


def _points(data: memoryview, count: int) -> Points:
    """(count, 8): points whose coordinates are canonical, not checked to be on the curve."""
    words = np.frombuffer(data[: count * _G1_BYTES], dtype="<u8").astype(np.uint64)
    if (bad := int(kernels.first_large(words.reshape(-1, 4)))) < 2 * count:
        raise BadString("coordinate", f"of power {bad // 2}")
    return words.reshape(-1, 8)


def _second(data: memoryview) -> Twisted:
    """[tau] of the second group: the second of the section's points."""
    raw = bytes(data[_G2_BYTES : 2 * _G2_BYTES])
    c = [int.from_bytes(raw[i : i + 32], "little") for i in range(0, _G2_BYTES, 32)]
    if max(c) >= Q:
        raise BadString("coordinate", "in the second group")
    factor = pow(MONTGOMERY, -1, Q)
    return (c[0] * factor % Q, c[1] * factor % Q, c[2] * factor % Q, c[3] * factor % Q)


def load(data: Data, count: int, seed: bytes, threads: int = 1) -> Srs:
    """The first ``count`` powers, checked as ``srs.check`` does. BadString; also when the file has fewer.

    seed: as for ``srs.check``. What is loaded is named by its digest: a caller may keep that, to check a file once.
    """
    string = unchecked(data, count)
    srs.check(string.powers, string.tau2, seed, threads)
    return string


def unchecked(data: Data, count: int) -> Srs:
    """The same without ``srs.check``: for a caller that has checked these bytes before, or does next. BadString."""
    file = parse(data)
    if not 2 <= count <= file.count:
        raise BadString("ptau-too-short", f"{count} powers wanted, {file.count} there")
    powers, tau2 = _points(file.g1, count), _second(file.g2)
    return Srs(powers, tau2, srs.digest(powers, tau2).hex())


def lagrange(data: Data, n: int) -> Points | None:
    """(n, 8): what a prepared file says [L_i(tau)] is for n rows, a power of two; to be tested with ``srs.fits``.

    None if the file does not have it. BadString for a coordinate or point that is none.
    """
    file = parse(data)
    if file.lagrange is None or n > 1 << file.power or len(file.lagrange) < (2 * n - 1) * _G1_BYTES:
        return None
    try:
        return g1.on_curve(_points(file.lagrange[(n - 1) * _G1_BYTES :], n))
    except g1.InvalidPoint as error:
        raise BadString("off-curve", f"in the Lagrange section: {error}") from error
