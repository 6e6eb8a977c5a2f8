"""JSON-RPC's hexadecimal as Python values. The client turns what these raise on nonsense into RpcUnavailable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omninode.chain.errors import RpcError
from omninode.chain.interface import Log
from omninode.chain.transaction import Receipt

REVERT_CODE = 3  # JSON-RPC error code of a revert, by every client


@dataclass(frozen=True, slots=True)
class Block:
    """A header. base_fee: wei per gas. timestamp: seconds."""

    number: int
    hash: bytes
    parent: bytes
    base_fee: int
    timestamp: int


def quantity(value: object) -> int:
    """A JSON-RPC quantity as an integer."""
    return int(str(value), 16)


def data(value: object) -> bytes:
    """JSON-RPC data as bytes; null is empty."""
    return bytes.fromhex(str(value).removeprefix("0x")) if value else b""


def block_tag(which: int | str) -> str:
    """A block number or tag as JSON-RPC wants it."""
    return hex(which) if isinstance(which, int) else which


def parse_block(entry: Mapping[str, Any] | None) -> Block | None:
    """A header from eth_getBlockByNumber, None where there is no such block."""
    if entry is None:
        return None
    return Block(
        quantity(entry["number"]), data(entry["hash"]), data(entry["parentHash"]),
        quantity(entry.get("baseFeePerGas", "0x0")), quantity(entry["timestamp"]),
    )  # fmt: skip


def parse_log(entry: Mapping[str, Any]) -> Log:
    """A log from eth_getLogs or a receipt."""
    return Log(
        data(entry["address"]), tuple(data(t) for t in entry["topics"]), data(entry["data"]),
        quantity(entry["blockNumber"]), data(entry["blockHash"]), quantity(entry["logIndex"]),
    )  # fmt: skip


def parse_receipt(entry: Mapping[str, Any] | None) -> Receipt | None:
    """A receipt from eth_getTransactionReceipt, None while there is none."""
    if entry is None:
        return None
    return Receipt(
        tx_hash=data(entry["transactionHash"]),
        block=quantity(entry["blockNumber"]),
        gas_used=quantity(entry["gasUsed"]),
        price=quantity(entry.get("effectiveGasPrice", "0x0")),
        ok=quantity(entry["status"]) == 1,
        contract=data(entry.get("contractAddress")),
        logs=tuple(parse_log(log) for log in entry["logs"]),
    )


def revert_data(error: RpcError) -> bytes | None:
    """The bytes of a revert, b"" where it gave none, None where the node refused for another reason."""
    raw = error.data
    if isinstance(raw, Mapping):  # some clients wrap it
        raw = raw.get("data") or raw.get("result")
    if isinstance(raw, str) and raw.startswith("0x"):
        try:
            return bytes.fromhex(raw[2:])
        except ValueError:
            return b""
    return b"" if error.code == REVERT_CODE or "revert" in error.message.lower() else None
