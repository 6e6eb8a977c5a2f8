"""Rows of the benchmarks' table, and what each figure is meant to reach."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Aim:
    """column: of the row ("ours", "ratio", or "gap" for |ours - peer|); sign: "<=" or ">="."""

    column: str
    sign: str
    value: float
    unit: str = ""

    def __str__(self) -> str:
        name = "" if self.column == "ours" else self.column + " "
        return f"{name}{self.sign} {self.value:g} {self.unit}".rstrip()

    def met(self, row: Row) -> bool | None:
        """None where the row has nothing to compare with."""
        if self.column == "gap":
            value = None if row["peer"] is None else round(abs(row["ours"] - row["peer"]), 9)
        else:
            value = row[self.column]
        compare = operator.le if self.sign == "<=" else operator.ge
        return None if value is None else bool(compare(value, self.value))


AIMS: dict[str, Aim] = {
    "secure aggregation, all clients + collector (Flower SecAgg+)": Aim("ratio", ">=", 10),
    "share a vector": Aim("ours", "<=", 80, "ms"),
    "robust sum and open": Aim("ours", "<=", 150, "ms"),
    "robust sum and open, one liar": Aim("ours", "<=", 300, "ms"),
    "Gram matrix": Aim("ours", "<=", 1, "s"),
    "PINE prove, d = 10^5": Aim("ours", "<=", 1, "s"),
    "PINE verify at one prover, d = 10^5": Aim("ours", "<=", 0.3, "s"),
    "PINE upload beyond sharing alone, d = 10^5": Aim("ours", "<=", 3, "%"),
    "PINE upload beyond sharing alone, d = 10^5, frac_bits 8": Aim("ours", "<=", 3, "%"),
    "PINE prove (plain Python)": Aim("ratio", ">=", 100),
    "PINE verify (plain Python)": Aim("ratio", ">=", 100),
    "blob transfer": Aim("ratio", ">=", 0.6),
    "gas of a session per data owner, by dimension": Aim("gap", "<=", 1000, "gas"),
    "gas of a verified session per data owner, by dimension": Aim("gap", "<=", 1000, "gas"),
    "gas of a proof, gram, 3 data owners": Aim("ours", "<=", 458_400, "gas"),
    "gas of a proof, gram, 16 data owners": Aim("ours", "<=", 1_446_400, "gas"),
    "gas of a proof, gram, 64 data owners": Aim("ours", "<=", 5_680_000, "gas"),
    "zk sum of 2^17 multiples, 254 bits, 2 threads (zksnake)": Aim("ratio", ">=", 2),
    "zk sum of 2^17 multiples, 16 bits, 2 threads (zksnake)": Aim("ratio", ">=", 2),
    "zk data owner, d = 10^5, gram": Aim("ours", "<=", 6, "s"),
    "zk data owner, d = 10^5, score": Aim("ours", "<=", 6, "s"),
    "zk data owner, d = 10^5, gram: upload": Aim("ratio", ">=", 0.99),
    "zk data owner, d = 10^5, score: upload": Aim("ratio", ">=", 0.99),
    "zk prover, d = 10^5, K = 64, gram": Aim("ours", "<=", 8, "s"),
    "zk prover, d = 10^5, K = 64, score": Aim("ours", "<=", 8, "s"),
    "demo, wall time": Aim("ours", "<=", 150, "s"),
    "demo, memory, prover": Aim("ours", "<=", 180, "MB"),
    "verified sessions, accuracy": Aim("ours", ">=", 0.84),
    "sign flip x10 without defence": Aim("ours", "<=", 0.30),
    "label flip x10 without defence": Aim("ours", "<=", 0.40),
    "real sessions, accuracy": Aim("ours", ">=", 0.84),
    "real sessions, gain over the owner alone": Aim("ours", ">=", 0.08),
    "real sessions / float simulation of the same": Aim("gap", "<=", 0.01),
    "real hostile sessions / float simulation of the same": Aim("gap", "<=", 0.01),
    "real hostile sessions / float simulation without the faults": Aim("gap", "<=", 0.04),
}
"""By the row's name. Source: what the project promises of itself (issues 2 and 3, design of the rounds)."""


def row(name: str, params: Row, ours: float, peer: float | None, unit: str, *, more: bool = False) -> Row:
    """peer: what it is compared with, another program or a limit. more: more is better. The ratio is ours' favour."""
    ratio = None
    if peer is not None:
        above, below = (ours, peer) if more else (peer, ours)
        ratio = above / below if below else None
    return {"name": name, "params": params, "ours": ours, "peer": peer, "unit": unit, "ratio": ratio}


def against_aim(name: str, params: Row, ours: float, unit: str) -> Row:
    """A row whose peer is the aim itself: a limit that ours should stay within, or reach."""
    aim = AIMS[name]
    return row(name, params, ours, aim.value, unit, more=aim.sign == ">=")


def verdict(entry: Row) -> tuple[str, str]:
    """The aim in words and "yes" or "NO", or two empty strings."""
    aim = AIMS.get(entry["name"])
    met = aim.met(entry) if aim else None
    return (str(aim), "yes" if met else "NO") if met is not None else ("", "")
