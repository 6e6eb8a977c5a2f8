"""Why a record or a batch is refused; the contract has an error of the same meaning for each."""

from __future__ import annotations

from enum import StrEnum


class Check(StrEnum):
    """What failed, in the order in which it is looked at. The contract's error: "Bad" and the name in capitals."""

    SHAPE = "shape"  # lengths, number of records, bits of the mask
    ORDER = "order"  # an address too long, or not above the one before
    NORM = "norm"  # an accepted squared norm is negative or above the bound
    SCALAR = "scalar"  # a scalar is not below the order of the group
    RANGE_IDENTITY = "range-identity"  # R1 of a record
    STATEMENT_IDENTITY = "statement-identity"  # G1 of the committee's proof
    POINT = "point"  # not canonical, or not on the curve
    PAIRING = "pairing"  # openings are not those of the commitments


class Refused(ValueError):
    """A record or a batch that proves nothing. index: of the record, or -1 where it is not about one."""

    def __init__(self, check: Check, index: int = -1, detail: str = "") -> None:
        where = f" of record {index}" if index >= 0 else ""
        super().__init__(f"{check}{where}" + (f": {detail}" if detail else ""))
        self.check, self.index = check, index
