"""What certificate zk was estimated to cost before it was written: seconds on two cores, bytes.

From one sum of 2^17 multiples (full and 16-bit scalars), one product in Fr and one transform of 2^20 values.
"""

from __future__ import annotations

from protocols.zk.params import Statement, ZkParams

SUM_S, SMALL_SUM_S, PRODUCT_S, TRANSFORM_S = 0.48, 0.065, 7.4e-9, 0.13
MULTIPLICATION_S, PAIRING_S = 0.1e-3, 0.05
COMMITTEE, THRESHOLD = 5, 1


def _sums(n: int, count: float, small: int = 0) -> float:
    return (SUM_S * count + SMALL_SUM_S * small) * n / (1 << 17)


def _transform(n: int) -> float:
    return TRANSFORM_S * n * (n.bit_length() - 1) / (20 << 20)


def data_owner(params: ZkParams, statement: Statement) -> float:
    """Range proof and sharing; three sums more with the norm."""
    n = params.size
    return _sums(n, 7 if statement is Statement.GRAM else 10, 2) + 4 * _transform(4 * n)


def upload(params: ZkParams) -> int:
    """Bytes to all provers together."""
    return 32 * (COMMITTEE - THRESHOLD) * params.length


def prover(params: ZkParams, statement: Statement, records: int) -> dict[str, float]:
    """Seconds by phase."""
    n, d = params.size, params.dimension
    products = records * (records + 1) // 2 if statement is Statement.GRAM else records
    return {
        "check records": 8 * records * MULTIPLICATION_S + PAIRING_S,
        "check shares": records * n * PRODUCT_S + _sums(n, 1),
        "values": products * d * PRODUCT_S,
        "S": records * n * PRODUCT_S + 2 * _transform(n) + _sums(n, 1),
        "q": 3 * _transform(2 * n) + _sums(n, 1),
        "A, E": 0.0,
        "W": _sums(n, 2),
        "check batch": 8 * records * MULTIPLICATION_S + PAIRING_S,
    }


def sent(statement: Statement, records: int) -> int:
    """Bytes that a prover sends to each of the others."""
    products = records * (records + 1) // 2 if statement is Statement.GRAM else records
    return 32 * products + 4 * 64 + 4 * 32
