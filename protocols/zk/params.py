"""Sizes of the proofs of certificate ``zk``: vectors of bounded integers committed to over BN254."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

NB_G = 6
"""Blinding coefficients of a committed update: its opening, three attempts, the released sum and tau."""
NB_M = 2
"""Of the multiplicities, and of the bits of the slack of the norm."""
NB_S = 4
"""Of a running sum: it is seen at tau, w tau, z and w z."""
LARGEST_SIZE = 1 << 24
RECORD_BYTES = 640
"""A record of statement GRAM."""
NORMS_BYTES = 896
"""A record with the proof of the norm."""
POINT_BYTES, LEAF_BYTES = 64, 32
MOST_RECORDS = 64
"""Data owners of one batch, at most: what fits a transaction."""


class Statement(IntEnum):
    """What the committee proves of a batch."""

    NONE = 0  # nothing: records alone (rule none, equal pay)
    GRAM = 1  # all inner products of the updates, which become public (rules on distances)
    SCORE = 2  # inner products with the reference, which become public; norms stay hidden


@dataclass(frozen=True, slots=True)
class ZkParams:
    """dimension: d.  bits: b, coordinates are in [-2^(b-1), 2^(b-1)).  size: N, a power of two, at least d and 2^b."""

    dimension: int
    bits: int
    size: int

    def __post_init__(self) -> None:
        if self.dimension < 1 or self.bits < 1 or self.size & (self.size - 1) or self.size > LARGEST_SIZE:
            raise ValueError(f"no proof for {self}")
        if self.size < max(self.dimension, 1 << self.bits):
            raise ValueError(f"{self.size} rows hold neither {self.dimension} coordinates nor a table of 2^{self.bits}")
        if self.size << 2 * self.bits - 2 >= 1 << 127:
            raise ValueError(f"inner products of {self} do not fit 128 bits")

    @property
    def powers(self) -> int:
        """Powers of tau that the reference string must have."""
        return 2 * self.size + 8

    @property
    def length(self) -> int:
        """Scalars of a share: coordinates and blinders."""
        return self.dimension + NB_G


def choose(dimension: int, bound: int) -> ZkParams:
    """The sizes for updates of ``dimension`` integers of L2 norm at most ``bound``. ValueError if there are none.

    No coordinate exceeds the norm: |g_i| <= bound < 2^(b-1).
    """
    bits = bound.bit_length() + 1
    return ZkParams(dimension, bits, 1 << max((dimension - 1).bit_length(), bits))


def norm_bits(bound: int) -> int:
    """ell: bits of the squared bound, which is B^2 = bound^2 exactly."""
    return (bound * bound).bit_length()


def record_bytes(norms: bool) -> int:
    """Length of a record. norms: whether it proves the bound of the norm."""
    return NORMS_BYTES if norms else RECORD_BYTES


def public_bytes(threshold: int, committee: int, norms: bool) -> int:
    """Exact number of bytes of what everybody gets of an upload: record, t commitments, n leaves."""
    return record_bytes(norms) + POINT_BYTES * threshold + LEAF_BYTES * committee
