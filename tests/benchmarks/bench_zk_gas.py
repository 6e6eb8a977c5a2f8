"""Gas of checking a batch of certificate zk on anvil, as a transaction of its own, with true proofs of real vectors.

The check alone: what the market adds (storage of digests, payouts) is in the gas of whole sessions. Vectors are short,
N = 64: all that a larger model costs is a squaring per proof and doubling of N.
"""

from __future__ import annotations

import numpy as np

from omninode.chain.devchain import start_anvil
from protocols.zk.batch import Batch
from protocols.zk.params import Statement
from tests.benchmarks.rows import AIMS, Row, against_aim, row
from tests.integration.contract_kit import connect
from tests.integration.zk_chain import gas_of, make_factory, make_verifier
from tests.unit.zk_batch import BOUND_SQUARED, World, proved, world
from tests.unit.zk_kit import CONTRACT

COUNTS = (3, 16, 32, 64)
SESSION = 7
MEASURED_BEFORE = (236_000, 71_000, 370)
"""Of the prototype, statement gram: fixed, per data owner, per inner product."""


def batch_of(w: World, mask: int) -> Batch:
    """What an honest committee would post."""
    if w.statement is Statement.NONE:
        return w.batch(mask, (), b"")
    prover = w.alone(mask)
    proof = proved(prover)
    return w.batch(mask, prover.values, proof)


def fit(statement: Statement, gas: dict[int, int]) -> list[Row]:
    """Least squares: fixed, per data owner and, for gram, per inner product."""
    entries = [count * (count + 1) / 2 for count in gas]
    columns = [np.ones(len(gas)), np.array(list(gas), dtype=float)]
    names = ["fixed", "per data owner"]
    if statement is Statement.GRAM:
        columns.append(np.array(entries))
        names.append("per inner product")
    found, *_ = np.linalg.lstsq(np.stack(columns, axis=1), np.array(list(gas.values()), dtype=float), rcond=None)
    peers = MEASURED_BEFORE if statement is Statement.GRAM else (None, None)
    name = f"gas of a proof, {statement.name.lower()}"
    return [
        row(f"{name}, {part}", {"N": 64}, float(value), peer, "gas")
        for part, value, peer in zip(names, found, peers, strict=True)
    ]


def run() -> list[Row]:
    """Rows for ``make bench``."""
    rows: list[Row] = []
    with start_anvil(block_time=None) as chain:
        w3 = connect(chain)
        factory = make_factory(w3)
        for statement in Statement:
            verifier = make_verifier(w3, factory, world(statement).key)
            gas = {}
            for count in COUNTS:
                batch = batch_of(world(statement, count), (1 << count) - 1)
                gas[count], size = gas_of(w3, verifier, CONTRACT, SESSION, BOUND_SQUARED, batch)
                name = f"gas of a proof, {statement.name.lower()}, {count} data owners"
                params = {"calldata": size, "per_owner": gas[count] // count}
                if name in AIMS:
                    rows.append(against_aim(name, params, gas[count], "gas"))
                else:
                    rows.append(row(name, params, gas[count], None, "gas"))
            rows += fit(statement, gas)
    return rows
