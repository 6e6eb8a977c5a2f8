"""Fixed point of sessions with certificate ``zk``: as fine as a table of the proof's own size can hold.

A record proves that each coordinate is in a table of 2^bits values, and a proof has as many rows as the update has
coordinates, rounded up to a power of two. A finer fixed point would make the table the longer of the two, and
everything twice as slow for every bit. Integers only.
"""

from __future__ import annotations

from omninode.learning.document import SessionDocument
from protocols.selection import tuning

LEAST_BOUND = tuning.LEAST_BOUND
"""With less the rounding says more than the update."""


def rows(dimension: int) -> int:
    """N that ``dimension`` coordinates need anyway: the next power of two."""
    return 1 << (dimension - 1).bit_length()


def largest_bound(dimension: int) -> int:
    """The largest integer bound whose table of 2^(bit length + 1) values fits ``rows(dimension)``."""
    return (1 << (dimension - 1).bit_length() - 1) - 1 if dimension > 1 else 0


def proved(dimension: int, bound: int, frac_bits: int) -> tuple[int, int]:
    """(frac_bits, bound) for certificate ``zk``: bits are dropped until the bound is at most ``largest_bound``.

    bound: floor(B 2^frac_bits); the result is floor(B 2^fewer). Raises ValueError where nothing useful is left.
    """
    most, spare = largest_bound(dimension), 0
    while bound >> spare > most:
        spare += 1
    if frac_bits - spare < 1 or bound >> spare < min(LEAST_BOUND, bound):
        raise ValueError(
            f"an update of {dimension} parameters is too short to be proved within {bound} / 2^{frac_bits}"
        )
    return frac_bits - spare, bound >> spare


def rescaled(bound: int, before: int, after: int) -> int:
    """A bound in units of 2^-before, in units of 2^-after; at least 1."""
    return max(1, bound << after - before if after >= before else bound >> before - after)


def difference(document: SessionDocument, frac_bits: int) -> str:
    """For people: what was done to the document's fixed point; "" if nothing was."""
    if document.frac_bits == frac_bits:
        return ""
    return (
        f"certificate zk: fixed point with {document.frac_bits} fractional bits instead of {frac_bits}, so that the "
        f"table of coordinates is no longer than the {rows(document.parameters)} rows of the proof"
    )
