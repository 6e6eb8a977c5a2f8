"""Verifiers of certificate zk on a development chain, asked by web3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from web3 import Web3

from contracts import loader
from protocols.bn254.pairing import g2_to_bytes
from protocols.zk.batch import Batch
from protocols.zk.key import Key
from protocols.zk.params import Statement
from tests.integration.contract_kit import deploy

CALLS = {Statement.NONE: "verifyNone", Statement.GRAM: "verifyGram", Statement.SCORE: "verifyScore"}
INFINITY = (0, 0)
Reason = tuple[str, int]
"""Name of an error and its argument, -1 if it has none or it means no record."""


def key_terms(key: Key, label: bytes = b"INSECURE-kit") -> tuple[object, ...]:
    """``KeyTerms`` of a key."""
    params, tau2 = key.params, g2_to_bytes(key.tau2)
    second = [int.from_bytes(tau2[i : i + 32], "big") for i in range(0, 128, 32)]
    return (
        params.dimension, params.bits, params.size, key.omega, key.c_t, key.c_p, key.c_bits or INFINITY, second,
        label.ljust(32, b"\0"), key.norm_bits or 0,
    )  # fmt: skip


def make_verifier(w3: Web3, factory: Any, key: Key) -> Any:
    """The verifier of a key, made by the factory."""
    sent = factory.functions.create(key_terms(key)).transact({"from": w3.eth.accounts[0]})
    assert w3.eth.wait_for_transaction_receipt(sent, timeout=20)["status"] == 1
    address = factory.functions.verifierOf(key.digest, key.norm_bits or 0).call()
    return w3.eth.contract(address, abi=loader.load("ZkVerifier").abi)


def make_factory(w3: Web3) -> Any:
    """A factory of verifiers."""
    return deploy(w3, "ZkVerifiers")


def arguments(batch: Batch) -> list[object]:
    """Of the verifier's function for the batch's statement, after B2."""
    rest: list[object] = [] if batch.statement is Statement.NONE else [batch.values, batch.proof]
    return [batch.mask, batch.dos, *rest]


def call_data(verifier: Any, market: bytes, session: int, bound_squared: int, batch: Batch) -> dict[str, str]:
    """What ``contract_kit.calls`` asks: round 0."""
    head = [Web3.to_checksum_address(market), session, 0, bound_squared]
    data = verifier.encode_abi(CALLS[batch.statement], [*head, *arguments(batch)])
    return {"to": verifier.address, "data": data, "gas": hex(16_777_216)}


def reason(verifier: Any, thrown: bytes) -> Reason:
    """What a revert says."""
    errors = {}
    for entry in verifier.abi:
        if entry["type"] == "error":
            signature = f"{entry['name']}({','.join(item['type'] for item in entry['inputs'])})"
            errors[bytes(Web3.keccak(text=signature)[:4])] = entry["name"]
    index = int.from_bytes(thrown[4:36], "big", signed=True) if len(thrown) > 4 else -1
    return errors[thrown[:4]], index


def gas_of(w3: Web3, verifier: Any, market: bytes, session: int, bound_squared: int, batch: Batch) -> tuple[int, int]:
    """(gas, bytes of calldata) of the check as a transaction of its own."""
    call = call_data(verifier, market, session, bound_squared, batch)
    sent = w3.eth.send_transaction({"from": w3.eth.accounts[0], **call})  # type: ignore[typeddict-item]
    receipt = w3.eth.wait_for_transaction_receipt(sent, timeout=60)
    assert receipt["status"] == 1
    return int(receipt["gasUsed"]), len(bytes.fromhex(call["data"][2:]))


def words(data: bytes) -> Sequence[int]:
    """Words of 32 bytes."""
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
