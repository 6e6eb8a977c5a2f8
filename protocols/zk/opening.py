"""Steps of a proof that a committee makes together: what is opened, of which degree, and how messages are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.bn254 import fr, g1
from protocols.zk.decode import Decoded, Table, decode_points, decode_scalars
from protocols.zk.params import Statement
from protocols.zk.statement import value_count


@dataclass(frozen=True, slots=True)
class Step:
    """An opening. degree: of the sharing.  points: on the curve, 64 bytes each; else scalars of 32.  count: of them."""

    name: str
    degree: int
    points: bool
    count: int

    @property
    def size(self) -> int:
        """Bytes of a message."""
        return self.count * (g1.BYTES if self.points else fr.BYTES)

    def need(self, n: int, t: int) -> int:
        """Messages that must agree: D + 1 + t. Fewer than 4 t + 1 provers, in tests, find lies but name nobody."""
        return min(n, self.degree + 1 + t)

    def read(self, data: bytes) -> Table:
        """A message. ValueError for another length, numbers that are not canonical, points off the curve."""
        if len(data) != self.size:
            raise ValueError(f"a message of {len(data)} bytes in step {self.name}, not {self.size}")
        return g1.from_bytes(data) if self.points else fr.from_bytes(data)

    def write(self, table: Table) -> bytes:
        """The inverse of ``read``."""
        return g1.to_bytes(table) if self.points else fr.to_bytes(table)

    def decode(self, received: Mapping[int, Table], need: int) -> Decoded | None:
        """What is opened, and who lied: as ``decode``."""
        return (decode_points if self.points else decode_scalars)(received, self.degree, need)


def steps_of(statement: Statement, records: int, t: int) -> tuple[Step, ...]:
    """The openings of GRAM or SCORE, in order. Those named "A" and "E" may be sent together."""
    single = 2 if statement is Statement.SCORE else 1
    return (
        Step("values", 2 * t, False, value_count(statement, records)),
        Step("S", 2 * t, True, 1),
        Step("q", 2 * t, True, 1),
        Step("A", t, False, single),
        Step("E", 2 * t, False, 3),
        Step("W", 2 * t, True, 2),
    )
